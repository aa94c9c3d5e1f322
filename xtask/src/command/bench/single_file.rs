//! A flake of many files as a flake of one: what `bench eval` compares with.
//!
//! Each file of Nix becomes an attribute of one set, and each path that leads to one becomes a
//! reference to it. Only what is a path in the syntax of Nix counts: not what is in strings and
//! comments.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs, io,
    ops::Range,
    path::{Component, Path, PathBuf},
};

/// How the outputs of the flake begin.
const BEGIN: &str = "  outputs =\n    inputs:\n";

/// `import` of what is no file any more.
const IMPORT: &str = "file: if builtins.isPath file || builtins.isString file || file ? outPath then \
                      builtins.import file else file";

/// The `flake.nix` that has all of what `flake.nix` in `dir` leads to.
pub(super) fn single_file(dir: &Path) -> io::Result<String> {
    let mut files = BTreeMap::new();
    let flake = inlined(dir, Path::new("flake.nix"), &mut files)?;
    let (before, outputs) = flake.split_once(BEGIN).ok_or_else(|| {
        io::Error::other(format!("flake.nix does not begin its outputs with {BEGIN:?}"))
    })?;
    let mut text =
        format!("{before}{BEGIN}    let\n      import = {IMPORT};\n      oneOfFiles = {{\n");
    for (name, content) in files {
        let _ = write!(text, "        \"{name}\" =\n{content};\n");
    }
    Ok(text + "      };\n    in\n" + outputs)
}

/// The content of a file with references instead of paths. Files that it leads to go to `files`.
fn inlined(dir: &Path, file: &Path, files: &mut BTreeMap<String, String>) -> io::Result<String> {
    let text = fs::read_to_string(dir.join(file))?;
    let (mut result, mut end) = (String::new(), 0);
    for range in paths(&text) {
        let Some(target) = target(dir, file, &text[range.clone()]) else { continue };
        let name = target.display().to_string();
        result += &text[end..range.start];
        let _ = write!(result, "(oneOfFiles.\"{name}\")");
        end = range.end;
        if !files.contains_key(&name) {
            // It may lead to itself.
            files.insert(name.clone(), String::new());
            let content = inlined(dir, &target, files)?;
            files.insert(name, content);
        }
    }
    Ok(result + &text[end..])
}

/// The file of Nix that a path in `file` leads to, below `dir`.
fn target(dir: &Path, file: &Path, path: &str) -> Option<PathBuf> {
    let mut target = file.parent()?.to_owned();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => target.pop().then_some(())?,
            Component::Normal(name) => target.push(name),
            _ => {}
        }
    }
    // The folder that a file lies in is meant as a folder.
    if path.ends_with('.') || file.starts_with(&target) {
        return None;
    }
    let default = target.join("default.nix");
    let is_nix = target.extension().is_some_and(|extension| extension == "nix");
    match dir.join(&target).is_file() {
        true => is_nix.then_some(target),
        false => dir.join(&default).is_file().then_some(default),
    }
}

/// What the lexer is in.
#[derive(Clone, Copy, PartialEq)]
enum Inside {
    /// Code, and how many braces are open.
    Code(usize),
    String,
    IndentedString,
}

/// Where the relative paths of an expression are.
fn paths(text: &str) -> Vec<Range<usize>> {
    let is_path = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+/".contains(&byte);
    let bytes = text.as_bytes();
    let (mut found, mut inside, mut outer, mut at) = (vec![], Inside::Code(0), vec![], 0);
    while at < bytes.len() {
        let rest = &text.as_bytes()[at..];
        let begins = |word: &str| rest.starts_with(word.as_bytes());
        let mut step = 1;
        match inside {
            Inside::Code(open) => {
                if begins("#") {
                    step = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
                } else if begins("/*") {
                    step = text[at..].find("*/").map_or(rest.len(), |end| end + 2);
                } else if begins("\"") {
                    outer.push(inside);
                    inside = Inside::String;
                } else if begins("''") {
                    outer.push(inside);
                    inside = Inside::IndentedString;
                    step = 2;
                } else if begins("{") {
                    inside = Inside::Code(open + 1);
                } else if begins("}") {
                    // The end of what is in a string, or of a set.
                    inside = match open.checked_sub(1) {
                        Some(open) => Inside::Code(open),
                        None => outer.pop().unwrap_or(Inside::Code(0)),
                    };
                } else if is_path(rest[0]) {
                    step = rest.iter().position(|&byte| !is_path(byte)).unwrap_or(rest.len());
                    if begins("./") || begins("../") {
                        found.push(at..at + step);
                    }
                }
            }
            Inside::String | Inside::IndentedString => {
                let indented = inside == Inside::IndentedString;
                let escape = if indented { "''" } else { "\\" };
                if begins("${") {
                    outer.push(inside);
                    inside = Inside::Code(0);
                    step = 2;
                } else if begins("$${") {
                    step = 3;
                } else if indented && ["''$", "'''", "''\\"].iter().any(|word| begins(word)) {
                    step = if begins("''\\") { 4 } else { 3 };
                } else if begins(if indented { escape } else { "\"" }) {
                    step = if indented { 2 } else { 1 };
                    inside = outer.pop().unwrap_or(Inside::Code(0));
                } else if begins(escape) {
                    step = 2;
                }
            }
        }
        at += step;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_strings_and_comments() {
        let text = r#"# ./no
            { a = ./one.nix; /* ./no */ b = "./no ${../two + "${./three}"} \" ./no"; c = ''
              ./no ''${./no} ''' ./no ${toString ./four} $${./no}
            ''; d = [ a/./no ./five/../six ]; e = { }; f = ./seven; }"#;
        let found: Vec<_> = paths(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, ["./one.nix", "../two", "./three", "./four", "./five/../six", "./seven"]);
    }

    #[test]
    fn files_become_one() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            "flake.nix",
            "{\n  outputs =\n    inputs:\n    { a = import ./a; b = ./data; };\n}\n",
        );
        write("a/default.nix", "{ imports = [ ./b.nix ../a ./. ]; }");
        write("a/b.nix", "import ../../outside.nix");
        let text = single_file(dir.path()).unwrap();
        assert!(
            text.contains("{ a = import (oneOfFiles.\"a/default.nix\"); b = ./data; };"),
            "{text}"
        );
        assert!(text.contains("{ imports = [ (oneOfFiles.\"a/b.nix\") ../a ./. ]; };"), "{text}");
        assert!(text.contains("\"a/b.nix\" =\nimport ../../outside.nix;"), "{text}");
        write("flake.nix", "{ outputs = _: { }; }");
        single_file(dir.path()).unwrap_err();
    }
}

//! `extlinux.conf`, as U-Boot reads it: `boot/pxe_utils.c`.

use std::rc::Rc;

/// U-Boot's `MAX_NEST_LEVEL`.
const MAX_DEPTH: usize = 16;

/// How many files are included in all. U-Boot has no such limit; a file that includes itself twice
/// would be read 2¹⁶ times.
const MAX_INCLUDES: usize = 64;

/// How many labels are kept: more than a menu can show.
const MAX_LABELS: usize = 512;

/// How many overlays of one label are kept.
const MAX_OVERLAYS: usize = 64;

/// How many complaints are kept.
const MAX_COMPLAINTS: usize = 64;

/// What a file, and those that it includes, say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Config {
    /// What is started when nobody chooses.
    pub(super) default: Option<String>,
    /// What can be chosen.
    pub(super) labels: Vec<Label>,
    /// Lines that U-Boot ignores.
    pub(super) ignored: Vec<String>,
    /// Why U-Boot gives the whole file up.
    pub(super) fatal: Option<String>,
    /// Each `INCLUDE`: the file, and why it could not be read.
    pub(super) includes: Vec<(String, Option<String>)>,
}

/// What can be chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) name: String,
    /// In its file, counted from 1.
    pub(super) line: usize,
    pub(super) kernel: Option<String>,
    pub(super) initrd: Option<String>,
    pub(super) fdt: Option<String>,
    pub(super) fdtdir: Option<String>,
    pub(super) overlays: Vec<String>,
    pub(super) append: Option<String>,
    /// It starts something that is not in the file.
    pub(super) local: bool,
}

/// A file that is being read.
struct Open {
    text: Rc<str>,
    /// Bytes that were read; none is left where it is more than there are.
    at: usize,
    line: usize,
}

impl Open {
    fn new(content: &[u8]) -> Self {
        // U-Boot reads it as a C string.
        let len = content.iter().take_while(|byte| **byte != 0).count();
        Self { text: String::from_utf8_lossy(&content[..len]).into(), at: 0, line: 0 }
    }
}

/// Reads `main`. `read` gives the content of an included file.
pub(super) fn parse(main: &[u8], read: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>) -> Config {
    let mut config = Config::default();
    let mut stack = vec![Open::new(main)];
    let mut in_label = false;
    // Bounded: MAX_INCLUDES files of a bounded length.
    while let Some(open) = stack.last_mut() {
        let text = Rc::clone(&open.text);
        let Some(line) = text.get(open.at..).and_then(|rest| rest.split('\n').next()) else {
            stack.pop();
            in_label = false;
            continue;
        };
        open.at += line.len() + 1;
        open.line += 1;
        let number = open.line;
        let (keyword, rest) = words(line);
        if keyword.is_empty() || keyword.starts_with('#') {
            continue;
        }
        if in_label && let Some(label) = config.labels.last_mut() {
            match in_a_label(label, &mut config.default, &keyword, rest) {
                Line::Taken => continue,
                Line::NotOfALabel => in_label = false,
                Line::Lacks => {
                    config.fatal = Some(format!("line {number}: {keyword} without a value"));
                    return config;
                }
            }
        }
        let mut include = None;
        let value = literal(rest).map(str::to_owned);
        match keyword.as_str() {
            "default" | "ontimeout" if value.is_some() => config.default = value,
            "label" if value.is_some() => {
                if config.labels.len() >= MAX_LABELS {
                    config.fatal = Some(format!("line {number}: more than {MAX_LABELS} labels"));
                    return config;
                }
                let name = value.unwrap_or_default();
                config.labels.push(Label { name, line: number, ..Label::default() });
                in_label = true;
            }
            "timeout" | "fallback" if value.is_some() => {}
            "prompt" => {}
            "include" if value.is_some() => include = value,
            "menu" => {
                let (keyword, rest) = words(rest);
                match (keyword.as_str(), literal(rest)) {
                    ("include", Some(file)) => include = Some(file.to_owned()),
                    ("title" | "background", Some(_)) => {}
                    ("title" | "background" | "include", None) => {
                        let what = format!("line {number}: menu {keyword} without a value");
                        config.fatal = Some(what);
                        return config;
                    }
                    _ => complain(&mut config, number, line),
                }
            }
            "default" | "ontimeout" | "label" | "timeout" | "fallback" | "include" => {
                config.fatal = Some(format!("line {number}: {keyword} without a value"));
                return config;
            }
            _ => complain(&mut config, number, line),
        }
        let Some(file) = include else { continue };
        let content = if stack.len() >= MAX_DEPTH {
            Err(format!("files include each other more than {MAX_DEPTH} deep"))
        } else if config.includes.len() >= MAX_INCLUDES {
            Err(format!("more than {MAX_INCLUDES} files are included"))
        } else {
            read(&file)
        };
        match content {
            Ok(content) => {
                stack.push(Open::new(&content));
                config.includes.push((file, None));
            }
            Err(why) => {
                // U-Boot gives up.
                config.includes.push((file, Some(why)));
                return config;
            }
        }
    }
    config
}

fn complain(config: &mut Config, number: usize, line: &str) {
    if config.ignored.len() < MAX_COMPLAINTS {
        let line: String = line.trim().chars().take(80).collect();
        config.ignored.push(format!("line {number}: {line}"));
    }
}

/// What became of a line.
enum Line {
    Taken,
    /// It ends the label.
    NotOfALabel,
    /// Its value is missing.
    Lacks,
}

fn in_a_label(label: &mut Label, default: &mut Option<String>, keyword: &str, rest: &str) -> Line {
    let first = |slot: &mut Option<String>| match literal(rest) {
        // The first one counts, and a second one is not even read.
        _ if slot.is_some() => Line::NotOfALabel,
        None => Line::Lacks,
        Some(value) => {
            *slot = Some(value.to_owned());
            Line::Taken
        }
    };
    match keyword {
        "menu" => {
            if words(rest).0 == "default" {
                default.get_or_insert_with(|| label.name.clone());
            }
            return Line::Taken;
        }
        "kernel" | "linux" => {
            let Some(value) = literal(rest) else { return Line::Lacks };
            // After `#` is a configuration of a FIT image.
            let file = value.split('#').next().unwrap_or_default();
            label.kernel = Some(file.to_owned());
        }
        "append" => {
            let Some(value) = literal(rest) else { return Line::Lacks };
            let words: Vec<&str> = value.split(' ').collect();
            let named = words.iter().find_map(|word| word.strip_prefix("initrd="));
            if label.initrd.is_none() {
                label.initrd = named.map(str::to_owned);
            }
            label.append = Some(value.to_owned());
        }
        "initrd" => return first(&mut label.initrd),
        "fdt" | "devicetree" => return first(&mut label.fdt),
        "fdtdir" | "devicetreedir" => return first(&mut label.fdtdir),
        "fdtoverlays" | "devicetree-overlay" if label.overlays.is_empty() => {
            let Some(value) = literal(rest) else { return Line::Lacks };
            let names = value.split_ascii_whitespace().take(MAX_OVERLAYS);
            label.overlays = names.map(str::to_owned).collect();
        }
        "localboot" => label.local = true,
        "ipappend" if literal(rest).is_none() => return Line::Lacks,
        "ipappend" | "kaslrseed" | "say" => {}
        _ => return Line::NotOfALabel,
    }
    Line::Taken
}

/// The first word of a line, in lower case, and what follows it.
fn words(line: &str) -> (String, &str) {
    let line = line.trim_start_matches([' ', '\t']);
    let len = line.find(|c: char| c.is_ascii_whitespace()).unwrap_or(line.len());
    let (keyword, rest) = line.split_at(len);
    (keyword.to_ascii_lowercase(), rest.trim_start_matches([' ', '\t']))
}

/// A value: all of the line, unless it is a comment.
fn literal(rest: &str) -> Option<&str> {
    (!rest.is_empty() && !rest.starts_with('#')).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> Result<Vec<u8>, String> {
        Err("not there".to_owned())
    }

    const NIXOS: &[u8] = b"# Generated file\n\nDEFAULT nixos-default\n\nTIMEOUT 50\n\
        MENU TITLE ---\n\nLABEL nixos-default\n  MENU LABEL NixOS - Default\n\
        \x20 LINUX ../nixos/k-Image\n  INITRD ../nixos/i-initrd\n\
        \x20 APPEND init=/nix/store/x/init console=tty0\n  FDTDIR ../nixos/dtbs\n";

    #[test]
    fn what_nixos_writes_is_read() {
        let config = parse(NIXOS, &mut none);
        assert_eq!(config.default.as_deref(), Some("nixos-default"));
        let [label] = &config.labels[..] else { panic!("{config:?}") };
        assert_eq!(label.kernel.as_deref(), Some("../nixos/k-Image"));
        assert_eq!(label.initrd.as_deref(), Some("../nixos/i-initrd"));
        assert_eq!(label.fdtdir.as_deref(), Some("../nixos/dtbs"));
        assert_eq!(label.append.as_deref(), Some("init=/nix/store/x/init console=tty0"));
        assert_eq!((config.fatal, config.ignored), (None, Vec::new()));
    }

    /// A word that U-Boot does not know ends the label, and the rest of it is lost.
    #[test]
    fn unknown_words_end_a_label() {
        let config = parse(b"label a\nkernel k\nfoo\nappend x\n", &mut none);
        assert_eq!(config.ignored, ["line 3: foo", "line 4: append x"]);
        assert_eq!(config.labels[0].append, None);
        let config = parse(b"label a\nmenu default\nkernel k#conf\nappend initrd=i x\n", &mut none);
        assert_eq!(config.default.as_deref(), Some("a"));
        assert_eq!(config.labels[0].kernel.as_deref(), Some("k"));
        assert_eq!(config.labels[0].initrd.as_deref(), Some("i"));
        for text in ["label\n", "label a\nkernel # none\n", "menu title\n", "default\0 x"] {
            assert!(parse(text.as_bytes(), &mut none).fatal.is_some(), "{text}");
        }
    }

    #[test]
    fn includes_end() {
        let text = b"include self\ninclude self\n";
        let config = parse(text, &mut |_| Ok(text.to_vec()));
        assert_eq!(config.includes.len(), 16);
        assert!(config.includes[15].1.is_some());
        let config = parse(b"menu include x\nlabel a\n", &mut |_| Ok(b"label b\n".to_vec()));
        let names: Vec<_> = config.labels.iter().map(|label| label.name.as_str()).collect();
        assert_eq!(names, ["b", "a"]);
    }
}

//! What other tools say of the programs in a store.

use std::{fs, path::Path, process::Command};

use image_formats::{bytes::Region, elf::Header};

/// Runs a tool with a time limit, and returns what it prints.
fn tool(package: &str, args: &[&str]) -> String {
    let output = Command::new("timeout").arg("60").args(args).env("LC_ALL", "C").output();
    let output = output.unwrap_or_else(|e| panic!("timeout: {e}: apt-get install coreutils"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {told}: apt-get install {package}?");
    String::from_utf8(output.stdout).unwrap()
}

/// What stands between brackets in the line with these words.
fn bracketed(text: &str, words: &str) -> Option<String> {
    let line = text.lines().find(|line| line.contains(words))?;
    Some(line.rsplit_once('[')?.1.trim_end_matches(']').to_owned())
}

#[track_caller]
fn agree(path: &Path) -> (Option<String>, Option<String>) {
    let name = path.to_str().unwrap();
    let dynamic = tool("binutils", &["readelf", "-W", "-d", name]);
    let segments = tool("binutils", &["readelf", "-W", "-l", name]);
    let run_path = bracketed(&dynamic, "Library runpath:");
    let run_path = run_path.or_else(|| bracketed(&dynamic, "Library rpath:"));
    let loader = segments.lines().find_map(|line| line.split_once("program interpreter: "));
    let loader = loader.map(|(_, path)| path.trim_end_matches(']').to_owned());
    let file = Region::from(fs::read(path).unwrap());
    let header = Header::read(&file).unwrap();
    let text = |bytes: Option<Vec<u8>>| bytes.map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(text(header.run_path(&file).unwrap()), run_path, "{name}");
    assert_eq!(text(header.interpreter(&file).unwrap()), loader, "{name}");
    (loader, run_path)
}

/// What `readelf` says of programs that a linker makes, in both ways to tell a run path, and of one
/// whose parts lie far from its start.
#[test]
fn readelf_sees_the_same_run_paths() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("program.c");
    let text = "static const char large[3 << 20] = { 1 }; const char *p = large;\n\
                int main(void) { return *p; }\n";
    fs::write(&source, text).unwrap();
    let folders = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-lib/lib:$ORIGIN/../lib";
    for tags in ["--enable-new-dtags", "--disable-new-dtags"] {
        let program = dir.path().join("program");
        let link = format!("-Wl,{tags},-rpath,{folders}");
        let paths = [source.to_str().unwrap(), "-o", program.to_str().unwrap()];
        tool("gcc", &[&["cc", "-O0", &link][..], &paths].concat());
        let (loader, run_path) = agree(&program);
        assert_eq!(run_path.as_deref(), Some(folders), "{tags}");
        assert!(loader.is_some());
    }
    let (_, none) = agree(&std::env::current_exe().unwrap());
    assert_eq!(none, None);
}

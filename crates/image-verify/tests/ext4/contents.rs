//! Contents of files, by our maps, by `ext4-view` and by debugfs.

use ext4_view::Ext4;

use super::{contents_of::contents, good::RECIPES, image::*};

/// Blocks that were allocated and never written, where another file was; a file that ends with a
/// hole; one with a hole that has no block of pointers; one of many pieces.
const UNWRITTEN: Recipe = Recipe {
    name: "unwritten",
    args: &["-t", "ext4", "-b", "1024"],
    mib: 24,
    debugfs: &[
        "rm /boot/kernel",
        "write /dev/null /boot/unwritten",
        "fallocate /boot/unwritten 0 299",
        "sif /boot/unwritten size 300001",
        "write /dev/null /boot/hole",
        "sif /boot/hole size 5000001",
    ],
    index: false,
};

#[test]
fn contents_are_those_of_ext4_view_and_debugfs() {
    let (mut files, mut refused) = (0, 0);
    for recipe in RECIPES.iter().chain([&UNWRITTEN]) {
        let disk = recipe.make();
        let bytes = disk.bytes();
        let (_, volume) = judge(&bytes);
        let volume = volume.unwrap_or_else(|| panic!("{}", recipe.name));
        let found = contents(&volume);
        let dumped = dumped(&disk.path);
        assert!(found.keys().eq(dumped.keys()), "{}", recipe.name);
        let other = Ext4::load(Box::new(bytes));
        for (path, content) in &found {
            let name = format!("{}: {}", recipe.name, path.escape_ascii());
            let content = content.as_ref().unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(is_dump(&dumped[path], content), "{name}, by debugfs");
            files += 1;
            // It takes blocks that were never written for content.
            let unwritten = path.ends_with(b"/unwritten");
            match other.as_ref().map(|other| other.read(path.as_slice())) {
                Ok(Ok(theirs)) if unwritten => assert!(theirs != *content, "{name}"),
                Ok(Ok(theirs)) => assert!(theirs == *content, "{name}, by ext4-view"),
                _ => refused += 1,
            }
        }
    }
    // It refuses features, and holes without a block of pointers.
    assert!(files > 12_000 && refused < files / 2, "{files} files, {refused} not by ext4-view");
}

/// Encrypted files are told of, and refused one by one.
#[test]
fn encrypted_files_are_refused() {
    let (report, volume) = judge(super::twins::Base::Inline.bytes());
    let said = report.findings.iter().find(|finding| finding.check == "ext4-unreadable").unwrap();
    assert_eq!(said.message, "1 files or directories are encrypted");
    let found = contents(&volume.unwrap());
    let refused: Vec<_> = found.values().filter_map(|content| content.as_ref().err()).collect();
    assert_eq!(refused, ["cannot be read: encrypted"]);
    assert!(found.len() > 5);
}

//! Contents of the files of other people's file systems, by our maps and by debugfs.

use std::{fs::File, sync::Arc};

use image_formats::bytes::Region;
use image_verify::{Recorder, ext4, tree::Tree, volume::Trouble};

use super::{
    contents_of::contents,
    corpus,
    image::{dumped, is_dump},
    others,
    rig::*,
};

/// debugfs does not end on it: an attribute has a value that is not there, and nobody asked for it.
const ENDLESS: &str = "f_ea_value_crash";

#[test]
fn contents_are_those_of_debugfs() {
    let mut images = corpus::images();
    images.extend(others::images().into_iter().map(|name| (name.clone(), fetched(&name))));
    images.retain(|(name, _)| name != ENDLESS);
    let counts = on_two_threads(&images, |(name, path)| {
        let disk = Disk::expand(reader(path));
        let region = Region::whole(Arc::new(File::open(&disk.path).unwrap())).unwrap();
        let mut out = Recorder::default();
        let trouble = Trouble::default();
        let volume = ext4::verify(&region, "disk", &trouble, &mut out).unwrap();
        // A file that is a hole of terabytes, and many files, are nothing for debugfs.
        let quick = |tree: &Tree| tree.len() < 2000 && tree.total_size() < 256 << 20;
        let Some(volume) = volume.filter(|volume| quick(&volume.tree)) else { return (0, 0) };
        let dumped = dumped(&disk.path);
        let found = contents(&volume);
        trouble.take().unwrap();
        let mut compared = 0;
        for (path, content) in &found {
            let Ok(content) = content else { continue };
            let path_name = path.escape_ascii();
            let theirs = dumped.get(path).unwrap_or_else(|| panic!("{name}: no {path_name}"));
            assert!(is_dump(theirs, content), "{name}: {path_name}");
            compared += 1;
        }
        (1, compared)
    });
    let (volumes, files) = counts.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    print(&format!("{files} files in {volumes} file systems are as debugfs reads them"));
    assert!(volumes > 60 && files > 200, "{files} files in {volumes} file systems");
}

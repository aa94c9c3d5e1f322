//! A store of Nix that lies in a folder, and what is registered of it.

use std::{fs, path::Path};

use crate::tool;

/// Compares what is registered with what is in `store`, path by path, by the hash of each as Nix
/// computes it.
#[track_caller]
pub(crate) fn is_registered(store: &Path, registration: &str) {
    let mut there: Vec<_> = fs::read_dir(store)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    there.sort();

    let mut lines = registration.lines();
    let mut registered = Vec::new();
    while let Some(path) = lines.next() {
        let name = path.strip_prefix("/nix/store/").unwrap();
        let file = store.join(name);
        let args = ["--type", "sha256", "--base32"].map(AsRef::as_ref);
        let hash = tool::run("nix-hash", "nix-bin", args.into_iter().chain([file.as_os_str()]));
        assert_eq!(lines.next(), Some(format!("sha256:{}", hash.trim_end()).as_str()));
        let size: u64 = lines.next().unwrap().parse().unwrap();
        assert!(size > 0 && size.is_multiple_of(8), "no archive of Nix is {size} bytes long");
        assert_eq!(lines.next(), Some(""), "{path} has a deriver");
        let references: usize = lines.next().unwrap().parse().unwrap();
        for _ in 0..references {
            let reference = lines.next().unwrap().strip_prefix("/nix/store/").unwrap();
            assert!(there.iter().any(|name| name == reference), "{reference} is not there");
        }
        registered.push(name.to_owned());
    }
    registered.sort();
    assert_eq!(registered, there);
}

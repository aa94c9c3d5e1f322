//! Files and folders that a test makes in the folder of its Nix.

use std::{fs, path::PathBuf};

use crate::rig::Rig;

impl Rig {
    /// Writes a file, and makes the folders that it is in.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A folder with nothing in it, whatever was there.
    pub(crate) fn empty(&self, name: &str) -> PathBuf {
        let folder = self.path(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        folder
    }
}

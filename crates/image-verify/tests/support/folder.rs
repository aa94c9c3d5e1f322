//! A folder for the files of a test, and tools of the machine that work in it.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file with these bytes, whose path is given back.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Runs a tool, with a limit of time.
    pub(crate) fn tool(&self, argv: &[&str]) -> Output {
        let output = Command::new("timeout")
            .args(["-k", "2", "60"])
            .args(argv)
            .current_dir(&self.0)
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env_remove("SOURCE_DATE_EPOCH")
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .output()
            .unwrap_or_else(|e| panic!("timeout: {e}; run `apt-get install coreutils`"));
        let missing = output.status.code() == Some(127);
        assert!(!missing, "{} is not there: run `tests/setup.sh`", argv[0]);
        output
    }

    /// Runs a tool that has to succeed.
    pub(crate) fn succeed(&self, argv: &[&str]) -> Output {
        let output = self.tool(argv);
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {words}", argv.join(" "));
        output
    }
}

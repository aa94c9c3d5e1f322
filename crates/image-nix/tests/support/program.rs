//! Programs that a test makes, and starts.
//!
//! Another process writes them. What is open for writing here is open as well in whatever another
//! thread starts at that moment, until that becomes its program; and Linux starts no file that
//! somebody has open for writing ("Text file busy").

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

/// A program of that text, in a folder that is made where it is not there.
pub(crate) fn write(path: &Path, text: &str) {
    let mut install = Command::new("install");
    install.args(["-D", "-m", "755", "/dev/stdin"]).arg(path).stdin(Stdio::piped());
    let mut install = install.spawn().expect("install is in coreutils");
    install.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(install.wait().unwrap().success(), "{}", path.display());
}

/// A program that is there, once more.
pub(crate) fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg(from).arg(to).status().expect("cp is in coreutils");
    assert!(copied.success(), "{}", to.display());
}

//! The driver `prebuilt` on what people hand in.

use std::{error::Error as _, fs, path::Path, process::Command};

use image_factory::driver::{DriverError, Fault, prebuilt};

fn failure(path: &Path) -> (String, Fault) {
    let error = prebuilt::build(path).unwrap_err();
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    (format!("{error}{cause}"), DriverError::from(error).fault())
}

#[test]
fn a_file_is_taken_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("alpine-3.22.tar.gz");
    fs::write(&file, "abc").unwrap();
    let output = prebuilt::build(&file).unwrap();
    assert_eq!(output.file, file);
    assert_eq!(output.distribution, "alpine-3.22");
    assert_eq!(output.source.route, "file");
}

#[test]
fn what_is_no_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let shown = |name: &str| path(name).display().to_string();

    let (message, fault) = failure(&path("absent.wsl"));
    assert!(message.starts_with(&format!("cannot read {}: No such file", shown("absent.wsl"))));
    assert_eq!(fault, Fault::Usage);

    fs::create_dir(path("folder.wsl")).unwrap();
    let expected = format!("{} is a folder, not a regular file", shown("folder.wsl"));
    assert_eq!(failure(&path("folder.wsl")), (expected, Fault::Usage));

    // Nobody is at its other end: looking at it must not wait.
    assert!(Command::new("mkfifo").arg(path("pipe.wsl")).status().unwrap().success());
    let expected = format!("{} is a pipe, not a regular file", shown("pipe.wsl"));
    assert_eq!(failure(&path("pipe.wsl")), (expected, Fault::Usage));

    fs::write(path("empty.wsl"), "").unwrap();
    let expected = format!("{} is empty", shown("empty.wsl"));
    assert_eq!(failure(&path("empty.wsl")), (expected, Fault::Image));

    let expected = "/dev/null is a device, not a regular file".to_owned();
    assert_eq!(failure(Path::new("/dev/null")), (expected, Fault::Usage));
}

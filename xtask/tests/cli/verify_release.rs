//! `verify-release`: releases that `release` made, in a folder and behind a web server; what is wrong
//! with them, and what is wrong with the command line.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use image_model::Outcome;
use image_release::check::ReleaseReport;

use crate::common::{Project, Ran, which};

/// A mini system, released as 26.05.1 with a key of minisign and one of OpenSSH.
fn released() -> (Project, PathBuf) {
    let project = Project::new();
    project.run(&["image", "wsl", "--driver", "mini"]).exits(0);
    for scheme in ["minisign", "ssh"] {
        let key = ["key", "generate", "--scheme", scheme, "--no-passphrase", scheme];
        project.run(&key).exits(0);
    }
    let release = ["release", "--version", "26.05.1", "--allow-mini"];
    let keys = ["--key", "minisign", "--key", "ssh", "wsl"];
    let mut command = project.command();
    command.env("SOURCE_DATE_EPOCH", "1787204541").args(release).args(keys);
    Ran::of(&mut command).exits(0);
    let folder = project.path("dist/release/26.05.1");
    (project, folder)
}

fn report(ran: &Ran) -> ReleaseReport {
    serde_json::from_value(ran.json()).unwrap()
}

/// Files behind a web server.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn new(folder: &Path) -> Self {
        let mut child = Command::new(which("python3", "python3"))
            .args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "0"])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // `Serving HTTP on 127.0.0.1 port 34567 (http://…)`
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split(' ').skip_while(|word| *word != "port").nth(1);
        let port = port.unwrap_or_else(|| panic!("{line:?}")).parse().unwrap();
        Self { child, port }
    }

    fn address(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_release_is_good_in_its_folder_and_behind_a_web_server() {
    let (project, folder) = released();
    let place = folder.to_str().unwrap();
    let keys = ["--key", "minisign.pub", "--key", "ssh.pub"];
    let verify = |place: &str| project.run(&[&["verify-release", place], &keys[..]].concat());

    let ran = verify(place).exits(0);
    let ran = ran.says("release 26.05.1, 1 image, ").says("  signed by the minisign key ");
    let ran = ran.says(", which was given, at 2026-08-20T").says("good, with 1 warning\n");
    ran.says("warning release-not-nixos: mini-26.05.1.wsl: it is the mini system, not NixOS");

    // Nobody knows who made it.
    let ran = project.run(&["verify-release", place]).exits(0).says("which came with it");
    ran.says("info release-unknown-signer: ").says(" 1 noted, ");

    let ran = project.run(&["--format", "json", "verify-release", place]).exits(0);
    let found = report(&ran);
    assert_eq!((found.version.as_deref(), found.totals.errors), (Some("26.05.1"), 0));
    let files = fs::read_dir(&folder).unwrap().count() as u64;
    // The list itself, and both signatures with their keys, are read once more.
    assert!(found.files >= files, "{} of {files}", found.files);
    for (id, outcome) in &found.outcomes {
        let expected = match id.as_ref() {
            // No key was given, and a mini system has no store, and no catalog without addresses.
            "release-wanted-key"
            | "release-sbom-subject"
            | "release-catalog"
            | "release-catalog-entry"
            | "release-second-name" => Outcome::NotReached,
            "release-not-nixos" | "release-unknown-signer" => Outcome::Failed,
            _ => Outcome::Held,
        };
        assert_eq!(*outcome, expected, "{id}");
    }

    let releases = folder.parent().unwrap();
    let server = Server::new(releases);
    verify(&server.address("26.05.1")).exits(0).says("good, with 1 warning");
    let text = fs::read_to_string(project.path("minisign.pub")).unwrap();
    let key = text.lines().last().unwrap();
    let address = server.address("26.05.1/");
    project.run(&["verify-release", "--key", key, &address]).exits(0).says("which was given");

    // An old release where a newer one should be, each signature of which is good.
    fs::rename(&folder, releases.join("26.05.2")).unwrap();
    let ran = verify(&server.address("26.05.2/")).exits(1);
    ran.says("error release-place: the release is 26.05.1, and the place is called 26.05.2");
    verify(&server.address("26.05.3/")).exits(1).says("error release-sums: ");
}

#[test]
fn what_is_wrong_with_a_release_is_told() {
    let (project, folder) = released();
    let place = folder.to_str().unwrap();
    let payload = folder.join("mini-26.05.1.wsl");
    let good = fs::read(&payload).unwrap();
    let mut bad = good.clone();
    bad[1000] ^= 1;
    fs::remove_file(&payload).unwrap();
    fs::write(&payload, bad).unwrap();
    let ran = project.run(&["verify-release", place]).exits(1);
    ran.says("error release-file-digest: mini-26.05.1.wsl: sha256 ").says("defective\n");
    let ran = project.run(&["--format", "json", "verify-release", place]).exits(1);
    let found = report(&ran);
    assert_eq!(found.findings[0].check, "release-file-digest");
    fs::write(&payload, good).unwrap();

    fs::write(folder.join("another"), "").unwrap();
    let ran = project.run(&["verify-release", place]).exits(1);
    ran.says("error release-file-extra: another: it is not in the list of checksums\n");
    fs::remove_file(folder.join("another")).unwrap();

    project.run(&["key", "generate", "--no-passphrase", "stranger"]).exits(0);
    let ran = project.run(&["verify-release", "--key", "stranger.pub", place]).exits(1);
    ran.says("error release-wanted-key: the minisign key ").says("did not sign");
    project.run(&["verify-release", "--key", "minisign.pub", place]).exits(0);
}

#[test]
fn what_is_wrong_with_the_command_line_or_the_way_is_no_finding() {
    let project = Project::new();
    fs::create_dir(project.path("empty")).unwrap();
    project.run(&["verify-release", "empty"]).exits(1).says("error release-sums: ");
    project.run(&["verify-release", "nowhere"]).exits(2).says("cannot open the folder nowhere");
    project.run(&["verify-release", "--key", "nowhere.pub", "empty"]).exits(2);
    project.run(&["verify-release", "oci://127.0.0.1:1/nixos"]).exits(2).says("names no version");
    project.run(&["verify-release", "github:owner/name"]).exits(2).says("names no version");
    project.run(&["verify-release", "s3:///26.05.1"]).exits(2).says("it names no bucket");
    project.run(&["verify-release", "https://"]).exits(2);
    fs::write(project.path("secret"), "untrusted comment: minisign encrypted secret key\n")
        .unwrap();
    project.run(&["verify-release", "--key", "secret", "empty"]).exits(2);
    project.run(&["explain", "release-place"]).exits(0).says("called by a version");
}

//! A release goes to places and is read from there: a folder, what a web server makes of it, and a
//! registry.

#[path = "../../../crates/image-publish/tests/publish/registry.rs"]
#[expect(dead_code, reason = "some of it is for the tests of the library")]
pub(crate) mod registry;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use self::registry::Registry;
use crate::common::{Project, Ran, which};

/// A mini system, released with a key.
fn released() -> Project {
    let project = Project::new();
    project.run(&["image", "wsl", "--driver", "mini"]).exits(0);
    project.run(&["key", "generate", "--no-passphrase", "release.key"]).exits(0);
    let args = ["release", "--version", "26.05.1", "--key", "release.key", "--allow-mini", "wsl"];
    Ran::of(project.command().env("SOURCE_DATE_EPOCH", "1787204541").args(args)).exits(0);
    project
}

/// The web server that Python has. It knows no ranges.
struct Web {
    child: Child,
    /// Kept: it would end with a broken pipe.
    _out: BufReader<ChildStdout>,
    address: String,
}

impl Web {
    fn new(folder: &Path) -> Self {
        let mut child = Command::new(which("python3", "python3"))
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        // Serving HTTP on 127.0.0.1 port 40000 (http://127.0.0.1:40000/) ...
        let address = line.split(['(', ')']).nth(1).expect("it says where it is").to_owned();
        Self { child, _out: out, address }
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_release_is_verified_where_it_was_published() {
    let project = released();
    let registry = Registry::new(project.dir.path());
    let repository = format!("oci://{}/nixos/images", registry.host());
    let publish = ["publish", "--to", "out", "--to", &repository];
    // What is on this machine is nothing for the proxy of another one. Nobody listens there.
    let run = |args: &[&str]| {
        Ran::of(project.command().env("HTTP_PROXY", "http://127.0.0.1:1").args(args))
    };
    let ran = run(&publish).exits(0);
    assert!(ran.out.contains(&format!("{repository}:26.05.1: ")), "{}", ran.out);
    assert_eq!(ran.out.matches(" objects sent and read back\n").count(), 2, "{}", ran.out);

    let web = Web::new(&project.path("out"));
    let (tag, address) = (format!("{repository}:26.05.1"), format!("{}26.05.1", web.address));
    let verify = |place: &str| {
        let ran = run(&["verify-release", place, "--key", "release.key.pub"]);
        (ran.code, ran.out.replace(place, "PLACE"), ran.err)
    };
    let here = verify("dist/release/26.05.1");
    assert_eq!(here.0, Some(0), "{here:?}");
    for place in ["out/26.05.1", &tag, &address] {
        let there = verify(place);
        assert_eq!(there.0, Some(0), "{place}: {there:?}");
    }

    let again = run(&publish).exits(0);
    assert_eq!(again.out.matches(" objects were there, and are the same\n").count(), 2);

    // A byte that changes on a server is found there.
    let page = project.path("out/26.05.1/index.html");
    let text = fs::read_to_string(&page).unwrap();
    fs::write(&page, text.replacen("<title>", "<title>!", 1)).unwrap();
    let changed = verify(&address);
    assert_eq!(changed.0, Some(1), "{changed:?}");
    assert!(changed.1.contains("index.html"), "{changed:?}");

    // What is not there is said so.
    let (code, _, err) = verify(&format!("{repository}:26.05.2"));
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("26.05.2 is not there"), "{err}");
}

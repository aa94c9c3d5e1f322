//! A release goes to every kind of place that this machine can have, and is the same there: for
//! `verify-release`, and for tools that people have.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use crate::{
    common::{Project, Ran, list, which},
    nix::tests_dir,
    places::registry::Registry,
    publish::servers::{BUCKET, KEY, SECRET, Weed, http},
};

const VERSION: &str = "26.05.1";

/// Publishes the release in `folder` of a project, signed by three keys, to a folder, to S3 and to a
/// registry, and verifies it there. `is_signed` verifies signatures with the tools of their makers.
#[track_caller]
pub(crate) fn goes_everywhere(project: &Project, folder: &Path, is_signed: &dyn Fn(&Path)) {
    let (weed, registry) = (Weed::start(), Registry::new(project.dir.path()));
    let command = |args: &[&str]| {
        let mut command = project.command();
        command.args(args).envs([
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_REGION", "us-east-1"),
        ]);
        command.env("AWS_ENDPOINT_URL", format!("http://{}", weed.s3()));
        Ran::of(&mut command)
    };
    let host = registry.host();
    let (s3, oci) = (format!("s3://{BUCKET}/nixos"), format!("oci://{host}/nixos/images"));
    let targets = ["--to", "out", "--to", &s3, "--to", &oci];
    let publish = || {
        let ran = command(&[&["--format", "json", "publish", VERSION], &targets[..]].concat());
        let places = ran.exits(0).json();
        places.as_array().unwrap().iter().map(|place| place["sent"].clone()).collect::<Vec<_>>()
    };
    let first = publish();
    let names = list(folder);
    assert_eq!(first.len(), 3);
    assert!(first.iter().all(|sent| sent.as_array().unwrap().len() > names.len() / 2), "{first:?}");
    // All of it is there already.
    assert_eq!(publish(), [(); 3].map(|()| serde_json::json!([])));

    // Everything of it, by the keys that the user knows from elsewhere.
    let keys = ["minisign.pub", "ssh.pub", "openpgp.asc"].map(|key| folder.join(key));
    let keys: Vec<_> = keys.iter().flat_map(|key| ["--key", key.to_str().unwrap()]).collect();
    let web = format!("http://{}/{BUCKET}/nixos/{VERSION}/", weed.s3());
    for place in [
        folder.to_str().unwrap(),
        &format!("out/{VERSION}"),
        &format!("{s3}/{VERSION}"),
        &web,
        &format!("{oci}:{VERSION}"),
    ] {
        let args = [&["--format", "json", "verify-release", place], &keys[..]].concat();
        let report = command(&args).exits(0).json();
        assert_eq!(report["version"], VERSION, "{place}");
        assert_eq!(report["totals"]["errors"], 0, "{place}: {report:#}");
        let signatures = report["signatures"].as_array().unwrap();
        assert_eq!(signatures.len(), 3, "{place}: {report:#}");
        assert!(signatures.iter().all(|signature| signature["given"] == true), "{place}");
        assert_eq!(report["images"].as_array().unwrap().len(), 3, "{place}");
    }

    // By the tools of others, on what others fetch.
    is_right(&project.path("out").join(VERSION), is_signed);
    let fetched = project.path("fetched");
    fs::create_dir(&fetched).unwrap();
    for name in &names {
        let there = http("GET", weed.s3(), &format!("/{BUCKET}/nixos/{VERSION}/{name}"), &[]);
        assert_eq!(there.status, 200, "{name}");
        fs::write(fetched.join(name), there.body).unwrap();
    }
    is_right(&fetched, is_signed);
    let pulled = project.path("pulled");
    pull(&host, &pulled);
    let missing: BTreeSet<_> = names.into_iter().collect::<BTreeSet<_>>();
    let missing: Vec<_> =
        missing.difference(&list(&pulled).into_iter().collect()).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");
    is_right(&pulled, is_signed);

    // One byte of an image is another one: everybody sees it.
    let image = project.path("out").join(VERSION).join(format!("nixos-{VERSION}.wsl"));
    let mut bytes = fs::read(&image).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&image, bytes).unwrap();
    let place = format!("out/{VERSION}");
    command(&[&["verify-release", &place], &keys[..]].concat())
        .exits(1)
        .says(&format!("nixos-{VERSION}.wsl"));
    command(&["publish", VERSION, "--to", "out"]).exits(1).says("nixos-26.05.1.wsl");
}

/// `sha256sum` and the makers of the signatures agree with what is in a folder.
#[track_caller]
fn is_right(folder: &Path, is_signed: &dyn Fn(&Path)) {
    let mut sums = Command::new("sha256sum");
    Ran::of(sums.args(["--strict", "--quiet", "-c", "SHA256SUMS"]).current_dir(folder)).exits(0);
    is_signed(folder);
}

/// Fetches all that the index of the version names, as people do who have the client of ORAS.
fn pull(host: &str, to: &Path) {
    let index = format!("docker://{host}/nixos/images:{VERSION}");
    let mut skopeo = Command::new(which("skopeo", "skopeo"));
    let index =
        Ran::of(skopeo.args(["inspect", "--raw", "--tls-verify=false", "--no-creds", &index]))
            .exits(0);
    let index = index.json();
    let entries = index["manifests"].as_array().unwrap().iter();
    let names = entries.map(|e| format!("{host}/nixos/images@{}", e["digest"].as_str().unwrap()));
    fs::create_dir(to).unwrap();
    let parts = tests_dir().join("../target/release-parts/python");
    assert!(parts.is_dir(), "{} is not there: run tests/setup.sh", parts.display());
    let mut oras = Command::new(which("python3", "python3"));
    oras.arg(tests_dir().join("tools/oras-pull.py")).arg(to).args(names);
    oras.env("PYTHONPATH", parts).env("PYTHONDONTWRITEBYTECODE", "1");
    // Without what somebody may have set up for such clients on this machine.
    oras.env("NO_PROXY", "*").env("HOME", to);
    Ran::of(&mut oras).exits(0);
}

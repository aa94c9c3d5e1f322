//! `publish`

#[path = "../../../crates/image-publish/tests/publish/proxy.rs"]
#[expect(dead_code, reason = "some of it is for the tests of the library")]
mod proxy;
#[path = "../../../crates/image-publish/tests/publish/release.rs"]
#[expect(dead_code, reason = "some of it is for the tests of the library")]
mod release;
#[path = "../../../crates/image-publish/tests/publish/servers.rs"]
#[expect(dead_code, reason = "some of it is for the tests of the library")]
pub(crate) mod servers;

use std::{
    collections::BTreeSet,
    fs,
    io::Read as _,
    net::SocketAddr,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use self::{
    proxy::{Fate, Proxy},
    release::{Release, VERSION, tree},
    servers::{BUCKET, KEY, SECRET, Weed, http},
};
use crate::common::{Project, Ran, list, which};

const TARGET: &str = "s3://images/nixos";

/// A project whose `dist` has that release.
fn project(release: &Release) -> Project {
    let project = Project::new();
    adopt(&project, release, VERSION);
    project
}

fn adopt(project: &Project, release: &Release, version: &str) {
    let to = project.path("dist/release").join(version);
    fs::create_dir_all(&to).unwrap();
    for (name, bytes) in tree(&release.folder()) {
        fs::write(to.join(name), bytes).unwrap();
    }
}

fn command(project: &Project, server: SocketAddr, args: &[&str]) -> Command {
    let mut command = project.command();
    command.args(["--progress", "plain"]);
    if !args.is_empty() {
        command.arg("publish").args(args);
    }
    command.envs([
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_REGION", "us-east-1"),
    ]);
    command.env("AWS_ENDPOINT_URL", format!("http://{server}"));
    command
}

#[test]
fn the_only_release_goes_to_all_places_that_are_named() {
    let weed = Weed::start();
    let release = Release::new();
    let project = project(&release);
    let run = |args: &[&str]| Ran::of(&mut command(&project, weed.s3(), args));
    let targets = ["--to", "out", "--to", TARGET];
    let ran = run(&targets).exits(0);
    let count = release.names().len();
    assert_eq!(
        ran.out,
        format!(
            "out/{VERSION}: {count} objects sent and read back\n\
             {TARGET}/{VERSION}: {count} objects sent and read back\n"
        )
    );
    assert!(ran.err.contains("send: begins") && ran.err.contains("send: done"), "{}", ran.err);
    let sums = fs::read(release.folder().join("SHA256SUMS")).unwrap();
    let there = http("GET", weed.s3(), &format!("/{BUCKET}/nixos/{VERSION}/SHA256SUMS"), &[]);
    assert_eq!((there.status, there.body), (200, sums));

    let again = run(&targets).exits(0);
    let same = format!("all {count} objects were there, and are the same\n");
    assert_eq!(again.out.matches(&same).count(), 2, "{}", again.out);
    let json = Ran::of(command(&project, weed.s3(), &targets).args(["--format", "json"])).exits(0);
    let json = json.json();
    assert_eq!(json[1]["place"], format!("{TARGET}/{VERSION}"));
    assert_eq!(json[1]["sent"].as_array().unwrap().len(), 0);
    assert_eq!(json[1]["present"].as_array().unwrap().len(), count);

    // Where one place refuses it, no place gets it.
    fs::write(project.path("out").join(VERSION).join("index.html"), "mine").unwrap();
    let ran = run(&["--to", "another", "--to", "out"]).exits(1);
    assert!(ran.err.contains("index.html has 4 bytes there"), "{}", ran.err);
    assert!(!project.path("another").exists());
}

#[test]
fn what_was_released_is_verified_from_where_it_was_published() {
    let weed = Weed::start();
    let project = Project::new();
    project.run(&["image", "wsl", "--driver", "mini"]).exits(0);
    project.run(&["key", "generate", "key", "--no-passphrase"]).exits(0);
    let mut made = project.command();
    made.env("SOURCE_DATE_EPOCH", "1787204541");
    made.args(["release", "--version", VERSION, "--allow-mini", "--key", "key", "wsl"]);
    Ran::of(&mut made).exits(0);
    let targets = ["--to", "out", "--to", TARGET];
    Ran::of(&mut command(&project, weed.s3(), &targets)).exits(0);

    let (folder, stored) = (format!("out/{VERSION}"), format!("{TARGET}/{VERSION}"));
    let web = format!("http://{}/{BUCKET}/nixos/{VERSION}", weed.s3());
    let verify = |place: &str| {
        let mut command = command(&project, weed.s3(), &[]);
        command.args(["verify-release", place, "--key", "key.pub"]);
        Ran::of(&mut command)
    };
    for place in [&folder, &stored, &web] {
        let ran = verify(place).exits(0);
        assert!(ran.out.contains(&format!("release {VERSION}, 1 image")), "{}", ran.out);
    }
    let again = Ran::of(&mut command(&project, weed.s3(), &targets)).exits(0);
    assert_eq!(again.out.matches("were there, and are the same").count(), 2, "{}", again.out);

    // What somebody puts beside it is found where it can be listed.
    let more = format!("/buckets/{BUCKET}/nixos/{VERSION}/more");
    assert_eq!(http("PUT", weed.filer(), &more, b"mine").status, 201);
    verify(&stored).exits(1).says("more");
    verify("s3://images").exits(2).says("names no version");
    verify("s3://images/nixos/26.11").exits(1);
}

#[test]
fn a_dry_run_lists_and_sends_nothing() {
    let weed = Weed::start();
    let release = Release::new();
    let project = project(&release);
    let proxy = Proxy::new(weed.s3());
    let args = ["--to", TARGET, "--to", "out", "--dry-run"];
    let ran = Ran::of(&mut command(&project, proxy.at, &args)).exits(0);
    for object in ["SHA256SUMS", "streams/v1/index.json", "nixos-26.05.1.wsl"] {
        let line = ran.out.lines().find(|line| line.ends_with(&format!(" {object}"))).unwrap();
        assert!(line.trim_start().starts_with("send "), "{line}");
    }
    assert!(ran.out.contains("100000 application/octet-stream"), "{}", ran.out);
    assert!(proxy.requests().iter().all(|request| request.method == "GET"));
    assert!(!project.path("out").exists());

    // What cannot be asked is listed all the same.
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
    let mut unasked =
        command(&project, nowhere, &["--to", TARGET, "--dry-run", "--format", "json"]);
    let json = Ran::of(&mut unasked).exits(0).json();
    let objects = json[0]["objects"].as_array().unwrap();
    assert_eq!(objects.len(), release.names().len());
    assert!(objects.iter().all(|object| object["state"] == "unknown"));
    assert!(json[0]["unknown"].as_str().unwrap().contains("Connection refused"), "{json:#}");

    Ran::of(&mut command(&project, weed.s3(), &["--to", "out"])).exits(0);
    let ran = Ran::of(&mut command(&project, weed.s3(), &["--to", "out", "--dry-run"])).exits(0);
    assert!(!ran.out.contains("  send"), "{}", ran.out);
    fs::write(project.path("out").join(VERSION).join("index.html"), "mine").unwrap();
    Ran::of(&mut command(&project, weed.s3(), &["--to", "out", "--dry-run"])).exits(1);
}

#[test]
fn what_cannot_be_meant_is_usage() {
    let release = Release::new();
    let project = Project::new();
    let run = |args: &[&str]| project.run(&[&["publish"], args].concat());
    run(&["--to", "out"]).exits(2).says("there is none");
    adopt(&project, &release, VERSION);
    run(&["26.11", "--to", "out"]).exits(2).says("there is 26.05.1");
    adopt(&project, &release, "26.05.2");
    run(&["--to", "out"]).exits(2).says("there are 26.05.1, 26.05.2");
    run(&["--to", "gs://bucket"]).exits(2).says("oci://REGISTRY/REPOSITORY");
    run(&[]).exits(2).says("--to");
    run(&["--to", "out", "--parallel", "0"]).exits(2);
    assert!(!project.path("out").exists());
    // A folder of a release, wherever it is.
    run(&[release.folder().to_str().unwrap(), "--to", "out"]).exits(0);
    assert_eq!(project.list("out"), [VERSION]);
    fs::write(release.folder().join("more"), "").unwrap();
    run(&[release.folder().to_str().unwrap(), "--to", "elsewhere"]).exits(1).says("more is of no");
}

#[test]
fn a_full_disk_leaves_nothing_visible() {
    let mut release = Release::new();
    release.add_large("nixos-large-26.05.1.img", 4 << 20);
    release.seal();
    let project = project(&release);
    let mut shell = Command::new("sh");
    // No file may have more than 1 MiB: the file system says so as it does when it is full.
    shell.args(["-c", "trap '' XFSZ; ulimit -f 2048; exec \"$@\"", "sh"]);
    shell.arg(env!("CARGO_BIN_EXE_xtask")).args(["publish", "--to", "out"]);
    let ran = Ran::of(shell.current_dir(project.dir.path())).exits(3);
    assert!(ran.err.contains("cannot write nixos-large-26.05.1.img into out"), "{}", ran.err);
    assert!(ran.err.contains("make room"), "{}", ran.err);
    assert_eq!(project.list("out"), Vec::<String>::new());
    project.run(&["publish", "--to", "out"]).exits(0);

    // Killed there, where it completes a version that others read already.
    fs::remove_file(project.path("out").join(VERSION).join("nixos-large-26.05.1.img")).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -c 0; ulimit -f 2048; exec \"$@\"", "sh"]);
    shell.arg(env!("CARGO_BIN_EXE_xtask")).args(["publish", "--to", "out"]);
    let killed = shell.current_dir(project.dir.path()).output().unwrap();
    assert!(killed.status.signal().is_some(), "{killed:?}");
    project.run(&["publish", "--to", "out"]).exits(0);
    assert_eq!(project.list("out"), [VERSION]);
}

#[test]
fn nothing_that_was_started_outlives_a_failure() {
    let project = project(&Release::new());
    // A model of `gh`: one upload fails, and another one takes a long time.
    let draft = r#"{"id":1,"tag_name":"26.05.1","draft":true,"html_url":"x","upload_url":"http://x/{?name}"}"#;
    let gh = format!(
        "#!{}\ncase \"$*\" in\n\
         *'--method POST repos/'*) echo '{draft}';;\n\
         *name=empty*) while ! test -s \"$HOME/pid\"; do sleep 0.1; done\n\
           echo 'gh: no (HTTP 422)' >&2; exit 1;;\n\
         *--input*) echo $$ >\"$HOME/pid\"; exec sleep 600;;\n\
         esac\n",
        which("sh", "dash").display()
    );
    let gh = project.program("gh", &gh);
    let path = std::env::var("PATH").unwrap();
    let mut command = project.command();
    command.args(["publish", "--to", "github:me/x"]);
    command.env("PATH", format!("{}:{path}", gh.parent().unwrap().display()));
    let ran = Ran::of(&mut command).exits(3);
    assert!(ran.err.contains("cannot send empty-26.05.1.img to github:me/x"), "{}", ran.err);
    assert!(ran.err.contains("because: gh: no (HTTP 422)"), "{}", ran.err);
    let pid = fs::read_to_string(project.path("pid")).unwrap();
    let process = Path::new("/proc").join(pid.trim()).join("cmdline");
    let runs = || fs::read(&process).is_ok_and(|words| words.starts_with(b"sleep"));
    let ended = Instant::now();
    while runs() {
        assert!(ended.elapsed() < Duration::from_secs(10), "{pid} goes on");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn somebody_without_rights_is_told() {
    let weed = Weed::start();
    let project = project(&Release::new());
    let mut command = command(&project, weed.s3(), &["--to", TARGET]);
    let ran = Ran::of(command.env("AWS_SECRET_ACCESS_KEY", "wrong")).exits(3);
    assert!(ran.err.contains("SignatureDoesNotMatch"), "{}", ran.err);
    assert!(ran.err.contains("AWS_SECRET_ACCESS_KEY") && !ran.err.contains("wrong"), "{}", ran.err);
}

/// Numbers of the parts that the server took since this was asked for the last time.
fn arrived(proxy: &Proxy) -> Vec<String> {
    let taken = proxy.requests().into_iter().filter(|r| r.is_part() && r.status == Some(200));
    let number = |target: &str| {
        let (_, rest) = target.split_once("partNumber=").unwrap();
        rest.split('&').next().unwrap().to_owned()
    };
    taken.map(|request| number(&request.target)).collect()
}

/// How many parts the program has noted.
fn noted(project: &Project) -> usize {
    let dir = project.path("dist/release/.publish");
    let text = |name: &String| fs::read_to_string(dir.join(name)).unwrap();
    list(&dir).iter().map(|name| text(name).matches("\"what\":\"part\"").count()).sum()
}

/// The program ends in the middle of an upload, and the next run goes on there.
#[track_caller]
fn goes_on_after(signal: &str, end: impl Fn(&mut Child)) {
    let weed = Weed::start();
    let mut release = Release::new();
    release.add_large("nixos-large-26.05.1.img", (9 << 23) - 1);
    release.seal();
    let project = project(&release);
    // Whoever sends the sixth part waits for a long time.
    let parts = Arc::new(AtomicUsize::new(0));
    let of_proxy = parts.clone();
    let proxy = Proxy::with(weed.s3(), 0, move |request| {
        if request.is_part() && of_proxy.fetch_add(1, Ordering::SeqCst) >= 5 {
            thread::sleep(Duration::from_secs(300));
            return Fate::Break;
        }
        Fate::Pass
    });
    let mut process = command(&project, proxy.at, &["--to", TARGET])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Until the five before it are there, and noted.
    let begun = Instant::now();
    while noted(&project) < 5 {
        assert!(process.try_wait().unwrap().is_none(), "it ended too early");
        assert!(begun.elapsed() < Duration::from_secs(300), "{} parts are noted", noted(&project));
        thread::sleep(Duration::from_millis(10));
    }
    let pid = process.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    end(&mut process);
    let first = arrived(&proxy);
    assert_eq!(first.len(), 5, "{first:?}");
    for name in ["SHA256SUMS", "index.html", "nixos-large-26.05.1.img"] {
        let target = format!("/{BUCKET}/nixos/{VERSION}/{name}");
        assert_eq!(http("GET", weed.s3(), &target, &[]).status, 404, "{name}");
    }

    proxy.judge(|_| Fate::Pass);
    Ran::of(&mut command(&project, proxy.at, &["--to", TARGET])).exits(0);
    let second = arrived(&proxy);
    assert!(second.iter().all(|part| !first.contains(part)), "{second:?} after {first:?}");
    // One that the killed program had sent already may pass the proxy only now.
    let distinct: BTreeSet<_> = second.iter().collect();
    assert_eq!(first.len() + distinct.len(), 9, "{second:?} after {first:?}");
    assert!(second.len() <= distinct.len() + 4, "{second:?} after {first:?}");
}

#[test]
fn an_interrupted_upload_goes_on() {
    goes_on_after("-INT", |process| {
        assert_eq!(process.wait().unwrap().code(), Some(130));
        let mut err = String::new();
        process.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert!(err.ends_with("interrupted\n"), "{err}");
    });
}

#[test]
fn a_killed_upload_goes_on() {
    goes_on_after("-KILL", |process| assert_eq!(process.wait().unwrap().code(), None));
}

#[test]
fn memory_does_not_grow_with_images_or_lanes() {
    const SIZE: u64 = 400 << 20;
    let weed = Weed::start();
    let mut release = Release::new();
    for name in ["a", "b"] {
        release.add_large(&format!("nixos-{name}-26.05.1.img"), SIZE / 2);
    }
    release.seal();
    let project = Project::new();
    let folder = release.folder();
    let args = [folder.to_str().unwrap(), "--to", TARGET, "--parallel", "64"];
    let mut process = command(&project, weed.s3(), &args).stdout(Stdio::null()).spawn().unwrap();
    let mut most = 0;
    let status = loop {
        most = most.max(high_water(process.id()).unwrap_or(0));
        if let Some(status) = process.try_wait().unwrap() {
            break status;
        }
        thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success(), "{status}");
    assert!(most > 16 << 20 && most < 256 << 20, "{most} bytes");
}

/// The most memory that a process had so far, in bytes.
fn high_water(pid: u32) -> Option<u64> {
    let status =
        fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

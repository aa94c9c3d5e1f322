//! Releases that are read by http.

use std::{
    io::Read as _,
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use image_publish::{Patience, http::Http};
use image_release::check::Source as _;

use crate::{
    release::{HASTE, pattern},
    servers::{START, free_ports},
    stub::{Answer, Stub, answer},
};

fn read(stub: &Stub, path: &str) -> Result<Option<Vec<u8>>, String> {
    let release = Http::new(&format!("http://{}/release", stub.host()), HASTE).unwrap();
    let told = |error: std::io::Error| error.to_string();
    let Some(mut opened) = release.open(path).map_err(told)? else { return Ok(None) };
    let mut bytes = Vec::new();
    opened.reader.read_to_end(&mut bytes).map_err(told)?;
    assert!(opened.len.is_none_or(|len| len == bytes.len() as u64));
    Ok(Some(bytes))
}

#[test]
fn files_are_there_or_are_not() {
    let stub = Stub::new(|asked| match asked.path.as_str() {
        "/release/SHA256SUMS" => answer(200, "sums\n"),
        "/release/streams/v1/a%20b" => answer(200, ""),
        "/release/gone" => answer(410, ""),
        "/release/secret" => answer(403, "<html>\nForbidden"),
        _ => answer(404, "no"),
    });
    assert_eq!(read(&stub, "SHA256SUMS").unwrap().unwrap(), b"sums\n");
    assert_eq!(read(&stub, "streams/v1/a b").unwrap().unwrap(), b"");
    assert_eq!(read(&stub, "other"), Ok(None));
    assert_eq!(read(&stub, "gone"), Ok(None));
    let error = read(&stub, "secret").unwrap_err();
    assert!(error.ends_with("/release/secret: the server says 403 Forbidden"), "{error}");
    let before = stub.asked().len();
    assert_eq!(read(&stub, "../other"), Ok(None));
    assert_eq!(stub.asked().len(), before, "nothing is asked for outside of the release");
    let agent = stub.asked()[0].header("user-agent").unwrap().to_owned();
    assert!(agent.starts_with("image-factory/"), "{agent}");
}

#[test]
fn what_fails_for_a_moment_is_tried_again() {
    let left = Mutex::new(vec![503, 429, 500]);
    let stub = Stub::new(move |_| match left.lock().unwrap().pop() {
        Some(status) => answer(status, "busy"),
        None => answer(200, "here"),
    });
    assert_eq!(read(&stub, "x").unwrap().unwrap(), b"here");
    assert_eq!(stub.asked().len(), 4);

    let never = Stub::new(|_| answer(503, "  still busy\nor so"));
    let error = read(&never, "x").unwrap_err();
    assert!(error.ends_with("503 Service Unavailable: still busy"), "{error}");
    assert_eq!(never.asked().len(), HASTE.tries as usize);

    let wrong = Stub::new(|_| answer(400, "{\"errors\": [{\"message\": \"what?\"}]}"));
    let error = read(&wrong, "x").unwrap_err();
    assert!(error.ends_with("400 Bad Request: what?"), "{error}");
    assert_eq!(wrong.asked().len(), 1);
}

#[test]
fn what_broke_off_goes_on_where_it_was() {
    let bytes = pattern(300_000, 7);
    let file = bytes.clone();
    let stub = Stub::new(move |asked| {
        let tag = ("ETag", "\"one\"".to_owned());
        let Some(range) = asked.header("range") else {
            let cut = Some(100_000);
            return Answer { headers: vec![tag], cut, ..answer(200, file.clone()) };
        };
        assert_eq!(asked.header("if-range"), Some("\"one\""));
        let begin: usize =
            range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap();
        let range = format!("bytes {begin}-{}/{}", file.len() - 1, file.len());
        let headers = vec![tag, ("Content-Range", range)];
        let cut = (begin < 200_000).then_some(100_000);
        Answer { headers, cut, ..answer(206, &file[begin..]) }
    });
    assert!(read(&stub, "x").unwrap().unwrap() == bytes);
    let ranges: Vec<_> =
        stub.asked().iter().map(|asked| asked.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges.len(), 3, "{ranges:?}");
    assert_eq!(ranges[1].as_deref(), Some("bytes=100000-"));
}

#[test]
fn a_server_without_ranges_sends_all_again() {
    let bytes = pattern(50_000, 3);
    let (file, cuts) = (bytes.clone(), Mutex::new(vec![40_000, 10_000, 30_000]));
    let stub = Stub::new(move |_| {
        let cut = cuts.lock().unwrap().pop();
        Answer { cut, ..answer(200, file.clone()) }
    });
    assert!(read(&stub, "x").unwrap().unwrap() == bytes);
    assert_eq!(stub.asked().len(), 4);
}

#[test]
fn another_file_is_not_glued_to_the_first_one() {
    let count = Mutex::new(0);
    let stub = Stub::new(move |_| {
        let mut count = count.lock().unwrap();
        *count += 1;
        let headers = vec![("ETag", format!("\"{count}\""))];
        Answer { headers, cut: Some(10), ..answer(200, pattern(100, *count)) }
    });
    let error = read(&stub, "x").unwrap_err();
    assert!(error.ends_with("it changed while it was read"), "{error}");

    // One that ends early each time is given up.
    let stub = Stub::new(move |_| Answer { cut: Some(10), ..answer(200, pattern(100, 1)) });
    let error = read(&stub, "x").unwrap_err();
    assert!(error.contains("broke off after 10 bytes: "), "{error}");
    assert_eq!(stub.asked().len(), HASTE.tries as usize);
}

#[test]
fn redirects_are_followed_as_far_as_they_are_safe() {
    let other = Stub::new(|asked| match asked.header("authorization") {
        None => answer(200, "elsewhere"),
        Some(_) => answer(400, "no password is for me"),
    });
    let there = format!("http://{}/file", other.host());
    let stub = Stub::new(move |asked| {
        let to = match asked.path.as_str() {
            "/release/moved" => there.clone(),
            "/release/file" => "file:///etc/passwd".to_owned(),
            _ => "/release/round".to_owned(),
        };
        Answer { headers: vec![("Location", to)], ..answer(302, "") }
    });
    assert_eq!(read(&stub, "moved").unwrap().unwrap(), b"elsewhere");
    let error = read(&stub, "file").unwrap_err();
    assert!(error.ends_with("the server says 302 Found"), "{error}");
    let error = read(&stub, "round").unwrap_err();
    assert!(error.contains("too many redirects"), "{error}");
}

#[test]
fn nobody_there_is_said_in_words() {
    let release = Http::new("http://127.0.0.1:1/", HASTE).unwrap();
    let error = release.open("SHA256SUMS").unwrap_err().to_string();
    assert!(error.contains("Connection refused"), "{error}");
    assert!(error.starts_with("http://127.0.0.1:1/SHA256SUMS: "), "{error}");

    // A name that nobody can have, whatever server of names there is, is asked for once.
    let error = refused_at_once(&format!("http://{}.invalid/", "x".repeat(64)));
    assert!(error.contains("lookup address"), "{error}");
}

/// Why nothing is read from there; who tries again does so after hours.
fn refused_at_once(address: &str) -> String {
    let hours = Duration::from_secs(3600);
    let patience = Patience { tries: 9, first: hours, longest: hours };
    let release = Http::new(address, patience).unwrap();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(release.open("x").unwrap_err().to_string()));
    receiver.recv_timeout(START).expect("it waits for another try")
}

/// A server that speaks TLS, with a certificate that nobody knows.
struct Stranger(Child);

impl Drop for Stranger {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_certificate_that_nobody_knows_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let [port] = free_ports();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "36500", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost"])
        .arg("-keyout")
        .arg(path("key.pem"))
        .arg("-out")
        .arg(path("certificate.pem"))
        .output()
        .expect("openssl does not start: tests/setup.sh installs it");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let server = Command::new("openssl")
        .args(["s_server", "-quiet", "-WWW", "-accept", &format!("127.0.0.1:{port}")])
        .arg("-key")
        .arg(path("key.pem"))
        .arg("-cert")
        .arg(path("certificate.pem"))
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _server = Stranger(server);
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < START, "openssl does not listen");
        thread::sleep(Duration::from_millis(20));
    }
    // Who is a stranger now is one later.
    let error = refused_at_once(&format!("https://localhost:{port}/"));
    assert!(error.contains("certificate"), "{error}");
}

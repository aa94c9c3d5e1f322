//! Storage that speaks S3: SeaweedFS, which checks signatures, and moto.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use image_factory::{Fault, event::Event};
use image_model::FileRole;
use image_publish::{Environment, PublishError, Published, publish};

use crate::{
    proxy::{Fate, Proxy, Request},
    release::{Release, VERSION, sha256, tree},
    servers::{BUCKET, KEY, Moto, SECRET, Weed, environment, http},
    stub::{Answer, Stub, answer},
};

const TARGET: &str = "s3://images/nixos/x86";

/// Large enough for six parts, the last one short.
const LARGE: u64 = (5 << 23) + 12_345;
const LARGE_NAME: &str = "nixos-large-26.05.1.img";

fn with_large() -> Release {
    let mut release = Release::new();
    release.add_large(LARGE_NAME, LARGE);
    release.seal();
    release
}

fn send(
    release: &Release,
    environment: Environment,
) -> (Result<Published, PublishError>, Vec<String>) {
    let mut options = release.options(TARGET);
    options.environment = environment;
    let told = Mutex::new(Vec::new());
    let published = publish(&options, &|event| {
        if let Event::Notice(text) = event {
            told.lock().unwrap().push(text);
        }
    });
    (published, told.into_inner().unwrap())
}

/// Everything is there, for anybody who asks, with the same bytes.
#[track_caller]
fn is_complete(release: &Release, at: SocketAddr) {
    let (_, objects) = image_publish::objects(&release.folder()).unwrap();
    for object in objects {
        let answer = get(at, &object.name);
        assert_eq!(answer.status, 200, "{}", object.name);
        assert_eq!(sha256(&answer.body), object.sha256, "{}", object.name);
        // SeaweedFS thinks that it knows better what is in `application/octet-stream`.
        let media_type = answer.header("content-type").unwrap();
        let is_vague = object.media_type == "application/octet-stream";
        assert!(media_type == object.media_type || is_vague, "{media_type}");
        assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
        let digest = object.sha256.to_string();
        assert_eq!(answer.header("x-amz-meta-sha256"), Some(digest.as_str()));
    }
}

fn get(at: SocketAddr, name: &str) -> crate::servers::Answer {
    http("GET", at, &format!("/{BUCKET}/nixos/x86/{VERSION}/{name}"), &[])
}

#[track_caller]
fn is_not_visible(at: SocketAddr) {
    for name in ["SHA256SUMS", "index.html", "streams/v1/index.json"] {
        assert_eq!(get(at, name).status, 404, "{name}");
    }
}

fn names(requests: &[Request]) -> Vec<&str> {
    let objects = requests.iter().filter(|request| request.is_object());
    objects.map(|request| name(&request.target)).collect()
}

fn name(target: &str) -> &str {
    let path = target.split('?').next().unwrap();
    path.split_once(&format!("/{VERSION}/")).map_or(path, |(_, name)| name)
}

#[test]
fn a_version_is_sent_once_in_its_order_and_several_parts_at_a_time() {
    let weed = Weed::start();
    let release = with_large();
    let proxy = Proxy::with(weed.s3(), 4, |_| Fate::Pass);
    let (published, told) = send(&release, weed.environment(proxy.at));
    let published = published.unwrap();
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(published.place, format!("{TARGET}/{VERSION}"));
    assert!(published.present.is_empty());
    is_complete(&release, weed.s3());
    assert_eq!(proxy.most_under_way(), 4);

    let requests = proxy.requests();
    let sent = names(&requests);
    let at = |name: &str| sent.iter().rposition(|sent| *sent == name).unwrap();
    let order = [
        LARGE_NAME,
        "nixos-26.05.1.wsl.intoto.jsonl",
        "SHA256SUMS.minisig",
        "SHA256SUMS",
        "streams/v1/index.json",
        "index.html",
    ];
    assert!(order.map(at).is_sorted(), "{sent:?}");
    assert_eq!(at("index.html") + 1, sent.len());
    // Nothing takes the place of anything, and every part is checked as it arrives.
    for request in &requests {
        if request.is_part() || request.method == "PUT" {
            assert!(request.header("x-amz-checksum-sha256").is_some(), "{request:?}");
        }
        if request.is_object() {
            assert_eq!(request.header("if-none-match"), Some("*"), "{request:?}");
        }
    }
    // Everything was read back before what names it was sent.
    let position = |of: &dyn Fn(&Request) -> bool| requests.iter().position(of).unwrap();
    let read = position(&|r| r.method == "GET" && name(&r.target) == LARGE_NAME);
    assert!(read < position(&|r| r.is_object() && name(&r.target) == "manifest.json"));

    // Again, from this machine: nothing is sent, and nothing is read that was read.
    let (again, _) = send(&release, weed.environment(proxy.at));
    let again = again.unwrap();
    assert!(again.sent.is_empty() && again.present.len() == release.names().len(), "{again:?}");
    let more = proxy.requests();
    assert!(more.iter().all(|request| request.method == "GET"), "{more:?}");
    assert_eq!(more.len(), 1, "{more:?}");

    // From another machine: nothing is sent, and everything is read.
    fs::remove_dir_all(release.dir.path().join("release/.publish")).unwrap();
    assert!(send(&release, weed.environment(proxy.at)).0.unwrap().sent.is_empty());
    let more = proxy.requests();
    assert!(more.iter().all(|request| request.method == "GET"), "{more:?}");
    assert!(more.len() > release.names().len());
}

#[test]
fn moto_has_what_was_sent() {
    let moto = Moto::start();
    let release = with_large();
    let (published, told) = send(&release, environment(moto.at, "any", "thing"));
    published.unwrap();
    assert!(told.is_empty(), "{told:?}");
    is_complete(&release, moto.at);
    assert!(send(&release, environment(moto.at, "any", "thing")).0.unwrap().sent.is_empty());
}

#[test]
fn other_bytes_of_the_same_version_are_refused_before_anything_is_sent() {
    let weed = Weed::start();
    let mut release = Release::new();
    send(&release, weed.environment(weed.s3())).0.unwrap();
    let file = "nixos-26.05.1.wsl.cdx.json";
    release.add(file, FileRole::Sbom, "application/vnd.cyclonedx+json", b"cdx.jsoN");
    release.add("nixos-new-26.05.1.iso", FileRole::Payload, "application/octet-stream", b"new");
    release.seal();
    let proxy = Proxy::new(weed.s3());
    let (published, _) = send(&release, weed.environment(proxy.at));
    let error = published.unwrap_err();
    assert_eq!(error.fault(), Fault::Image);
    let PublishError::Conflict { differences, .. } = &error else { panic!("{error:?}") };
    // The manifest has another size, and is told without reading anything.
    assert!(differences.iter().any(|d| d.starts_with("manifest.json has")), "{differences:?}");
    let requests = proxy.requests();
    assert!(requests.iter().all(|request| request.method == "GET"), "{requests:?}");
    assert_eq!(get(weed.s3(), "nixos-new-26.05.1.iso").status, 404);
    assert_eq!(get(weed.s3(), file).body, b"cdx.json");
}

#[test]
fn what_appears_meanwhile_is_not_replaced() {
    let weed = Weed::start();
    // What is under way when a run fails may still arrive: the large one comes last.
    for (release, file) in [(Release::new(), "nixos-26.05.1.wsl"), (with_large(), LARGE_NAME)] {
        let s3 = weed.s3();
        let environment = weed.environment(s3);
        // Somebody publishes another version under the same name between the question and the answer.
        let done = Arc::new(AtomicUsize::new(0));
        let of_proxy = done.clone();
        let proxy = Proxy::with(s3, 0, move |request| {
            let writes = request.is_object() && !request.target.contains("uploads");
            let is_file = writes && name(&request.target) == file;
            if is_file && of_proxy.fetch_add(1, Ordering::SeqCst) == 0 {
                let mut other = Release::new();
                other.add(file, FileRole::Payload, "application/octet-stream", b"another");
                other.seal();
                let _ = send(&other, environment.clone());
            }
            Fate::Pass
        });
        let (published, _) = send(&release, weed.environment(proxy.at));
        let error = published.unwrap_err();
        assert!(
            matches!(error, PublishError::Conflict { .. } | PublishError::ReadBack { .. }),
            "{error:?}"
        );
        assert_eq!(get(s3, file).body, b"another");
        assert!(done.load(Ordering::SeqCst) >= 1);
        let emptied =
            http("DELETE", weed.filer(), &format!("/buckets/{BUCKET}/nixos?recursive=true"), &[]);
        assert!(emptied.status < 300, "{emptied:?}");
    }
}

#[test]
fn a_server_that_dies_in_the_middle_leaves_nothing_visible_and_the_next_run_goes_on() {
    let mut weed = Weed::start();
    let release = with_large();
    let parts = AtomicUsize::new(0);
    let pid = weed.pid();
    let proxy = Proxy::with(weed.s3(), 0, move |request| {
        // The fifth part is the last thing that it hears of; it has taken one at least.
        if request.is_part() && parts.fetch_add(1, Ordering::SeqCst) == 4 {
            let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
            assert!(killed.unwrap().success());
        }
        Fate::Pass
    });
    let (published, told) = send(&release, weed.environment(proxy.at));
    let error = published.unwrap_err();
    assert_eq!(error.fault(), Fault::Host);
    // Which one gives up first is chance: a part, a small file, or one that is being read back.
    let text = error.to_string();
    assert!(text.starts_with("cannot send") || text.starts_with("cannot read"), "{text}");
    assert!(told.iter().any(|text| text.contains("try 1 of 6")), "{told:?}");
    let noted = noted(&release);
    assert!(!noted.is_empty() && noted.len() < 6, "{noted:?}");
    proxy.requests();

    weed.restart();
    is_not_visible(weed.s3());
    assert_eq!(get(weed.s3(), LARGE_NAME).status, 404);
    proxy.judge(|_| Fate::Pass);
    send(&release, weed.environment(proxy.at)).0.unwrap();
    is_complete(&release, weed.s3());
    let arrived = arrived(&proxy.requests());
    assert!(arrived.is_disjoint(&noted), "{arrived:?} and before {noted:?}");
    assert!((1..=6).eq(&arrived | &noted), "{arrived:?} and before {noted:?}");
}

/// Numbers of the parts that the server took.
fn arrived(requests: &[Request]) -> BTreeSet<u64> {
    let taken = requests.iter().filter(|r| r.is_part() && r.status == Some(200));
    let number = |target: &str| {
        let (_, rest) = target.split_once("partNumber=").unwrap();
        rest.split('&').next().unwrap().parse().unwrap()
    };
    taken.map(|request| number(&request.target)).collect()
}

/// Numbers of the parts that are known to be there. The server may have more: the answer to the last
/// ones may not have been read any more.
fn noted(release: &Release) -> BTreeSet<u64> {
    let journals = tree(&release.dir.path().join("release/.publish"));
    assert_eq!(journals.len(), 1);
    let lines = journals[0].1.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let records = lines.map(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap());
    let parts = records.filter(|record| record["what"] == "part");
    parts.map(|part| part["number"].as_u64().unwrap() + 1).collect()
}

#[test]
fn an_upload_that_the_storage_forgot_begins_anew() {
    let weed = Weed::start();
    let release = with_large();
    let proxy = Proxy::with(weed.s3(), 0, |request| match request.is_object() {
        true if request.target.contains("uploadId=") => Fate::Answer(403, ""),
        _ => Fate::Pass,
    });
    let (published, told) = send(&release, weed.environment(proxy.at));
    assert!(matches!(published, Err(PublishError::Place { .. })));
    assert!(told.is_empty(), "what is forbidden is not tried again: {told:?}");
    let id = upload_id(&proxy.requests());
    let target = format!("/{BUCKET}/nixos/x86/{VERSION}/{LARGE_NAME}?uploadId={id}");
    // Uploads are folders of its server of files.
    let uploads = format!("/buckets/{BUCKET}/.uploads/?recursive=true");
    assert!(http("DELETE", weed.filer(), &uploads, &[]).status < 300, "{target}");
    proxy.judge(|_| Fate::Pass);
    send(&release, weed.environment(proxy.at)).0.unwrap();
    is_complete(&release, weed.s3());
    assert_ne!(upload_id(&proxy.requests()), id);
}

fn upload_id(requests: &[Request]) -> String {
    let last = requests.iter().rev().find_map(|r| r.target.split_once("uploadId="));
    last.unwrap().1.split('&').next().unwrap().to_owned()
}

#[test]
fn what_passes_is_tried_again() {
    let weed = Weed::start();
    let release = with_large();
    let seen = Mutex::new(std::collections::BTreeMap::<String, usize>::new());
    // Every request fails twice, each time in another way.
    let proxy = Proxy::with(weed.s3(), 0, move |request| {
        let mut seen = seen.lock().unwrap();
        let range = request.header("range").unwrap_or_default();
        let count =
            seen.entry(format!("{} {} {range}", request.method, request.target)).or_default();
        *count += 1;
        match (*count, request.target.len() % 2) {
            (1, 0) => Fate::Answer(503, "<Error><Code>SlowDown</Code></Error>"),
            (1, _) => Fate::Break,
            (2, _) if request.method == "GET" => Fate::HalfAnAnswer,
            (2, _) => Fate::LoseAnswer,
            _ => Fate::Pass,
        }
    });
    let (published, told) = send(&release, weed.environment(proxy.at));
    let published = published.unwrap();
    assert_eq!(published.sent.len(), release.names().len());
    is_complete(&release, weed.s3());
    assert!(told.iter().any(|text| text.contains("SlowDown")), "{told:?}");
}

#[test]
fn a_server_of_an_older_kind_gets_what_it_knows() {
    let weed = Weed::start();
    let release = with_large();
    let proxy = Proxy::with(weed.s3(), 0, |request| {
        let is_new = request.header("if-none-match").is_some()
            || request.headers.iter().any(|(name, _)| name.starts_with("x-amz-checksum"));
        match is_new && request.method != "GET" {
            true => Fate::Answer(501, "<Error><Code>NotImplemented</Code></Error>"),
            false => Fate::Pass,
        }
    });
    let (published, told) = send(&release, weed.environment(proxy.at));
    published.unwrap();
    is_complete(&release, weed.s3());
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("does without"), "{told:?}");
    // It was looked for before it was sent.
    let requests = proxy.requests();
    let position = |method: &str| {
        requests.iter().position(|r| {
            r.method == method && name(&r.target) == "index.html" && r.status != Some(501)
        })
    };
    assert!(position("HEAD").unwrap() < position("PUT").unwrap(), "{requests:#?}");
}

#[test]
fn who_may_not_is_told_so_at_once() {
    let weed = Weed::start();
    let release = Release::new();
    for (key, secret) in [(KEY, "wrong"), ("nobody", SECRET)] {
        let proxy = Proxy::new(weed.s3());
        let (published, told) = send(&release, environment(proxy.at, key, secret));
        let error = published.unwrap_err();
        assert_eq!(error.fault(), Fault::Host);
        let text = format!("{error}: {}", std::error::Error::source(&error).unwrap());
        assert!(text.contains("AWS_ACCESS_KEY_ID") && text.contains("403"), "{text}");
        assert!(!text.contains(secret) && !text.contains("http://"), "{text}");
        assert!(told.is_empty(), "{told:?}");
        assert_eq!(proxy.requests().len(), 1);
    }
    is_not_visible(weed.s3());
}

#[test]
fn a_bucket_that_is_gone_is_told_and_not_made() {
    let weed = Weed::start();
    let release = Release::new();
    let gone = http("DELETE", weed.filer(), &format!("/buckets/{BUCKET}?recursive=true"), &[]);
    assert!(gone.status < 300, "{gone:?}");
    let moto = Moto::start();
    assert_eq!(http("DELETE", moto.at, &format!("/{BUCKET}"), &[]).status, 204);
    for at in [weed.s3(), moto.at] {
        let (published, told) = send(&release, environment(at, KEY, SECRET));
        let error = published.unwrap_err();
        let text = format!("{error}: {}", std::error::Error::source(&error).unwrap());
        assert!(text.contains("NoSuchBucket") && text.contains("is not made here"), "{text}");
        assert!(told.is_empty(), "{told:?}");
    }
}

#[test]
fn a_bucket_that_vanishes_in_the_middle_is_told() {
    let moto = Moto::start();
    let release = with_large();
    let proxy = Proxy::with(moto.at, 0, |request| match name(&request.target) {
        "SHA256SUMS.minisig" if request.method == "PUT" => {
            Fate::Answer(404, "<Error><Code>NoSuchBucket</Code></Error>")
        }
        _ => Fate::Pass,
    });
    let (published, _) = send(&release, environment(proxy.at, KEY, SECRET));
    let text = published.unwrap_err().to_string();
    assert!(text.starts_with("cannot send SHA256SUMS.minisig to s3://images/"), "{text}");
    is_not_visible(moto.at);
}

#[test]
fn who_has_no_room_says_so_once() {
    let release = Release::new();
    for (status, code, hint) in [
        (507, "InsufficientStorage", "make room"),
        (507, "", "make room"),
        (503, "XMinioStorageFull", "make room"),
        (403, "QuotaExceeded", "make room"),
        (403, "RequestTimeTooSkewed", "clock"),
    ] {
        let stub = Stub::new(move |asked| match &*asked.method {
            "GET" => answer(200, "<ListBucketResult></ListBucketResult>"),
            "HEAD" => answer(404, ""),
            _ => answer(status, format!("<Error><Code>{code}</Code></Error>")),
        });
        let at = stub.host().parse().unwrap();
        let (published, told) = send(&release, environment(at, KEY, SECRET));
        let error = published.unwrap_err();
        assert!(error.to_string().contains(hint), "{error}");
        assert!(!error.to_string().contains("AWS_"), "{error}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, format!("the server says {status} {code}").trim_end());
        assert!(told.is_empty(), "{told:?}");
    }
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let release = Release::new();
    let at = SocketAddr::from(([127, 0, 0, 1], 1));
    let (published, told) = send(&release, environment(at, KEY, SECRET));
    let error = published.unwrap_err();
    let text = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    assert!(text.contains("Connection refused") && text.contains("AWS_ENDPOINT_URL"), "{text}");
    assert_eq!(told.len(), 5, "{told:?}");
}

#[test]
fn who_is_no_server_with_a_certificate_is_asked_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let (_, told) = thread::scope(|scope| {
        let served = scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
            // Closing it with something unread would be a reset.
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let https = ("AWS_ENDPOINT_URL", format!("https://{at}"));
        let keys = [("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET)];
        let variables = keys.map(|(name, value)| (name, value.to_owned())).into_iter();
        let (published, told) = send(&Release::new(), variables.chain([https]).collect());
        served.join().unwrap();
        let error = published.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("InvalidContentType"), "{cause}");
        (error, told)
    });
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn a_server_that_sends_without_end_fills_no_memory() {
    use image_publish::s3::Stored;
    use image_release::check::Source as _;

    let stub = Stub::new(|asked| match &*asked.method {
        // The length is what the question was about; the body is not.
        "HEAD" => Answer {
            headers: vec![
                ("Content-Length", "5".to_owned()),
                ("Last-Modified", "Sat, 28 Nov 2026 00:00:00 GMT".to_owned()),
                ("ETag", "\"x\"".to_owned()),
            ],
            ..answer(200, "")
        },
        _ if asked.path.contains("list-type=") => answer(200, vec![b' '; 20 << 20]),
        _ => Answer {
            headers: vec![
                ("Content-Range", "bytes 0-4/5".to_owned()),
                ("Last-Modified", "Sat, 28 Nov 2026 00:00:00 GMT".to_owned()),
                ("ETag", "\"x\"".to_owned()),
            ],
            ..answer(206, vec![b' '; 20 << 20])
        },
    });
    let at = stub.host().parse().unwrap();
    let stored =
        Stored::open(BUCKET, VERSION, &environment(at, KEY, SECRET), crate::release::HASTE)
            .unwrap();
    let mut opened = stored.open("x").unwrap().unwrap();
    let error = opened.reader.read_to_end(&mut Vec::new()).unwrap_err();
    let cause = std::error::Error::source(error.get_ref().unwrap()).unwrap().to_string();
    assert!(cause.contains("sends more than it was asked for"), "{error}: {cause}");
    assert!(stored.list().is_err());
}

#[test]
fn parts_of_a_release_that_was_made_anew_are_given_up() {
    let weed = Weed::start();
    let mut release = with_large();
    let proxy = Proxy::with(weed.s3(), 0, |request| match request.is_part() {
        true if request.target.contains("partNumber=3&") => Fate::Answer(403, ""),
        _ => Fate::Pass,
    });
    send(&release, weed.environment(proxy.at)).0.unwrap_err();
    let old = upload_id(&proxy.requests());
    release.add_large(LARGE_NAME, LARGE + 1);
    release.seal();
    proxy.judge(|_| Fate::Pass);
    // Of what is whole there, there is nothing of the old release but files that did not change.
    send(&release, weed.environment(proxy.at)).0.unwrap();
    is_complete(&release, weed.s3());
    let requests = proxy.requests();
    let given_up = |r: &&Request| r.method == "DELETE" && r.target.contains(&old);
    assert_eq!(requests.iter().filter(given_up).count(), 1, "{requests:?}");
    assert_ne!(upload_id(&requests), old);
}

#[test]
fn a_server_that_ignores_conditions_is_asked_before() {
    let weed = Weed::start();
    let release = with_large();
    let proxy = Proxy::new(weed.s3());
    send(&release, weed.environment(proxy.at)).0.unwrap();
    let requests = proxy.requests();
    for request in requests.iter().filter(|r| r.is_object() && !r.target.contains("uploads")) {
        let before = requests.iter().take_while(|r| !std::ptr::eq(*r, request));
        let asks = |r: &Request| r.method == "HEAD" && name(&r.target) == name(&request.target);
        assert!(before.into_iter().any(asks), "{request:?}");
    }
}

#[test]
fn a_file_that_changed_is_not_completed() {
    let weed = Weed::start();
    let release = with_large();
    let file = release.folder().join(LARGE_NAME);
    let mut bytes = fs::read(&file).unwrap();
    bytes[20 << 20] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let (published, _) = send(&release, weed.environment(weed.s3()));
    let error = published.unwrap_err();
    assert!(matches!(&error, PublishError::Changed { path } if *path == file), "{error:?}");
    assert_eq!(get(weed.s3(), LARGE_NAME).status, 404);
    is_not_visible(weed.s3());
    // Mended, it goes on.
    bytes[20 << 20] ^= 1;
    fs::write(&file, &bytes).unwrap();
    send(&release, weed.environment(weed.s3())).0.unwrap();
    is_complete(&release, weed.s3());
}

#[test]
fn what_others_put_there_is_told() {
    let moto = Moto::start();
    let release = Release::new();
    let put = format!("/{BUCKET}/nixos/x86/{VERSION}/notes.txt");
    assert_eq!(http("PUT", moto.at, &put, b"mine").status, 200);
    let (published, _) = send(&release, environment(moto.at, KEY, SECRET));
    let text = published.unwrap_err().to_string();
    assert!(text.contains("notes.txt is there, and not of this release"), "{text}");
    is_not_visible(moto.at);
    // What is folders to some programs is none of our business.
    assert_eq!(http("DELETE", moto.at, &put, &[]).status, 204);
    for folder in ["", "streams/"] {
        let put = format!("/{BUCKET}/nixos/x86/{VERSION}/{folder}");
        assert_eq!(http("PUT", moto.at, &put, &[]).status, 200);
    }
    send(&release, environment(moto.at, KEY, SECRET)).0.unwrap();
}

#[test]
fn an_environment_without_anything_is_told() {
    let release = Release::new();
    let variables = [("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1"), ("AWS_PROFILE", "absent")];
    let (published, _) = send(&release, variables.into_iter().collect());
    let error = published.unwrap_err();
    let text = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    assert!(text.contains("no profile \"absent\""), "{text}");
}

#[test]
fn a_release_is_read_from_where_it_was_put() {
    use image_publish::{look, s3::Stored};
    use image_release::check::Source as _;

    let weed = Weed::start();
    let release = with_large();
    let environment = weed.environment(weed.s3());
    let options =
        image_publish::Options { environment: environment.clone(), ..release.options(TARGET) };
    let seen = look(&options, &|_| ()).unwrap();
    assert!(seen.present.is_empty() && seen.sent.len() == release.names().len());
    assert!(!release.dir.path().join("release/.publish").exists(), "nothing is noted");
    is_not_visible(weed.s3());
    send(&release, environment.clone()).0.unwrap();
    assert!(look(&options, &|_| ()).unwrap().sent.is_empty());

    let prefix = format!("nixos/x86/{VERSION}");
    let stored = Stored::open(BUCKET, &prefix, &environment, crate::release::HASTE).unwrap();
    assert_eq!(stored.name(), format!("{TARGET}/{VERSION}"));
    let listed = stored.list().unwrap().unwrap();
    let names: Vec<_> = listed.into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, release.names());
    let (_, objects) = image_publish::objects(&release.folder()).unwrap();
    for object in objects {
        let opened = stored.open(&object.name).unwrap().unwrap();
        assert_eq!(opened.len, Some(object.size));
        let mut bytes = Vec::new();
        { opened.reader }.read_to_end(&mut bytes).unwrap();
        assert_eq!(sha256(&bytes), object.sha256);
    }
    for absent in ["absent", "../26.05.1/SHA256SUMS", "streams", "streams/", ""] {
        assert!(stored.open(absent).unwrap().is_none(), "{absent}");
    }
}

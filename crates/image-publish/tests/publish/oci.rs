//! Registries: one that knows no referrers, which is Debian's, and a model of one that does.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use image_factory::Fault;
use image_model::FileRole;
use image_publish::{
    Environment, Options, PublishError,
    oci::{Artifacts, ArtifactsError},
    publish,
};
use image_release::check::Source as _;
use serde_json::Value;
use sha2::Digest as _;

use crate::{
    registry::Registry,
    release::{HASTE, Release, VERSION, tree},
    stub::{Answer, Stub, answer},
};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The program that copies images, with `--raw` what a registry has.
fn skopeo(host: &str, reference: &str) -> Vec<u8> {
    // Without what somebody may have set up for it on this machine.
    let output = Command::new("skopeo")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", "/nonexistent")
        .args(["inspect", "--raw", "--tls-verify=false", "--no-creds"])
        .arg(format!("docker://{host}/nixos/images{reference}"))
        .output()
        .expect("skopeo does not start: tests/setup.sh installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What `curl` gets: no client of registries.
fn plain(host: &str, path: &str) -> Vec<u8> {
    let output = Command::new("curl")
        .args(["--disable", "--silent", "--show-error", "--fail", "--location", "--noproxy", "*"])
        .args(["--header", &format!("Accept: {INDEX}, application/vnd.oci.image.manifest.v1+json")])
        .arg(format!("http://{host}/v2/nixos/images/{path}"))
        .output()
        .expect("curl does not start: tests/setup.sh installs it");
    assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Our own reader.
fn open(host: &str, reference: &str) -> Result<Artifacts, ArtifactsError> {
    Artifacts::open((host, "nixos/images"), reference, &Environment::default(), HASTE)
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", image_model::Sha256(sha2::Sha256::digest(bytes).into()))
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer}: {value}"))
}

/// All files that a registry has of a release, by the titles of layers, each hashed.
fn files(host: &str, reference: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in json(&skopeo(host, reference))["manifests"].as_array().unwrap() {
        let known = text(entry, "/digest");
        let manifest = skopeo(host, &format!("@{known}"));
        assert_eq!(digest(&manifest), known);
        assert_eq!(entry["size"], manifest.len());
        let manifest = json(&manifest);
        assert_eq!(manifest["artifactType"], entry["artifactType"]);
        assert!(is_media_type(text(entry, "/artifactType")), "{entry}");
        for layer in manifest["layers"].as_array().unwrap() {
            assert!(is_media_type(text(layer, "/mediaType")), "{layer}");
            let blob = plain(host, &format!("blobs/{}", text(layer, "/digest")));
            assert_eq!(digest(&blob), text(layer, "/digest"));
            assert_eq!(layer["size"], blob.len());
            let title = text(layer, "/annotations/org.opencontainers.image.title").to_owned();
            assert!(files.insert(title, blob).is_none());
        }
    }
    files
}

/// RFC 6838 §4.2, as the JSON Schemas of the OCI Image Specification have it. Some registries take
/// nothing else.
fn is_media_type(text: &str) -> bool {
    let first = |c: char| c.is_ascii_alphanumeric();
    let other = |c: char| first(c) || "!#$&^_.+-".contains(c);
    let is_name =
        |name: &str| name.starts_with(first) && name.chars().all(other) && name.len() <= 127;
    text.split_once('/').is_some_and(|(name, sub)| is_name(name) && is_name(sub))
}

/// What a release has, by the names that clients look for.
fn expected(release: &Release) -> BTreeMap<String, Vec<u8>> {
    let (_, objects) = image_publish::objects(&release.folder()).unwrap();
    objects.into_iter().map(|o| (o.name, fs::read(o.path).unwrap())).collect()
}

/// Requests that change something.
fn changes(registry: &Registry) -> Vec<String> {
    let changing = |request: &String| !request.starts_with("GET ") && !request.starts_with("HEAD ");
    registry.requests().into_iter().filter(changing).collect()
}

#[test]
fn what_is_published_is_what_others_pull() {
    let release = Release::new();
    let registry = Registry::new(release.dir.path());
    let target = format!("oci://{}/nixos/images", registry.host());
    let (published, _) = release.publish(&target);
    let published = published.unwrap();
    assert_eq!(published.place, format!("{target}:{VERSION}"));
    assert!(published.present.is_empty(), "{published:?}");
    let mut sent = published.sent;
    sent.sort();
    assert_eq!(sent, release.names());

    // Other programs find the same bytes.
    let host = registry.host();
    let tag = format!(":{VERSION}");
    assert_eq!(files(&host, &tag), expected(&release));
    let index = skopeo(&host, &tag);
    assert_eq!(plain(&host, &format!("manifests/{VERSION}")), index);
    let index = json(&index);
    assert_eq!(text(&index, "/mediaType"), INDEX);
    assert_eq!(text(&index, "/artifactType"), "application/vnd.image-factory.release.v1");
    assert_eq!(text(&index, "/annotations/org.opencontainers.image.version"), VERSION);

    // What tools choose by.
    let image = &index["manifests"][0];
    assert_eq!(text(image, "/artifactType"), "application/vnd.image-factory.image.v1");
    assert_eq!(text(image, "/platform/architecture"), "amd64");
    assert_eq!(text(image, "/platform/os"), "linux");
    assert_eq!(text(image, "/annotations/vnd.image-factory.image"), "wsl");
    assert_eq!(text(image, "/annotations/vnd.image-factory.kind"), "wsl");
    let subject = text(image, "/digest").to_owned();
    let manifest = json(&skopeo(&host, &format!("@{subject}")));
    assert_eq!(text(&manifest, "/config/mediaType"), "application/vnd.oci.empty.v1+json");
    assert_eq!(plain(&host, &format!("blobs/{}", text(&manifest, "/config/digest"))), b"{}");
    let first = "/layers/0/annotations/org.opencontainers.image.title";
    assert_eq!(text(&manifest, first), "nixos-26.05.1.wsl");
    assert!(!manifest.to_string().contains(release.dir.path().to_str().unwrap()));

    // This registry lists no referrers: they are under the tag that takes the place of that.
    let listed = json(&skopeo(&host, &format!(":{}", subject.replace(':', "-"))));
    let types: Vec<_> = listed["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let manifest = json(&skopeo(&host, &format!("@{}", text(entry, "/digest"))));
            assert_eq!(text(&manifest, "/subject/digest"), subject);
            assert_eq!(manifest["annotations"], entry["annotations"]);
            text(entry, "/artifactType").to_owned()
        })
        .collect();
    assert_eq!(
        types,
        [
            "application/vnd.cyclonedx+json",
            "application/vnd.in-toto+json",
            "application/vnd.image-factory.verification-report.v1+json",
        ]
    );

    // The tag is the last that came to be.
    let last = format!("PUT /v2/nixos/images/manifests/{VERSION}");
    assert_eq!(changes(&registry).last(), Some(&last));

    // Our own reader finds the same.
    let source = open(&host, VERSION).unwrap();
    let listed: Vec<_> = source.list().unwrap().unwrap().into_iter().map(|e| e.name).collect();
    assert_eq!(listed, release.names());
    let mut opened = source.open("SHA256SUMS").unwrap().unwrap();
    let sums = std::io::read_to_string(&mut opened.reader).unwrap();
    assert_eq!(sums, fs::read_to_string(release.folder().join("SHA256SUMS")).unwrap());
    assert_eq!(opened.len, Some(sums.len() as u64));
    assert!(source.open("other").unwrap().is_none());
    let absent = open(&host, "1").err().unwrap();
    assert_eq!(absent.to_string(), format!("oci://{host}/nixos/images:1 is not there"));

    // Again: nothing is sent.
    let before = changes(&registry);
    let again = release.publish(&target).0.unwrap();
    assert!(again.sent.is_empty(), "{again:?}");
    assert_eq!(again.present.len(), release.names().len());
    assert_eq!(changes(&registry), before);
}

#[test]
fn oras_pulls_the_same_files() {
    let release = Release::new();
    let registry = Registry::new(release.dir.path());
    let host = registry.host();
    release.publish(&format!("oci://{host}/nixos/images")).0.unwrap();
    let index = json(&skopeo(&host, &format!(":{VERSION}")));
    let entries = index["manifests"].as_array().unwrap();
    let names = entries.iter().map(|e| format!("{host}/nixos/images@{}", text(e, "/digest")));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let parts = root.join("target/release-parts/python");
    assert!(parts.is_dir(), "{} is not there: tests/setup.sh puts it there", parts.display());
    let pulled = release.dir.path().join("pulled");
    fs::create_dir(&pulled).unwrap();
    let output = Command::new("python3")
        .arg(root.join("tests/tools/oras-pull.py"))
        .arg(&pulled)
        .args(names)
        .env("PYTHONPATH", parts)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "*")
        .env("HOME", release.dir.path())
        .output()
        .expect("python3 does not start: tests/setup.sh installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: BTreeMap<_, _> = tree(&pulled).into_iter().collect();
    assert_eq!(found, expected(&release));
}

#[test]
fn credentials_are_those_of_docker() {
    let release = Release::new();
    let registry = Registry::with_password(release.dir.path());
    let host = registry.host();
    let mut options = release.options(&format!("oci://{host}/nixos/images"));
    let config = release.dir.path().join("config.json");
    options.environment =
        Environment::from_iter([("DOCKER_CONFIG", release.dir.path().to_str().unwrap())]);
    let refused = |options: &Options| {
        let error = publish(options, &|_| ()).unwrap_err();
        assert_eq!(error.fault(), Fault::Host);
        let PublishError::Place { what, source, .. } = error else { panic!("{error:?}") };
        assert!(source.to_string().contains("the server says 401 Unauthorized"), "{source}");
        what
    };
    let none = refused(&options);
    let file = config.display();
    assert!(
        none.ends_with(&format!("{host} refuses no credentials: there are none for it in {file}")),
        "{none}"
    );

    let login = |password: &str| {
        let auth = data_encoding::BASE64.encode(format!("me:{password}").as_bytes());
        let text = serde_json::json!({"auths": {&host: {"auth": auth}}}).to_string();
        fs::write(&config, text).unwrap();
    };
    login("wrong");
    let wrong = refused(&options);
    assert!(wrong.ends_with(&format!("{host} refuses the credentials in {file}")), "{wrong}");
    // Refused once: who may not is not tried again and again.
    let puts = registry.requests().iter().filter(|r| !r.starts_with("GET ")).count();
    assert_eq!(puts, 0, "{:?}", registry.requests());

    login("secret");
    let published = publish(&options, &|_| ()).unwrap();
    assert_eq!(published.sent.len(), release.names().len());
    let name = (&*host, "nixos/images");
    let source = Artifacts::open(name, VERSION, &options.environment, HASTE).unwrap();
    assert!(source.open("index.html").unwrap().is_some());
    let error = open(&host, VERSION).err().unwrap();
    assert!(error.to_string().contains("there are none for it"), "{error}");
}

#[test]
fn nobody_there_is_said_in_words() {
    let release = Release::new();
    let error = release.publish("oci://no-such-host.invalid/nixos/images").0.unwrap_err();
    let PublishError::Place { what, source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(what, "cannot read oci://no-such-host.invalid/nixos/images:26.05.1");
    // The other one where this machine has name servers, and none of them answers.
    let said = source.to_string();
    let known = ["failed to lookup address", "no answer in time"];
    assert!(known.iter().any(|words| said.contains(words)), "{said}");
}

#[test]
fn a_version_is_never_changed() {
    let mut release = Release::new();
    let registry = Registry::new(release.dir.path());
    let target = format!("oci://{}/nixos/images", registry.host());
    release.publish(&target).0.unwrap();
    let before = changes(&registry);

    release.add("minisign.pub", FileRole::PublicKey, "text/plain", b"another key\n");
    release.seal();
    let error = release.publish(&target).0.unwrap_err();
    assert_eq!(error.fault(), Fault::Image);
    let PublishError::Conflict { differences, .. } = &error else { panic!("{error:?}") };
    let of: Vec<_> = differences.iter().filter_map(|d| d.split(' ').next()).collect();
    assert_eq!(of, ["SHA256SUMS", "manifest.json", "minisign.pub"], "{differences:?}");
    assert_eq!(changes(&registry), before, "nothing was sent");
}

#[test]
fn an_upload_that_broke_off_is_finished_by_the_next_run() {
    let mut release = Release::new();
    release.add_large("large-26.05.1.img", 96 << 20);
    release.seal();
    let mut registry = Registry::new(release.dir.path());
    let target = format!("oci://{}/nixos/images", registry.host());

    let uploads = registry.uploads("nixos/images");
    let error = thread::scope(|scope| {
        let publishing = scope.spawn(|| release.publish(&target).0.unwrap_err());
        // The first bytes of the large one are there.
        let begun = Instant::now();
        while largest(&uploads) < 4 << 20 {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing is sent");
            thread::sleep(Duration::from_millis(1));
        }
        registry.stop();
        publishing.join().unwrap()
    });
    let PublishError::Place { what, source, .. } = &error else { panic!("{error:?}") };
    assert!(what.contains(&target), "{what}");
    assert!(source.to_string().contains("Connection refused"), "{source}");

    registry.start();
    let host = registry.host();
    let absent = open(&host, VERSION).err().unwrap();
    assert!(absent.to_string().ends_with("is not there"), "{absent}");
    let before = registry.requests().len();
    let (published, _) = release.publish(&format!("oci://{host}/nixos/images"));
    let published = published.unwrap();
    assert!(published.sent.iter().any(|name| name == "large-26.05.1.img"), "{published:?}");
    // What was there was not sent again: an upload is begun for what was not, and for nothing else.
    let begun = registry.requests().split_off(before);
    let begun = begun.iter().filter(|r| *r == "POST /v2/nixos/images/blobs/uploads/").count();
    assert!(begun <= published.sent.len() + 1, "{begun} uploads of {published:?}");
    assert_eq!(files(&host, &format!(":{VERSION}")), expected(&release));
}

/// The length of the longest file below a folder, which may change meanwhile.
fn largest(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let len = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let of = |path: &Path| if path.is_dir() { largest(path) } else { len(path) };
    entries.map(|entry| of(&entry.path())).max().unwrap_or(0)
}

#[test]
fn a_file_that_changed_after_the_release_does_not_come_to_be() {
    let release = Release::new();
    let registry = Registry::new(release.dir.path());
    let target = format!("oci://{}/nixos/images", registry.host());
    let file = release.folder().join("nixos-26.05.1.wsl.cdx.json");
    fs::write(&file, "cdx.jsoN").unwrap();
    let error = release.publish(&target).0.unwrap_err();
    assert!(matches!(&error, PublishError::Changed { path } if *path == file), "{error:?}");
    let tagged = open(&registry.host(), VERSION).is_ok();
    assert!(!tagged);
}

#[test]
fn what_others_say_of_an_image_is_kept() {
    let release = Release::new();
    let registry = Registry::new(release.dir.path());
    let target = format!("oci://{}/nixos/images", registry.host());
    release.publish(&target).0.unwrap();
    let host = registry.host();
    let index = json(&skopeo(&host, &format!(":{VERSION}")));
    let subject = text(&index, "/manifests/0/digest").to_owned();
    let tag = format!(":{}", subject.replace(':', "-"));

    // Somebody signs, with a key of the list that we know nothing of; and the tag of the version
    // goes away, as if a run had ended before it.
    let mut listed = json(&skopeo(&host, &tag));
    let mut theirs = listed["manifests"][0].clone();
    theirs["digest"] = index["manifests"].as_array().unwrap().last().unwrap()["digest"].clone();
    theirs["x"] = "y".into();
    listed["manifests"].as_array_mut().unwrap().splice(.., [theirs.clone()]);
    let put = |reference: &str, body: &Value| {
        let file = release.dir.path().join("body.json");
        fs::write(&file, body.to_string()).unwrap();
        let status = Command::new("curl")
            .args([
                "--disable",
                "--silent",
                "--fail",
                "--noproxy",
                "*",
                "--request",
                "PUT",
                "--data-binary",
            ])
            .arg(format!("@{}", file.display()))
            .args(["--header", &format!("Content-Type: {INDEX}")])
            .arg(format!("http://{host}/v2/nixos/images/manifests/{reference}"))
            .status();
        assert!(status.unwrap().success());
    };
    put(tag.trim_start_matches(':'), &listed);
    let status = Command::new("curl")
        .args(["--disable", "--silent", "--fail", "--noproxy", "*", "--request", "DELETE"])
        .arg(format!(
            "http://{host}/v2/nixos/images/manifests/{}",
            digest(&skopeo(&host, &format!(":{VERSION}")))
        ))
        .status();
    assert!(status.unwrap().success());

    let again = release.publish(&target).0.unwrap();
    assert!(again.sent.is_empty(), "{again:?}");
    let listed = json(&skopeo(&host, &tag));
    let listed = listed["manifests"].as_array().unwrap();
    assert_eq!(listed.len(), 4, "{listed:?}");
    assert_eq!(listed[0], theirs);
}

#[test]
fn a_version_that_cannot_be_a_tag_is_refused() {
    let mut release = Release::new();
    release.version = "26.05+1".to_owned();
    release.seal();
    let error = release.publish("oci://127.0.0.1:9/nixos/images").0.unwrap_err();
    let PublishError::Unmet { needs, .. } = &error else { panic!("{error:?}") };
    assert!(needs[0].starts_with("26.05+1 cannot be a tag: "), "{needs:?}");
}

/// What the model of a registry has.
#[derive(Default)]
struct Has {
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<String, Vec<u8>>,
}

/// A registry that lists referrers by itself, wants a token, and stores blobs elsewhere. There is
/// no such one in Debian.
fn modern(storage: &Stub, has: &'static Mutex<Has>, host: &'static Mutex<String>) -> Stub {
    let storage = storage.host();
    Stub::new(move |asked| {
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let digest_of = || query.split('&').find_map(|pair| pair.strip_prefix("digest="));
        if path == "/token" {
            assert!(query.contains("scope=repository%3Anixos%2Fimages%3Apull"), "{query}");
            return answer(200, r#"{"token": "t0ken"}"#);
        }
        if asked.header("authorization") != Some("Bearer t0ken") {
            let realm = format!("http://{}/token", host.lock().unwrap());
            let challenge = format!("Bearer realm=\"{realm}\",service=\"here\"");
            return Answer { headers: vec![("WWW-Authenticate", challenge)], ..answer(401, "") };
        }
        let mut has = has.lock().unwrap();
        let path = path.strip_prefix("/v2/nixos/images/").unwrap_or_default();
        match (asked.method.as_str(), path.split_once('/').unwrap_or_default()) {
            ("HEAD", ("blobs", digest)) => match has.blobs.get(digest) {
                Some(blob) => {
                    let length = ("Content-Length", blob.len().to_string());
                    Answer { headers: vec![length], ..answer(200, "") }
                }
                None => answer(404, ""),
            },
            // What is stored elsewhere is not for those who have a token of ours.
            ("GET", ("blobs", digest)) => {
                let location = ("Location", format!("http://{storage}/{digest}?signed"));
                Answer { headers: vec![location], ..answer(307, "") }
            }
            ("POST", ("blobs", "uploads/")) => {
                let location = ("Location", "/v2/nixos/images/blobs/uploads/1?a=b".to_owned());
                Answer { headers: vec![location], ..answer(202, "") }
            }
            ("PUT", ("blobs", "uploads/1")) => {
                let wanted = digest_of().unwrap().replace("%3A", ":");
                assert_eq!(digest(&asked.body), wanted);
                has.blobs.insert(wanted, asked.body.clone());
                let location = ("Location", "/v2/nixos/images/blobs/x".to_owned());
                Answer { headers: vec![location], ..answer(201, "") }
            }
            ("PUT", ("manifests", reference)) => {
                let mut headers = Vec::new();
                if let Some(subject) = json(&asked.body).pointer("/subject/digest") {
                    headers.push(("OCI-Subject", subject.as_str().unwrap().to_owned()));
                }
                has.manifests.insert(digest(&asked.body), asked.body.clone());
                has.manifests.insert(reference.to_owned(), asked.body.clone());
                // Some registries tell no location.
                Answer { headers, ..answer(201, "") }
            }
            ("GET", ("manifests", reference)) => match has.manifests.get(reference) {
                Some(manifest) => answer(200, manifest.clone()),
                None => answer(404, ""),
            },
            other => panic!("nobody asks for {other:?}"),
        }
    })
}

#[test]
fn a_registry_that_lists_referrers_itself_is_left_to_it() {
    static HAS: Mutex<Has> = Mutex::new(Has { blobs: BTreeMap::new(), manifests: BTreeMap::new() });
    static HOST: Mutex<String> = Mutex::new(String::new());
    let storage = Stub::new(|asked| {
        let digest = asked.path.trim_start_matches('/').trim_end_matches("?signed");
        match (asked.header("authorization"), HAS.lock().unwrap().blobs.get(digest)) {
            (None, Some(blob)) => answer(200, blob.clone()),
            _ => answer(400, ""),
        }
    });
    let registry = modern(&storage, &HAS, &HOST);
    *HOST.lock().unwrap() = registry.host();
    let release = Release::new();
    let target = format!("oci://{}/nixos/images", registry.host());
    let published = release.publish(&target).0.unwrap();
    assert_eq!(published.sent.len(), release.names().len());
    let has = HAS.lock().unwrap();
    assert!(has.manifests.contains_key(VERSION));
    assert!(!has.manifests.keys().any(|key| key.starts_with("sha256-")), "a tag of referrers");
    drop(has);
    let tokens = registry.asked().iter().filter(|a| a.path.starts_with("/token")).count();
    assert!(tokens <= 3, "{tokens} tokens");

    let puts = |registry: &Stub| registry.asked().iter().filter(|a| a.method == "PUT").count();
    let before = puts(&registry);
    assert!(release.publish(&target).0.unwrap().sent.is_empty());
    assert_eq!(puts(&registry), before);
}

#[test]
fn what_a_registry_says_is_not_believed() {
    // A manifest that never ends, one whose digest is a path, and one that is another one.
    let stub = Stub::new(|asked| match asked.path.rsplit('/').next().unwrap() {
        "endless" => answer(200, vec![b' '; 5 << 20]),
        "path" => answer(200, r#"{"manifests": [{"digest": "../../x", "size": 1}]}"#),
        "other" => {
            let digest = format!("sha256:{}", "0".repeat(64));
            answer(200, format!(r#"{{"manifests": [{{"digest": "{digest}", "size": 1}}]}}"#))
        }
        _ => answer(200, "{}"),
    });
    let host = stub.host();
    let open = |tag: &str| {
        let error = open(&host, tag).err().unwrap();
        std::error::Error::source(&error).unwrap().to_string()
    };
    assert!(open("endless").ends_with("the manifest is longer than 4194304 bytes"));
    assert_eq!(open("path"), "\"../../x\" is no SHA-256");
    assert!(open("other").contains(": what came has sha256:44136fa"), "{}", open("other"));
}

#[test]
fn who_tags_meanwhile_stays() {
    static HAS: Mutex<Has> = Mutex::new(Has { blobs: BTreeMap::new(), manifests: BTreeMap::new() });
    static HOST: Mutex<String> = Mutex::new(String::new());
    const OTHER: &[u8] = br#"{"manifests": []}"#;
    // It has looked at the tag before it reads blobs back.
    let storage = Stub::new(|asked| {
        let digest = asked.path.trim_start_matches('/').trim_end_matches("?signed");
        let mut has = HAS.lock().unwrap();
        has.manifests.insert(VERSION.to_owned(), OTHER.to_vec());
        answer(200, has.blobs[digest].clone())
    });
    let registry = modern(&storage, &HAS, &HOST);
    *HOST.lock().unwrap() = registry.host();
    let target = format!("oci://{}/nixos/images", registry.host());
    let error = Release::new().publish(&target).0.unwrap_err();
    assert!(matches!(error, PublishError::Conflict { .. }), "{error:?}");
    assert_eq!(HAS.lock().unwrap().manifests[VERSION], OTHER);
}

//! Releases on GitHub: the real program `gh`, and a model of what it speaks to. `gh` reaches it as
//! the proxy for `github.localhost`, the one host that it speaks to without TLS.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    sync::{Arc, Mutex},
};

use image_factory::Fault;
use image_publish::{Environment, PublishError, Published, look, publish};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    release::{Release, VERSION, sha256},
    stub::{Answer, Asked, Stub, answer},
};

const TARGET: &str = "github:me/x";
const TOKEN: &str = "gho_model";

/// What the model has.
#[derive(Default)]
struct Model {
    releases: Vec<Value>,
    /// Assets of each release, and their bytes.
    assets: Vec<(u64, Value, Vec<u8>)>,
    tags: Vec<String>,
    next: u64,
    /// Uploads of files of these names fail so often: 502, and a part is left.
    failures: BTreeMap<String, u32>,
    /// It tells no digests, as servers of one's own.
    is_old: bool,
}

impl Model {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn release(&mut self, tag: &str, draft: bool) -> Value {
        let id = self.number();
        let release = json!({
            "id": id,
            "tag_name": tag,
            "draft": draft,
            "html_url": format!("https://github.localhost/me/x/releases/tag/{tag}"),
            "url": format!("http://api.github.localhost/repos/me/x/releases/{id}"),
            "upload_url":
                format!("http://uploads.github.localhost/repos/me/x/releases/{id}/assets{{?name,label}}"),
        });
        self.releases.push(release.clone());
        release
    }

    fn listed(&self, release: u64) -> Vec<Value> {
        let of = self.assets.iter().filter(|(of, ..)| *of == release);
        of.map(|(_, asset, _)| asset.clone()).collect()
    }

    fn with_assets(&self, release: &Value) -> Value {
        let mut release = release.clone();
        release["assets"] = self.listed(release["id"].as_u64().unwrap()).into();
        release
    }

    fn upload(&mut self, release: u64, name: &str, asked: &Asked) -> Answer {
        // What is no letter, digit, dot, hyphen, underscore or plus becomes a dot.
        let keep = |c: char| if c.is_ascii_alphanumeric() || ".-_+".contains(c) { c } else { '.' };
        let name: String = name.chars().map(keep).collect();
        if self.listed(release).iter().any(|asset| asset["name"] == *name) {
            let text = r#"{"message":"Validation Failed","errors":[{"code":"already_exists"}]}"#;
            return told(422, text);
        }
        let id = self.number();
        let fails = self.failures.get_mut(&name).is_some_and(|left| {
            let fails = *left > 0;
            *left = left.saturating_sub(1);
            fails
        });
        let digest = (!fails && !self.is_old).then(|| format!("sha256:{}", sha256(&asked.body)));
        let asset = json!({
            "id": id,
            "name": name,
            "size": if fails { 0 } else { asked.body.len() },
            "state": if fails { "starter" } else { "uploaded" },
            "content_type": asked.header("content-type"),
            "digest": digest,
            "url": format!("http://api.github.localhost/repos/me/x/releases/assets/{id}"),
        });
        self.assets.push((release, asset.clone(), asked.body.clone()));
        match fails {
            true => told(502, r#"{"message":"Server Error"}"#),
            false => told(201, asset.to_string()),
        }
    }

    fn serve(&mut self, asked: &Asked) -> Answer {
        if asked.header("authorization") != Some(&format!("token {TOKEN}")) {
            return told(401, r#"{"message":"Bad credentials"}"#);
        }
        let path = asked.path.split_once("://").map_or(&*asked.path, |(_, rest)| rest);
        let (host, path) = path.split_once('/').unwrap();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let of_query = |name: &str| {
            let pair =
                query.split('&').find_map(|pair| pair.split_once('=').filter(|p| p.0 == name));
            pair.map(|(_, value)| value.replace("%2B", "+").replace("%7E", "~"))
        };
        let page: usize = of_query("page").map_or(1, |page| page.parse().unwrap());
        let absent = || told(404, r#"{"message":"Not Found"}"#);
        if path == "graphql" {
            let tag = serde_json::from_slice::<Value>(&asked.body).unwrap();
            let tag = &tag["variables"]["tagName"];
            let of = self.releases.iter().find(|release| release["tag_name"] == *tag);
            let of = of.map(|r| json!({"databaseId": r["id"], "isDraft": r["draft"]}));
            return told(200, json!({"data": {"repository": {"release": of}}}).to_string());
        }
        let Some(path) = path.strip_prefix("repos/me/x/") else { return absent() };
        let parts: Vec<&str> = path.split('/').collect();
        let id = |text: &str| text.parse::<u64>().unwrap();
        match (host, asked.method.as_str(), &*parts) {
            (_, "GET", ["releases"]) => {
                let all: Vec<_> = self.releases.iter().rev().cloned().collect();
                paged(&asked.path, page, &all)
            }
            (_, "GET", ["releases", "tags", tag]) => {
                let is = |r: &&Value| r["tag_name"] == **tag && r["draft"] == false;
                let found = self.releases.iter().find(is);
                found.map_or_else(absent, |r| told(200, self.with_assets(r).to_string()))
            }
            (_, "GET", ["releases", release, "assets"]) => {
                paged(&asked.path, page, &self.listed(id(release)))
            }
            (_, "GET", ["releases", "assets", asset]) => {
                assert_eq!(asked.header("accept"), Some("application/octet-stream"));
                let found = self.assets.iter().find(|(_, a, _)| a["id"] == id(asset));
                found.map_or_else(absent, |(.., bytes)| answer(200, bytes.clone()))
            }
            (_, "GET", ["releases", release]) => {
                let found = self.releases.iter().find(|r| r["id"] == id(release));
                found.map_or_else(absent, |r| told(200, self.with_assets(r).to_string()))
            }
            (_, "GET", ["git", "ref", "tags", tag]) => {
                match self.tags.iter().any(|other| other == tag) {
                    true => told(200, r#"{"object":{}}"#),
                    false => absent(),
                }
            }
            (_, "POST", ["releases"]) => {
                let wanted: Value = serde_json::from_slice(&asked.body).unwrap();
                assert_eq!(wanted["draft"], true, "a release is a draft first");
                let mut release = self.release(wanted["tag_name"].as_str().unwrap(), true);
                release["body"] = wanted["body"].clone();
                told(201, release.to_string())
            }
            ("uploads.github.localhost", "POST", ["releases", release, "assets"]) => {
                self.upload(id(release), &of_query("name").unwrap(), asked)
            }
            (_, "PATCH", ["releases", release]) => {
                let wanted: Value = serde_json::from_slice(&asked.body).unwrap();
                let found = self.releases.iter_mut().find(|r| r["id"] == id(release)).unwrap();
                found["draft"] = wanted["draft"].clone();
                let found = found.clone();
                self.tags.push(found["tag_name"].as_str().unwrap().to_owned());
                told(200, found.to_string())
            }
            (_, "DELETE", ["releases", "assets", asset]) => {
                self.assets.retain(|(_, a, _)| a["id"] != id(asset));
                answer(204, "")
            }
            other => panic!("nobody asks for {other:?}"),
        }
    }
}

fn told(status: u16, body: impl Into<Vec<u8>>) -> Answer {
    let headers = vec![("Content-Type", "application/json; charset=utf-8".to_owned())];
    Answer { headers, ..answer(status, body) }
}

fn paged(address: &str, page: usize, all: &[Value]) -> Answer {
    const LENGTH: usize = 100;
    let of_page: Vec<_> = all.iter().skip((page - 1) * LENGTH).take(LENGTH).collect();
    let mut answer = told(200, serde_json::to_string(&of_page).unwrap());
    if all.len() > page * LENGTH {
        let first = address.split("&page=").next().unwrap();
        let next = format!("<{first}&page={}>; rel=\"next\"", page + 1);
        answer.headers.push(("Link", next));
    }
    answer
}

/// The model, `gh`, and what `gh` is told.
struct Github {
    stub: Stub,
    model: Arc<Mutex<Model>>,
    dir: TempDir,
}

impl Github {
    fn new() -> Self {
        let model = Arc::new(Mutex::new(Model::default()));
        let served = model.clone();
        let stub = Stub::new(move |asked| served.lock().unwrap().serve(asked));
        let dir = tempfile::tempdir().unwrap();
        let path = std::env::var_os("PATH").unwrap();
        let gh = std::env::split_paths(&path).map(|dir| dir.join("gh")).find(|gh| gh.is_file());
        let gh = gh.expect("gh is not in PATH: tests/setup.sh installs it");
        symlink(gh, dir.path().join("gh")).unwrap();
        Self { stub, model, dir }
    }

    fn environment(&self, token: &str) -> Environment {
        let proxy = format!("http://{}", self.stub.host());
        let dir = self.dir.path().to_str().unwrap();
        let (host, config) = ("github.localhost", format!("{dir}/config"));
        Environment::from_iter([
            ("PATH", dir),
            ("HOME", dir),
            ("GH_CONFIG_DIR", &config),
            ("GH_HOST", host),
            ("GH_TOKEN", token),
            ("HTTP_PROXY", &proxy),
        ])
    }

    fn publish(&self, release: &Release) -> (Result<Published, PublishError>, Vec<String>) {
        let told = Mutex::new(Vec::new());
        let mut options = release.options(TARGET);
        options.environment = self.environment(TOKEN);
        let published = publish(&options, &|event| {
            if let image_factory::event::Event::Notice(text) = event {
                told.lock().unwrap().push(text);
            }
        });
        (published, told.into_inner().unwrap())
    }

    /// Requests that change something, without those of `gh release download`.
    fn changes(&self) -> usize {
        let asked = self.stub.asked();
        asked.iter().filter(|a| a.method != "GET" && !a.path.ends_with("/graphql")).count()
    }

    /// Whether the release is a draft, and its files.
    fn has(&self) -> (bool, BTreeMap<String, Vec<u8>>) {
        let model = self.model.lock().unwrap();
        let ours: Vec<_> = model.releases.iter().filter(|r| r["tag_name"] == VERSION).collect();
        assert_eq!(ours.len(), 1);
        let assets = model.assets.iter().filter(|(of, ..)| *of == ours[0]["id"]);
        let files = assets.map(|(_, asset, bytes)| {
            assert_eq!(asset["state"], "uploaded");
            (asset["name"].as_str().unwrap().to_owned(), bytes.clone())
        });
        (ours[0]["draft"] == true, files.collect())
    }
}

/// The files of a release that have no folder.
fn expected(release: &Release) -> BTreeMap<String, Vec<u8>> {
    let (_, objects) = image_publish::objects(&release.folder()).unwrap();
    let flat = objects.into_iter().filter(|object| !object.name.contains('/'));
    flat.map(|object| (object.name, fs::read(object.path).unwrap())).collect()
}

#[test]
fn a_draft_is_filled_and_then_published() {
    let (release, github) = (Release::new(), Github::new());
    {
        // More releases than a page has.
        let mut model = github.model.lock().unwrap();
        for number in 0..130 {
            model.release(&format!("old-{number}"), false);
        }
    }
    let (published, told) = github.publish(&release);
    let published = published.unwrap();
    assert_eq!(published.sent.len(), release.names().len() - 1);
    assert_eq!(github.has(), (false, expected(&release)));
    let said = |part: &str| assert!(told.iter().any(|t| t.contains(part)), "no {part}: {told:?}");
    said("has no folders: streams/v1/index.json are left out");
    said("the repository has no tag 26.05.1: ");
    said("published at https://github.localhost/me/x/releases/tag/26.05.1");
    {
        let model = github.model.lock().unwrap();
        let page = model.assets.iter().find(|(_, asset, _)| asset["name"] == "index.html").unwrap();
        assert_eq!(page.1["content_type"], "text/html; charset=utf-8");
        // It becomes visible with the last request that changes something.
        let asked = github.stub.asked();
        let last = asked.iter().rfind(|a| a.method != "GET").unwrap();
        assert_eq!(last.method, "PATCH");
    }

    let before = github.changes();
    let again = github.publish(&release).0.unwrap();
    assert!(again.sent.is_empty(), "{again:?}");
    assert_eq!(github.changes(), before);
}

#[test]
fn a_published_release_is_never_changed() {
    let (mut release, github) = (Release::new(), Github::new());
    github.publish(&release).0.unwrap();
    let before = github.changes();
    release.add("minisign.pub", image_model::FileRole::PublicKey, "text/plain", b"another\n");
    release.seal();
    let error = github.publish(&release).0.unwrap_err();
    assert_eq!(error.fault(), Fault::Image);
    let PublishError::Conflict { differences, .. } = &error else { panic!("{error:?}") };
    assert!(differences.iter().any(|d| d.starts_with("minisign.pub has ")), "{differences:?}");

    // What is missing there is not added either.
    let release = Release::new();
    github.model.lock().unwrap().assets.retain(|(_, asset, _)| asset["name"] != "index.html");
    let error = github.publish(&release).0.unwrap_err();
    let PublishError::Conflict { differences, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*differences, ["index.html is not there"]);
    assert_eq!(github.changes(), before);
}

#[test]
fn a_draft_of_a_broken_run_is_continued() {
    let (release, github) = (Release::new(), Github::new());
    // Twice is a moment; as often as is tried is not.
    github.model.lock().unwrap().failures =
        [("nixos-26.05.1.wsl".to_owned(), 2), ("index.html".to_owned(), 99)].into();
    let (published, _) = github.publish(&release);
    let error = published.unwrap_err();
    let PublishError::Place { what, source, .. } = &error else { panic!("{error:?}") };
    assert!(what.contains("cannot send index.html to github:me/x"), "{what}");
    let cause = source.source().map_or_else(String::new, ToString::to_string);
    assert!(cause.contains("(HTTP 502)"), "{source}: {cause}");
    assert!(github.model.lock().unwrap().releases[0]["draft"] == true);

    // Who only looks removes nothing of it.
    let before = github.changes();
    let mut options = release.options(TARGET);
    options.environment = github.environment(TOKEN);
    let seen = look(&options, &|_| ()).unwrap();
    assert_eq!(seen.sent, ["index.html"]);
    assert_eq!(github.changes(), before);

    github.model.lock().unwrap().failures.clear();
    let published = github.publish(&release).0.unwrap();
    assert_eq!(published.sent, ["index.html"]);
    assert_eq!(github.has(), (false, expected(&release)));
}

#[test]
fn a_server_without_digests_is_read_back() {
    let (release, github) = (Release::new(), Github::new());
    github.model.lock().unwrap().is_old = true;
    github.publish(&release).0.unwrap();
    assert_eq!(github.has(), (false, expected(&release)));
    let downloads = |github: &Github| {
        let of = |a: &&Asked| a.header("accept") == Some("application/octet-stream");
        github.stub.asked().iter().filter(of).count()
    };
    // An empty file is one as well.
    assert_eq!(downloads(&github), expected(&release).len());

    // Something else of the same length.
    for (_, asset, bytes) in &mut github.model.lock().unwrap().assets {
        if asset["name"] == "minisign.pub" {
            bytes.reverse();
        }
    }
    let error = github.publish(&release).0.unwrap_err();
    let PublishError::Conflict { differences, .. } = &error else { panic!("{error:?}") };
    assert!(differences[0].starts_with("minisign.pub has SHA-256 "), "{differences:?}");
}

#[test]
fn what_github_does_not_take_is_said_before() {
    let (mut release, github) = (Release::new(), Github::new());
    release.add("a~b.img", image_model::FileRole::Payload, "application/octet-stream", b"x");
    release.seal();
    let error = github.publish(&release).0.unwrap_err();
    let PublishError::Unmet { needs, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*needs, ["GitHub would rename a~b.img"]);
    assert!(github.stub.asked().is_empty());
}

#[test]
fn who_may_not_is_told_so() {
    let (release, github) = (Release::new(), Github::new());
    let mut options = release.options(TARGET);
    let of = |error: PublishError| match error {
        PublishError::Place { what, hint, source } => format!("{what}: {source} {hint:?}"),
        other => panic!("{other:?}"),
    };
    options.environment = github.environment("gho_wrong");
    let error = of(publish(&options, &|_| ()).unwrap_err());
    assert!(error.contains("Bad credentials (HTTP 401)"), "{error}");
    assert!(error.contains("gh auth login"), "{error}");
    assert!(!error.contains("gho_wrong"), "{error}");
    options.environment = github.environment("");
    let error = of(publish(&options, &|_| ()).unwrap_err());
    assert!(error.contains("gh auth login"), "{error}");
    options.environment = Environment::from_iter([("PATH", "/nowhere")]);
    let error = of(publish(&options, &|_| ()).unwrap_err());
    assert!(error.contains("gh is not in PATH"), "{error}");
    assert!(error.contains("install the program gh of GitHub"), "{error}");
    options.target = "github:me/other".parse().unwrap();
    options.environment = github.environment(TOKEN);
    let error = of(publish(&options, &|_| ()).unwrap_err());
    assert!(error.contains("Not Found (HTTP 404)"), "{error}");
}

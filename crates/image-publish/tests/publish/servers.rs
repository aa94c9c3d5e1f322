//! Servers of S3 on loopback, each with a folder and ports of its own, and gone with their test.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Duration, Instant},
};

use image_publish::Environment;
use tempfile::TempDir;

/// How long a server may take until it answers: both are large programs, and the disk may be cold.
pub(crate) const START: Duration = Duration::from_secs(300);

/// SeaweedFS: checks signatures, conditions and checksums. Objects can be read by everybody.
pub(crate) struct Weed {
    dir: TempDir,
    ports: [u16; 8],
    process: Option<Child>,
}

pub(crate) const KEY: &str = "publisher";
pub(crate) const SECRET: &str = "hush-hush";
pub(crate) const BUCKET: &str = "images";

impl Weed {
    /// With the bucket [`BUCKET`].
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("data")).unwrap();
        let identities = serde_json::json!({ "identities": [
            {
                "name": "publisher",
                "credentials": [{ "accessKey": KEY, "secretKey": SECRET }],
                "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            },
            { "name": "anonymous", "actions": ["Read"] },
        ]});
        fs::write(dir.path().join("s3.json"), identities.to_string()).unwrap();
        let mut weed = Self { dir, ports: free_ports(), process: None };
        weed.restart();
        // A folder of its file server is a bucket.
        let made = http("POST", weed.filer(), &format!("/buckets/{BUCKET}/"), &[]);
        assert_eq!(made.status, 201, "{made:?}");
        weed
    }

    fn at(&self, port: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports[port]))
    }

    /// Its server of files, which everybody may write to.
    pub(crate) fn filer(&self) -> SocketAddr {
        self.at(4)
    }

    pub(crate) fn s3(&self) -> SocketAddr {
        self.at(6)
    }

    /// Starts it, or starts it again with what it has.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let names = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc"];
        let more = ["filer.port", "filer.port.grpc", "s3.port", "s3.port.grpc"];
        let ports = names.iter().chain(&more).zip(self.ports);
        let log = fs::File::create(self.dir.path().join("log")).unwrap();
        let child = Command::new(program("weed"))
            .args(["server", "-dir=data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"])
            .args(["-filer", "-s3", "-s3.config=s3.json", "-master.telemetry=false"])
            .args(["-volume.max=50", "-volume.preStopSeconds=0", "-master.volumeSizeLimitMB=64"])
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0"])
            .args(["-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock"])
            .args(ports.map(|(name, port)| format!("-{name}={port}")))
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(child);
        self.wait(|weed| {
            // It listens before it has found a volume to write into.
            let written = try_http("PUT", weed.filer(), "/ready", b"x");
            let writes = written.is_some_and(|answer| answer.status == 201);
            writes && try_http("GET", weed.s3(), "/", &[]).is_some()
        });
    }

    fn wait(&mut self, is_ready: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_ready(self) {
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            let late = begun.elapsed() > START;
            if late || ended.is_some() {
                let log = fs::read_to_string(self.dir.path().join("log")).unwrap();
                panic!("weed does not start ({ended:?}): {log}");
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// As a machine does that loses power.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Process id, for those who kill it from elsewhere.
    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    /// The environment of somebody who may publish.
    pub(crate) fn environment(&self, endpoint: SocketAddr) -> Environment {
        environment(endpoint, KEY, SECRET)
    }
}

impl Drop for Weed {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Moto: a server in Python that knows every request, and lets everybody in.
/// Anybody may read and write.
pub(crate) struct Moto {
    process: Child,
    pub(crate) at: SocketAddr,
}

impl Moto {
    /// With the bucket [`BUCKET`].
    pub(crate) fn start() -> Self {
        let [port] = free_ports();
        let at = SocketAddr::from(([127, 0, 0, 1], port));
        let process = Command::new(program("moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut moto = Self { process, at };
        let begun = Instant::now();
        while try_http("PUT", at, &format!("/{BUCKET}"), &[]).is_none() {
            let ended = moto.process.try_wait().unwrap();
            assert!(begun.elapsed() < START && ended.is_none(), "moto does not start: {ended:?}");
            thread::sleep(Duration::from_millis(50));
        }
        let policy = serde_json::json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [format!("arn:aws:s3:::{BUCKET}"), format!("arn:aws:s3:::{BUCKET}/*")],
        }]});
        let target = format!("/{BUCKET}?policy");
        let opened = http("PUT", at, &target, policy.to_string().as_bytes());
        assert!(opened.status < 300, "{opened:?}");
        moto
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn environment(endpoint: SocketAddr, key: &str, secret: &str) -> Environment {
    let endpoint = format!("http://{endpoint}");
    let variables = [
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", secret),
        ("AWS_ENDPOINT_URL", &endpoint),
        ("AWS_REGION", "us-east-1"),
    ];
    variables.into_iter().collect()
}

#[track_caller]
fn program(name: &str) -> PathBuf {
    // The tests of the command line take this file, too.
    let mut folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let root = folders.find(|folder| folder.join("tests/setup.sh").exists()).unwrap();
    let path = root.join("target/release-parts/s3/bin").join(name);
    assert!(path.exists(), "the tests need {name}: run tests/setup.sh");
    path.canonicalize().unwrap()
}

/// Ports for servers that choose none themselves. Nobody else gets one of them before its server takes
/// it: they are below those that the kernel gives away, and each is handed out once.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that run at the same time begin elsewhere.
    let first = (std::process::id() % 40) as u16 * 500;
    [(); N].map(|()| {
        loop {
            let port = 10_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
            if TcpListener::bind(("127.0.0.1", port)).is_ok() {
                break port;
            }
        }
    })
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// What anybody gets who asks.
#[track_caller]
pub(crate) fn http(method: &str, at: SocketAddr, target: &str, body: &[u8]) -> Answer {
    try_http(method, at, target, body).expect("it answers")
}

fn try_http(method: &str, at: SocketAddr, target: &str, body: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(at).ok()?;
    stream.set_read_timeout(Some(START)).unwrap();
    // Version 1.0: nothing is chunked, and the body ends with the connection.
    let head = format!(
        "{method} {target} HTTP/1.0\r\nHost: {at}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let status = line.split_whitespace().nth(1)?.parse().ok()?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
            None => break,
        }
    }
    let mut body = Vec::new();
    reader.read_to_end(&mut body).ok()?;
    Some(Answer { status, headers, body })
}

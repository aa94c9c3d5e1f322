//! `bench release`: what a release costs against reading and hashing alone, and what publishing
//! costs in memory.
//!
//! Four images of random bytes are released, as from a disk and as from memory. In the same turn the
//! same files are read by as many threads, and as many bytes are hashed by them: a release has to
//! reach 80 % of the slower of the two. Then it is published to a server of S3 on this machine,
//! through a relay that counts what is under way at the same time.

use std::{
    fs::{self, File},
    io::{self, Read, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use image_factory::{
    event::{Event, Step},
    json_file,
};
use image_host::{interrupt, tool::Tool};
use image_model::{
    Artifact, Compression, Digests, Driver, Generator, ImageKind, MANIFEST_SCHEMA, Manifest,
    REPORT_SCHEMA, ReleaseSpec, ReportSummary, Sha256, Source, Subject, Totals, VerificationReport,
    Verifier,
};
use image_publish::{Environment, Patience, Target};
use image_release::{Allowed, RELEASES_DIR};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::Digest as _;

use super::{
    super::Context,
    MAX_PEAK, median, peak, run_part, shell,
    store::{Content, Hash, processor_seconds, threads},
};
use crate::{
    Verdict,
    args::{BenchArgs, BenchPart, Format},
    command::{print, print_json},
    failure::Failure,
    text,
};

/// What a release should reach of the slower of reading and hashing.
const TARGET: f64 = 0.8;

/// How many parts should be under way at the same time.
const TARGET_PARTS: usize = 4;

/// The images: name, file, kind and format.
const IMAGES: [(&str, &str, ImageKind, &str); 4] = [
    ("wsl", "nixos.wsl", ImageKind::Wsl, "tar"),
    ("sd", "nixos-sd.img", ImageKind::Sd, "mbr"),
    ("iso", "nixos-iso.iso", ImageKind::Iso, "iso9660"),
    ("installer", "nixos-installer.iso", ImageKind::Iso, "iso9660"),
];

const VERSION: &str = "26.05.1";

const BUCKET: &str = "bench";

/// How long a server may take to start.
const START: Duration = Duration::from_secs(120);

/// What our part says of a release.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Release {
    /// Of the images: reading and hashing them.
    payload_seconds: f64,
    payload_processor_seconds: f64,
    seconds: f64,
    peak_bytes: u64,
}

/// What our part says of reading.
#[derive(Deserialize, Serialize)]
pub(super) struct Reading {
    bytes: u64,
    seconds: f64,
}

/// What our part says of publishing.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Published {
    sent: usize,
    seconds: f64,
    peak_bytes: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    bytes: u64,
    threads: usize,
    releases: Vec<Row>,
    publish: Sent,
}

/// Releases of files that lie in the same place.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    from: &'static str,
    payload_seconds: f64,
    seconds: f64,
    read_seconds: f64,
    hash_seconds: f64,
    /// What the release reaches of the slower of the two.
    ratio: f64,
    /// What it reaches of hashing in time of processors, which does not depend on who else uses
    /// them.
    ratio_of_processors: f64,
    target: f64,
    peak_bytes: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    objects: usize,
    seconds: f64,
    parts_at_once: usize,
    target_parts: usize,
    peak_bytes: u64,
    /// When it was published once more.
    sent_again: usize,
}

pub(super) fn run(context: Context, args: &BenchArgs, work: &Path) -> Result<Verdict, Failure> {
    let work = work.join(format!("release-{}", args.size));
    prepare(&work, args.size << 20)?;
    let mut releases = Vec::new();
    for (from, evict) in [("disk", true), ("memory", false)] {
        eprintln!("bench: a release from {from} against reading and hashing alone");
        releases.push(compare(from, evict, args, &work)?);
    }
    eprintln!("bench: publishing to a server of S3");
    let publish = publish(&work)?;
    let report = Report { bytes: args.size << 20, threads: threads(), releases, publish };
    match context.format {
        Format::Json => print_json(&report),
        Format::Human => print(&table(&report)),
    }
}

/// Makes the images, where they are not there: of what looks random, with manifests and reports of
/// this version of the factory.
fn prepare(work: &Path, bytes: u64) -> Result<(), Failure> {
    let fail = |e| Failure::host(format!("cannot fill {}", work.display()), e);
    let mut content = Content::default();
    for (name, file, kind, format) in IMAGES {
        let folder = work.join("dist").join(name);
        if folder.join(image_factory::MANIFEST).exists() {
            continue;
        }
        fs::create_dir_all(&folder).map_err(fail)?;
        let size = bytes / IMAGES.len() as u64;
        let path = folder.join(file);
        content.write(File::create(&path).map_err(fail)?, size).map_err(fail)?;
        let sha256 = hash_file(&path).map_err(fail)?;
        let digests = Digests { size, sha256 };
        let report = json_file(&report(kind, format, digests));
        fs::write(folder.join(image_factory::REPORT), &report).map_err(fail)?;
        let summary = ReportSummary {
            file: image_factory::REPORT.to_owned(),
            sha256: Sha256(sha2::Sha256::digest(&report).into()),
            totals: Totals::default(),
        };
        let manifest = manifest((name, file, kind, format), digests, summary);
        fs::write(folder.join(image_factory::MANIFEST), json_file(&manifest)).map_err(fail)?;
    }
    // What is not on the disk yet cannot be dropped from memory.
    shell(work, "sync").map(drop)
}

fn hash_file(path: &Path) -> io::Result<Sha256> {
    let mut hash = sha2::Sha256::new();
    each_piece(path, |piece| hash.update(piece))?;
    Ok(Sha256(hash.finalize().into()))
}

/// Reads a file as a release does.
fn each_piece(path: &Path, mut piece: impl FnMut(&[u8])) -> io::Result<u64> {
    let (mut file, mut buffer, mut len) = (File::open(path)?, vec![0; 256 << 10], 0);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(len),
            read => {
                piece(&buffer[..read]);
                len += read as u64;
            }
        }
    }
}

fn report(kind: ImageKind, format: &'static str, digests: Digests) -> VerificationReport {
    VerificationReport {
        schema: REPORT_SCHEMA,
        verifier: Verifier {
            name: "image-verify".into(),
            version: env!("CARGO_PKG_VERSION").into(),
        },
        subject: Subject {
            format: Some(format.into()),
            compression: Compression::None,
            size: digests.size,
            sha256: Some(digests.sha256),
            raw: Some(digests),
        },
        kind: Some(kind),
        boots: Vec::new(),
        not_verified: Vec::new(),
        layout: None,
        stores: Vec::new(),
        totals: Totals::default(),
        outcomes: [].into(),
        findings: Vec::new(),
        omitted: [].into(),
        waivers: Vec::new(),
    }
}

fn manifest(
    (image, file, kind, format): (&str, &str, ImageKind, &str),
    digests: Digests,
    verification: ReportSummary,
) -> Manifest {
    Manifest {
        schema: MANIFEST_SCHEMA,
        generator: Generator {
            name: "image-factory".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        image: image.to_owned(),
        kind,
        system: "x86_64-linux".to_owned(),
        title: "Random bytes".to_owned(),
        distribution: "nixos".to_owned(),
        source: Source {
            driver: Driver::Prebuilt,
            route: "file".to_owned(),
            flake: None,
            locked: None,
            inputs: [].into(),
            attribute: None,
            profiles: Vec::new(),
            derivation: None,
            store_path: None,
            nar_hash: None,
            input_sha256: Some(digests.sha256),
        },
        tools: Vec::new(),
        artifacts: vec![Artifact {
            file: file.to_owned(),
            format: format.to_owned(),
            compression: Compression::None,
            digests,
            raw: digests,
        }],
        closure: Vec::new(),
        verification,
    }
}

/// The images by their paths.
fn files(work: &Path) -> Vec<PathBuf> {
    IMAGES.iter().map(|(name, file, ..)| work.join("dist").join(name).join(file)).collect()
}

fn compare(from: &'static str, evict: bool, args: &BenchArgs, work: &Path) -> Result<Row, Failure> {
    /// Drops the images from memory, where the file system lets it.
    const EVICT: &str = "for file in dist/*/nixos*; do dd if=\"$file\" iflag=nocache count=0; done";
    let before = || if evict { shell(work, EVICT).map(drop) } else { Ok(()) };
    let each = (args.size / threads() as u64).to_string();
    let mut turns: Vec<(Release, Reading, Hash)> = Vec::new();
    // The first turn warms the page cache and is not counted.
    for run in 0..=args.runs.max(1) {
        before()?;
        let release: Release = part(work, BenchPart::Release, &[])?;
        before()?;
        let reading: Reading = part(work, BenchPart::Read, &[])?;
        let hash: Hash = part(work, BenchPart::Hash, &["--size", &each])?;
        if run > 0 {
            turns.push((release, reading, hash));
        }
    }
    let all = |of: fn(&(Release, Reading, Hash)) -> f64| median(turns.iter().map(of).collect());
    Ok(Row {
        from,
        payload_seconds: all(|(release, ..)| release.payload_seconds),
        seconds: all(|(release, ..)| release.seconds),
        read_seconds: all(|(_, reading, _)| reading.seconds),
        hash_seconds: all(|(.., hash)| hash.at_once_seconds),
        ratio: all(|(release, reading, hash)| {
            reading.seconds.max(hash.at_once_seconds) / release.payload_seconds
        }),
        ratio_of_processors: all(|(release, reading, hash)| {
            let hashing = hash.processor_seconds / hash.bytes as f64 * reading.bytes as f64;
            hashing / release.payload_processor_seconds
        }),
        target: TARGET,
        peak_bytes: turns.iter().map(|(release, ..)| release.peak_bytes).max().unwrap_or_default(),
    })
}

fn part<T: DeserializeOwned>(work: &Path, part: BenchPart, more: &[&str]) -> Result<T, Failure> {
    let (_, out) = run_part(work, part, more)?;
    serde_json::from_slice(&out).map_err(|e| Failure::host("our part says", e))
}

/// Our part: a release without signatures.
pub(super) fn release(work: &Path) -> Result<Release, Failure> {
    let options = image_release::Options {
        version: VERSION.to_owned(),
        images: IMAGES.iter().map(|(name, ..)| (*name).to_owned()).collect(),
        dist: work.join("dist"),
        spec: ReleaseSpec::default(),
        allowed: Allowed::default(),
        epoch: None,
        signers: Vec::new(),
    };
    let began = Instant::now();
    // When the images began to be read, and when they were.
    let payload = Mutex::new(Vec::new());
    let events = |event: Event| {
        if matches!(event, Event::Started(Step::Hash) | Event::Finished(Step::Hash)) {
            let now = (began.elapsed().as_secs_f64(), processor_seconds());
            payload.lock().expect("nobody panics with it").push(now);
        }
    };
    image_release::make(&options, &events).map_err(|e| Failure::host("no release", e))?;
    let seconds = began.elapsed().as_secs_f64();
    let fail = |e| Failure::host("our part cannot be measured", e);
    let peak_bytes = peak().map_err(fail)?;
    let mut payload = payload.into_inner().expect("nobody panics with it").into_iter();
    let (Some((from, busy_from)), Some((to, busy_to))) = (payload.next(), payload.next()) else {
        return Err(Failure::new(Verdict::Failed, "a release reads no images"));
    };
    Ok(Release {
        payload_seconds: to - from,
        payload_processor_seconds: busy_to.map_err(fail)? - busy_from.map_err(fail)?,
        seconds,
        peak_bytes,
    })
}

/// Reads the images, as many at once as there are processors.
pub(super) fn read(work: &Path) -> Result<Reading, Failure> {
    let (files, next, began) = (files(work), AtomicUsize::new(0), Instant::now());
    let reader = || {
        let mut bytes = 0;
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            bytes += each_piece(file, |piece| {
                std::hint::black_box(piece);
            })?;
        }
        Ok(bytes)
    };
    let read: io::Result<Vec<u64>> = thread::scope(|scope| {
        let readers: Vec<_> = (0..threads()).map(|_| scope.spawn(reader)).collect();
        let join = |reader: thread::ScopedJoinHandle<'_, _>| {
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        readers.into_iter().map(join).collect()
    });
    let bytes = read.map_err(|e| Failure::host("cannot read the images", e))?.iter().sum();
    Ok(Reading { bytes, seconds: began.elapsed().as_secs_f64() })
}

/// Our part: publishes to the place that the environment says.
pub(super) fn send(work: &Path) -> Result<Published, Failure> {
    let prefix = "nixos".to_owned();
    let options = image_publish::Options {
        release: work.join("dist").join(RELEASES_DIR).join(VERSION),
        target: Target::S3 { bucket: BUCKET.to_owned(), prefix },
        parallel: TARGET_PARTS.try_into().expect("some parts"),
        patience: Patience::default(),
        environment: Environment::current(),
    };
    let began = Instant::now();
    let published = image_publish::publish(&options, &|_| ())
        .map_err(|e| Failure::host("cannot publish", e))?;
    let peak_bytes = peak().map_err(|e| Failure::host("no peak", e))?;
    let seconds = began.elapsed().as_secs_f64();
    Ok(Published { sent: published.sent.len(), seconds, peak_bytes })
}

fn publish(work: &Path) -> Result<Sent, Failure> {
    let relay = Relay::start(server(work)?).map_err(|e| Failure::host("no relay", e))?;
    let this = std::env::current_exe().map_err(|e| Failure::host("cannot run our part", e))?;
    let this = Tool::at(this)
        .env("AWS_ENDPOINT_URL", format!("http://{}", relay.at))
        .env("AWS_ACCESS_KEY_ID", "bench")
        .env("AWS_SECRET_ACCESS_KEY", "bench")
        .env("AWS_REGION", "us-east-1");
    let send = || -> Result<Published, Failure> {
        let run = this.run(["bench", "--part", "publish", "--work", "."]).dir(work);
        let out = run.output().map_err(|e| Failure::host("our part failed", e))?;
        serde_json::from_slice(&out).map_err(|e| Failure::host("our part says", e))
    };
    let first = send()?;
    let parts_at_once = relay.most.load(Ordering::Relaxed);
    let again = send()?;
    Ok(Sent {
        objects: first.sent,
        seconds: first.seconds,
        parts_at_once,
        target_parts: TARGET_PARTS,
        peak_bytes: first.peak_bytes,
        sent_again: again.sent,
    })
}

/// Starts a server of S3, which ends with the program, whatever ends that: so does every tool that
/// still runs then.
fn server(work: &Path) -> Result<SocketAddr, Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    let program = root.join("target/release-parts/s3/bin/moto_server");
    if !program.exists() {
        let text = format!("bench needs {}: run tests/setup.sh", program.display());
        return Err(Failure::new(Verdict::Failed, text));
    }
    let fail = |e| Failure::host("cannot start a server of S3", e);
    let at = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).map_err(fail)?;
    let (tool, work, port) = (Tool::at(program), work.to_owned(), at.port().to_string());
    let serving = thread::spawn(move || {
        tool.run(["-H", "127.0.0.1", "-p", &port]).dir(work).output().map(drop)
    });
    let began = Instant::now();
    // The bucket is there when it answers.
    while !create_bucket(at).unwrap_or(false) {
        interrupt::check().map_err(|e| Failure::host("stopped", e))?;
        if began.elapsed() > START {
            return Err(Failure::new(Verdict::Failed, "the server of S3 does not answer"));
        }
        if serving.is_finished() {
            let ended = serving.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            return match ended {
                Ok(()) => Err(Failure::new(Verdict::Failed, "the server of S3 ended by itself")),
                Err(error) => Err(Failure::host("the server of S3 failed", error)),
            };
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(at)
}

fn create_bucket(at: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect(at)?;
    write!(stream, "PUT /{BUCKET} HTTP/1.1\r\nHost: {at}\r\nContent-Length: 0\r\n")?;
    // The server knows by this what is asked, and looks at no signature.
    let credential = "Credential=bench/20260101/us-east-1/s3/aws4_request";
    let authorization = format!("AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0");
    write!(stream, "Authorization: {authorization}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}

/// Hands on what goes to a server and comes back, and counts uploads that are under way.
struct Relay {
    at: SocketAddr,
    /// The most at the same time.
    most: Arc<AtomicUsize>,
}

impl Relay {
    /// Its threads end with their connections, and the one that waits for these with the program.
    fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (at, most) = (listener.local_addr()?, Arc::new(AtomicUsize::new(0)));
        let (now, counted) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&most));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (now, most) = (Arc::clone(&now), Arc::clone(&counted));
                // Who is cut off tries again, and says so.
                let _ = relay(client, server, now, most);
            }
        });
        Ok(Self { at, most })
    }
}

fn relay(
    mut client: TcpStream,
    server: SocketAddr,
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
) -> io::Result<()> {
    let mut server = TcpStream::connect(server)?;
    let (mut to_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
    // From the first byte of a request up to the first one of its answer.
    let uploads = Arc::new(AtomicBool::new(false));
    let (asked, ended) = (Arc::clone(&uploads), Arc::clone(&now));
    thread::spawn(move || {
        let _ = hand_on(&mut client, &mut to_server, |piece| {
            let begins = piece.starts_with(b"PUT ") && !asked.swap(true, Ordering::SeqCst);
            if begins {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            }
        });
    });
    thread::spawn(move || {
        let answered = || {
            if uploads.swap(false, Ordering::SeqCst) {
                ended.fetch_sub(1, Ordering::SeqCst);
            }
        };
        let _ = hand_on(&mut server, &mut to_client, |_| answered());
        answered();
    });
    Ok(())
}

/// Copies what `from` has to `to`, until one of them ends.
fn hand_on(
    from: &mut TcpStream,
    to: &mut TcpStream,
    mut look: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut piece = vec![0; 64 << 10];
    loop {
        let len = from.read(&mut piece)?;
        if len == 0 {
            return to.shutdown(Shutdown::Write);
        }
        look(&piece[..len]);
        to.write_all(&piece[..len])?;
    }
}

fn table(report: &Report) -> String {
    let verdict = |holds: bool| if holds { "reached" } else { "MISSED" };
    let mut text = format!(
        "{} images of random bytes, {} in {} threads; medians of turns\n",
        IMAGES.len(),
        text::bytes(report.bytes),
        report.threads
    );
    for row in &report.releases {
        let speed = report.bytes as f64 / row.payload_seconds / f64::from(1 << 20);
        text += &format!(
            "release from {:6} {:.2} of the slower of reading and hashing (target {:.1}: {}); {:.2} of \
             hashing in time of processors\n  {:.2} s, {speed:.0} MiB/s, against {:.2} s and {:.2} s; {:.2} s in all, peak {} (at \
             most {}: {})\n",
            row.from,
            row.ratio,
            row.target,
            verdict(row.ratio >= row.target),
            row.ratio_of_processors,
            row.payload_seconds,
            row.read_seconds,
            row.hash_seconds,
            row.seconds,
            text::bytes(row.peak_bytes),
            text::bytes(MAX_PEAK),
            verdict(row.peak_bytes < MAX_PEAK),
        );
    }
    let Sent { objects, seconds, parts_at_once, target_parts, peak_bytes, sent_again } =
        report.publish;
    text += &format!(
        "publish to S3: {objects} objects in {seconds:.2} s, read back; {parts_at_once} uploads at \
         the same time (target {target_parts}: {}), peak {} (at most {}: {}); once more: \
         {sent_again} sent\n",
        verdict(parts_at_once >= target_parts),
        text::bytes(peak_bytes),
        text::bytes(MAX_PEAK),
        verdict(peak_bytes < MAX_PEAK),
    );
    text
}

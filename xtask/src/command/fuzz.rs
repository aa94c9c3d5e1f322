//! `fuzz`: feeds a checker of file systems with bytes that nobody wrote in good faith.
//!
//! Builds the targets of `fuzz/` with libFuzzer, makes the first inputs, and runs. What libFuzzer
//! needs of the compiler is in the stable one.

#[expect(unreachable_pub, reason = "the file is a module of the library of fuzz/ as well")]
#[path = "../../../fuzz/src/input.rs"]
mod input;
mod seeds;

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use clap::ValueEnum as _;
use image_host::tool::{NotFound, Tool, ToolCause, ToolError};
use input::Image;
use serde::Serialize;

use super::{Context, print, print_json};
use crate::{
    Verdict,
    args::{Format, FuzzArgs, FuzzTarget},
    failure::Failure,
};

/// The longest input, in bytes.
const MAX_INPUT: u64 = 128 << 10;

/// The longest that one input may take, in seconds. A build for the fuzzer is some ten times as
/// slow as one for people.
const MAX_SECONDS: u64 = 10;

/// A counter for each edge of the control flow, and the values of comparisons. `--cfg fuzzing` is
/// left out on purpose: crates that know it switch their own checks off.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// How a run went.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    target: String,
    /// Inputs that were judged.
    inputs: u64,
    /// Edges of the control flow that were taken, of those that there are.
    edges: u64,
    edges_total: u64,
    /// Inputs that are kept, since each takes another way.
    corpus: u64,
    /// An input that makes the checker panic, or go beyond its limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<PathBuf>,
}

pub(super) fn run(context: Context, args: &FuzzArgs) -> Result<Verdict, Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    // Where the tools run is another folder.
    let replay = args.replay.as_deref().map(std::path::absolute).transpose();
    let replay = replay.map_err(|e| Failure::host("no current folder", e))?;
    if let Some(file) = &replay {
        let fail = |e| Failure::file(format!("cannot read {}", file.display()), e);
        if !fs::metadata(file).map_err(fail)?.is_file() {
            return Err(Failure::usage(format!("{} is not a regular file", file.display())));
        }
    }
    let programs = build(root)?;
    let name = name_of(args.target);
    let work = root.join("target/fuzz").join(&name);
    let fail = |e| Failure::host(format!("cannot use {}", work.display()), e);
    for part in ["corpus", "findings"] {
        fs::create_dir_all(work.join(part)).map_err(fail)?;
    }
    let target = Tool::at(programs.join(&name));
    if let Some(file) = replay {
        return one(context, &name, &target, &file);
    }
    eprintln!("fuzz: making the first inputs");
    seeds::make(args.target, root, &work)?;
    let options = [
        format!("-max_total_time={}", args.seconds),
        format!("-max_len={MAX_INPUT}"),
        format!("-timeout={MAX_SECONDS}"),
        format!("-artifact_prefix={}/", work.join("findings").display()),
        "-len_control=0".to_owned(),
        // Memory of the checker is counted in the target; what is kept of inputs is no part of it.
        "-rss_limit_mb=0".to_owned(),
        "-print_final_stats=1".to_owned(),
        "corpus".to_owned(),
        "seeds".to_owned(),
    ];
    let run = target.run(options).dir(&work);
    eprintln!("fuzz: {run}");
    let mut summary = Summary { target: name, ..Summary::default() };
    let mut said = Vec::new();
    let ended = run.stream(|line| {
        summary.hear(line);
        if summary.finding.is_none() && line.contains("\tpulse ") {
            eprintln!("{line}");
        }
        said.push(line.to_owned());
        if said.len() > 60 {
            said.remove(0);
        }
    });
    conclude(context, summary, ended, &said)
}

/// Judges one input.
fn one(context: Context, name: &str, target: &Tool, file: &Path) -> Result<Verdict, Failure> {
    let mut image = file.as_os_str().to_owned();
    image.push(".img");
    let image = Path::new(&image);
    unpack(file, image)
        .map_err(|e| Failure::host(format!("cannot make {}", image.display()), e))?;
    eprintln!("fuzz: the image that the input stands for is {}", image.display());
    let mut said = Vec::new();
    let args = [format!("-timeout={MAX_SECONDS}").into(), file.as_os_str().to_owned()];
    let ended = target.run(args).stream(|line| said.push(line.to_owned()));
    let broken = matches!(&ended, Err(ToolError { cause: ToolCause::Exit { .. }, .. }));
    let summary = Summary {
        target: name.to_owned(),
        inputs: 1,
        finding: broken.then(|| file.to_owned()),
        ..Summary::default()
    };
    conclude(context, summary, ended, &said)
}

/// Writes the image that an input stands for.
fn unpack(file: &Path, image: &Path) -> io::Result<()> {
    let found = Image::from_input(&fs::read(file)?);
    let file = File::create(image)?;
    file.set_len(found.length())?;
    for (at, page) in found.pages() {
        let inside = found.length().saturating_sub(at).min(page.len() as u64);
        file.write_all_at(&page[..inside as usize], at)?;
    }
    Ok(())
}

/// Builds the targets and returns the folder that they are in.
fn build(root: &Path) -> Result<PathBuf, Failure> {
    let needs = |package: &'static str| {
        move |e: NotFound| {
            Failure::host(format!("fuzz needs {} (apt-get install {package})", e.name), e)
        }
    };
    // libFuzzer is C++.
    Tool::find("g++").map_err(needs("g++"))?;
    let rust = |name| Tool::find(name).map_err(|e| Failure::host("fuzz needs Rust", e));
    let version = rust("rustc")?
        .inherit(|name| name.starts_with("RUSTUP_"))
        .run(["-vV"])
        .output()
        .map_err(|e| Failure::host("cannot ask rustc for its target", e))?;
    let version = String::from_utf8_lossy(&version).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or_else(|| {
        Failure::new(Verdict::Failed, "rustc -vV does not tell its target".to_owned())
    })?;
    let out = root.join("target/fuzz/build");
    let cargo = rust("cargo")?
        .inherit(|name| name.starts_with("CARGO_HOME") || name.starts_with("RUSTUP_"))
        .inherit(|name| name == "CARGO_NET_OFFLINE" || name == "TERM")
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"));
    let manifest = root.join("fuzz/Cargo.toml");
    // With a target, the flags are not for what only runs during the build.
    let args = ["build", "--quiet", "--release", "--locked", "--target", host, "--manifest-path"];
    let args = args.map(Into::into).into_iter();
    let args = args.chain([manifest.into_os_string(), "--target-dir".into(), out.clone().into()]);
    let run = cargo.run(args);
    eprintln!("fuzz: {run}");
    run.show().map_err(|e| Failure::host("cannot build the targets", e))?;
    Ok(out.join(host).join("release"))
}

impl Summary {
    /// What libFuzzer tells in its log.
    fn hear(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("INFO: Loaded 1 modules")
            && let Some(count) = rest.split(['(', ' ']).find_map(|word| word.parse().ok())
        {
            self.edges_total = count;
        }
        if line.starts_with('#') {
            let mut words = line.split_whitespace();
            while let Some(word) = words.next() {
                let mut value = || words.next().unwrap_or_default();
                match word {
                    "cov:" => self.edges = value().parse().unwrap_or(self.edges),
                    "corp:" => {
                        let count = value().split('/').next().and_then(|count| count.parse().ok());
                        self.corpus = count.unwrap_or(self.corpus);
                    }
                    _ => {}
                }
            }
        }
        let stat = |name: &str| line.strip_prefix(name).and_then(|value| value.trim().parse().ok());
        self.inputs = stat("stat::number_of_executed_units:").unwrap_or(self.inputs);
        if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.finding = Some(path.trim().into());
        }
    }
}

fn conclude(
    context: Context,
    summary: Summary,
    ended: Result<Vec<u8>, ToolError>,
    said: &[String],
) -> Result<Verdict, Failure> {
    let verdict = match ended {
        Ok(_) if summary.finding.is_none() => Verdict::Clean,
        Ok(_) | Err(ToolError { cause: ToolCause::Exit { .. }, .. })
            if summary.finding.is_some() =>
        {
            said.iter().for_each(|line| eprintln!("{line}"));
            Verdict::Defective
        }
        Ok(_) => Verdict::Clean,
        Err(error) => return Err(Failure::host("the fuzzer failed", error)),
    };
    match context.format {
        Format::Json => print_json(&summary)?,
        Format::Human => print(&summary.text())?,
    };
    Ok(verdict)
}

impl Summary {
    fn text(&self) -> String {
        let Self { target, inputs, edges, edges_total, corpus, finding } = self;
        let mut text = format!("{target}: {inputs} inputs");
        if *edges > 0 {
            text += &format!(", {edges} of {edges_total} edges taken, {corpus} inputs kept");
        }
        text += &match finding {
            None => "\nno finding\n".to_owned(),
            Some(path) => format!(
                "\nfinding: {path}\n  again with cargo xtask fuzz {target} --replay {path}\n",
                path = path.display()
            ),
        };
        text
    }
}

fn name_of(target: FuzzTarget) -> String {
    let value = target.to_possible_value().expect("no target is hidden");
    value.get_name().to_owned()
}

/// An error of a folder that is ours.
fn in_folder(dir: &Path) -> impl Fn(io::Error) -> Failure {
    move |e| Failure::host(format!("cannot fill {}", dir.display()), e)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as libFuzzer of LLVM 19 writes them.
    #[test]
    fn the_log_of_the_fuzzer_is_read() {
        let mut summary = Summary::default();
        let log = "INFO: Loaded 1 modules   (8100 inline 8-bit counters): 8100 [0x1, 0x2), \n\
            #32768\tpulse  cov: 2685 ft: 9731 corp: 897/52Mb lim: 131072 exec/s: 1424 rss: 541Mb\n\
            #40246\tDONE   cov: 2699 ft: 9902 corp: 940/55Mb lim: 131072 exec/s: 1298 rss: 541Mb\n\
            stat::number_of_executed_units: 40246";
        log.lines().for_each(|line| summary.hear(line));
        let found = [summary.inputs, summary.edges, summary.edges_total, summary.corpus];
        assert_eq!(found, [40246, 2699, 8100, 940]);
        assert_eq!(summary.finding, None);
        summary.hear("artifact_prefix='/x/'; Test unit written to /x/crash-fc25a1c7");
        assert_eq!(summary.finding, Some("/x/crash-fc25a1c7".into()));
    }
}

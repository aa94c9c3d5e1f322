//! `bench eval`: one image, evaluated out of the many files in nix/, and out of a flake that has all
//! of them in one. The derivations have to be the same. What of the repository Nix copies into its
//! store is counted, and looked through for what does not belong there.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use image_factory::{
    flake_check::{self, Checked, FlakeCheck},
    nix::FlakeRef,
};
use image_host::tool::Tool;
use serde::Serialize;

use super::{super::Context, median};
use crate::{
    Verdict,
    args::{BenchArgs, Format},
    command::{flake, print, print_json},
    failure::Failure,
    text::bytes,
};

/// What is evaluated.
const IMAGE: &str = "images.vm";

/// Folders of a checkout that are made, and no source: each gets a file with this name.
const MADE: [&str; 4] = ["target", "target/file-systems", "dist", "fuzz/target"];
const MARK: &str = "is-no-source";

/// No file of the sources is larger: what is fetched for tests is.
const MAX_FILE: u64 = 1 << 20;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    image: &'static str,
    derivation: String,
    /// The layout, and the single file.
    seconds: [f64; 2],
    ratio: f64,
    copied_bytes: [u64; 2],
    copied_files: [u64; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    stand_in: Option<String>,
}

pub(super) fn run(context: Context, args: &BenchArgs, work: &Path) -> Result<Verdict, Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    let nix = flake::nix()?;
    let here = std::env::current_dir().map_err(|e| Failure::host("no current folder", e))?;
    let (named, overlay) = flake::inputs(args.inputs.clone(), &here)?;
    let folders = if named.is_empty() { stand_ins(root)? } else { named };
    // Once, and not for each run.
    let mut overrides = BTreeMap::new();
    for (name, folder) in &folders {
        let source = nix.source(folder, &Default::default());
        let source = source.map_err(|e| Failure::host(format!("cannot copy {folder}"), e))?;
        overrides.insert(name.clone(), FlakeRef::new(&source.to_string(), &here));
    }
    let many = work.join("many-files");
    let one = work.join("one-file");
    let fail = |e| Failure::host(format!("cannot fill {}", work.display()), e);
    clone(root, &many)?;
    fs::create_dir_all(&one).map_err(fail)?;
    fs::copy(many.join("nix/flake.lock"), one.join("flake.lock")).map_err(fail)?;
    let text = super::single_file::single_file(&many.join("nix")).map_err(fail)?;
    fs::write(one.join("flake.nix"), text).map_err(fail)?;
    track(&one)?;

    let flakes = [many.join("nix"), one];
    let check = |flake: &Path| {
        let request = FlakeCheck {
            nix: nix.clone(),
            options: Default::default(),
            flake: FlakeRef::new(&flake.display().to_string(), work),
            overrides: overrides.clone(),
            overlay: overlay.clone(),
            only: vec![IMAGE.to_owned()],
            keep_going: false,
            jobs: std::num::NonZero::<usize>::MIN,
        };
        evaluate(&request)
    };
    let (mut seconds, mut ratios, mut last) = ([vec![], vec![]], vec![], None);
    // The first pair warms the page cache and is not counted.
    for run in 0..=args.runs.max(1) {
        let pair = [check(&flakes[0])?, check(&flakes[1])?];
        if run > 0 {
            let taken = pair.each_ref().map(|checked| checked.rows[0].seconds);
            ratios.push(taken[0] / taken[1]);
            seconds.iter_mut().zip(taken).for_each(|(all, taken)| all.push(taken));
        }
        last = Some(pair);
    }
    let pair = last.expect("there is at least one run");
    let [derivation, other] = pair.each_ref().map(|checked| checked.rows[0].derivation.clone());
    if derivation.is_none() || derivation != other {
        let text =
            format!("the single file evaluates to {other:?}, and the layout to {derivation:?}");
        return Err(Failure::new(Verdict::Failed, text));
    }
    let sizes = [size(&pair[0].source)?, size(&pair[1].source)?];
    let row = Row {
        image: IMAGE,
        derivation: derivation.unwrap_or_default(),
        seconds: seconds.map(median),
        ratio: median(ratios),
        copied_bytes: sizes.map(|size| size.bytes),
        copied_files: sizes.map(|size| size.files),
        stand_in: flake::stand_in(&pair[0].header),
    };
    match context.format {
        Format::Json => print_json(&row),
        Format::Human => print(&describe(&row)),
    }
}

fn describe(row: &Row) -> String {
    let [many, one] = row.seconds;
    let mut text = format!(
        "{}: {:.2} of the time for a single file: {many:.2} s against {one:.2} s, medians of pairs\n  \
         copied to the store: {} in {} files against {} in {}\n  \
         neither target/ nor dist/ nor what is fetched for tests is among them\n",
        row.image,
        row.ratio,
        bytes(row.copied_bytes[0]),
        row.copied_files[0],
        bytes(row.copied_bytes[1]),
        row.copied_files[1],
    );
    if let Some(stand_in) = &row.stand_in {
        text += &format!("  {stand_in}\n");
    }
    text
}

fn evaluate(request: &FlakeCheck) -> Result<Checked, Failure> {
    let checked = flake_check::check(request, &|_| ())?;
    match checked.refused.first() {
        Some(refused) => {
            let said = refused.error.failure().map(ToString::to_string).unwrap_or_default();
            let text = format!("{} does not evaluate: {said}", refused.attribute);
            Err(Failure::new(Verdict::Failed, text))
        }
        None => Ok(checked),
    }
}

/// The folders of the tests that are in the places of inputs.
fn stand_ins(root: &Path) -> Result<BTreeMap<String, FlakeRef>, Failure> {
    let dir = root.join("tests/fixtures/stand-in");
    let fail = |e| Failure::host(format!("cannot read {}", dir.display()), e);
    let mut folders = BTreeMap::new();
    for entry in fs::read_dir(&dir).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name().to_string_lossy().into_owned();
        let folder = flake_check::folder(&name, &dir, |_| false);
        folders.insert(name, folder);
    }
    Ok(folders)
}

/// Copies the sources of the repository, and puts things beside them that are none.
fn clone(root: &Path, to: &Path) -> Result<(), Failure> {
    let fail = |e| Failure::host(format!("cannot fill {}", to.display()), e);
    if to.exists() {
        fs::remove_dir_all(to).map_err(fail)?;
    }
    let list = git()?.run(["ls-files", "-z"]).dir(root).output();
    let list = list.map_err(|e| Failure::host("cannot list the sources", e))?;
    for name in String::from_utf8_lossy(&list).split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (root.join(name), to.join(name));
        // What is removed and not yet committed is no source either.
        if from.exists() {
            fs::create_dir_all(to.parent().unwrap_or(&to)).map_err(fail)?;
            fs::copy(from, to).map_err(fail)?;
        }
    }
    for dir in MADE {
        fs::create_dir_all(to.join(dir)).map_err(fail)?;
        fs::write(to.join(dir).join(MARK), "nobody evaluates this\n").map_err(fail)?;
    }
    track(to)
}

/// Makes a folder a Git repository, in which everything is tracked that is not ignored.
fn track(dir: &Path) -> Result<(), Failure> {
    let git = git()?;
    for args in [&["init", "--quiet"][..], &["add", "--all"]] {
        let run = git.run(args.iter().copied()).dir(dir).output();
        run.map_err(|e| Failure::host("cannot make a repository", e))?;
    }
    Ok(())
}

fn git() -> Result<Tool, Failure> {
    Tool::find("git").map_err(|e| Failure::host("bench eval needs git", e))
}

#[derive(Clone, Copy, Default)]
struct Size {
    bytes: u64,
    files: u64,
}

/// What was copied. That there is something among it which is no source is an error.
fn size(source: &Path) -> Result<Size, Failure> {
    let fail = |e| Failure::host(format!("cannot read {}", source.display()), e);
    let mut size = Size::default();
    let mut todo = vec![source.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            let metadata = fs::symlink_metadata(&path).map_err(fail)?;
            if metadata.is_dir() {
                todo.push(path);
                continue;
            }
            size.files += 1;
            size.bytes += metadata.len();
            if metadata.len() > MAX_FILE || path.file_name().is_some_and(|name| name == MARK) {
                return Err(foreign(source, &path));
            }
        }
    }
    Ok(size)
}

fn foreign(source: &Path, path: &Path) -> Failure {
    let name: PathBuf = path.strip_prefix(source).unwrap_or(path).to_owned();
    let text = format!("{} is copied for each evaluation, and is no source", name.display());
    Failure::host("bench eval", io::Error::other(text))
}

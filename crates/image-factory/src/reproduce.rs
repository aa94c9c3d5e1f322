//! Makes an image twice, and says what differs.
//!
//! The second time everything is another that should not matter: the folder of the work, the folder
//! for temporary files, the number of processors that builders and compressors use. The clock goes
//! on by itself.
//!
//! What Nix built is built again by `nix build --rebuild`, which builds the derivation alone, out
//! of what is in the store. So what the image is made of, as far as that is a file of its own and
//! was built here, is built again as well: the file system of nixpkgs' card is such a part.
//!
//! Nothing is published, and what is published stays as it is.

mod again;
mod against;
mod pair;
mod verdict;

use std::{
    collections::BTreeMap,
    fs, io,
    num::NonZero,
    path::{Path, PathBuf},
};

use image_host::interrupt;
use serde::Serialize;

pub use self::{
    against::{Against, AgainstError},
    pair::{CompareError, Pair},
    verdict::{Expected, Verdict},
};
use crate::{
    driver::{BuildOutput, Fault},
    event::{Event, Events, Step},
    finish::Finished,
    make::{self, MakeError},
    nix::NixError,
    plan::Plan,
};

/// What came of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reproduction {
    /// Name of the image.
    pub image: String,
    /// Whether it is the same.
    pub verdict: Verdict,
    /// What was made twice, or what was compared with what, a sentence each.
    pub made: Vec<String>,
    /// What was not made again, or is not known, a sentence each.
    pub notes: Vec<String>,
    /// The files that were compared: the image last, after what it is made of.
    pub pairs: Vec<Pair>,
    /// The differences that the definition expects, and that there are.
    pub expected: Vec<Expected>,
    /// The ids of the other ones, each with how many differences have it.
    pub unexpected: BTreeMap<String, u64>,
    /// The differences that the definition expects, and that there are not.
    pub unused: Vec<Expected>,
}

/// Nobody knows whether the image is the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReproduceError {
    /// It could not be made.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// It could not be made again.
    #[error("{derivation} cannot be built again{}", again_hint(cause))]
    Again {
        /// The derivation.
        derivation: String,
        /// What Nix says.
        #[source]
        cause: NixError,
    },
    /// Nix does not know how the file was made.
    #[error("Nix does not know which derivation made {path}, so it cannot build it again")]
    NoDerivation {
        /// The store path.
        path: String,
    },
    /// What Nix built the second time has no such file.
    #[error("the second build has no {}: it is another image altogether", path.display())]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// What it should be compared with cannot be used.
    #[error(transparent)]
    Against(#[from] AgainstError),
    /// The two cannot be compared.
    #[error(transparent)]
    Compare(#[from] CompareError),
}

fn again_hint(cause: &NixError) -> &'static str {
    use image_nix::Failure::{Platform, SystemFeatures};
    match cause.failure() {
        Some(Platform { .. } | SystemFeatures { .. }) => {
            ": for that Nix asks no remote builder, so this machine has to be able to"
        }
        _ => "",
    }
}

impl ReproduceError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Make(error) => error.fault(),
            Self::Against(error) => error.fault(),
            Self::Gone { .. } => Fault::Image,
            _ => Fault::Host,
        }
    }
}

/// A folder for one of the runs.
struct Run {
    build: PathBuf,
    finish: PathBuf,
    out: PathBuf,
    /// Where the programs that it starts have their temporary files.
    tmp: PathBuf,
}

impl Run {
    fn new(work: &Path, name: &str) -> Result<Self, MakeError> {
        let run = make::create_dir(&work.join(name))?;
        let folder = |name: &str| make::create_dir(&run.join(name));
        Ok(Self {
            build: folder("build")?,
            finish: folder("finish")?,
            out: folder("out")?,
            tmp: folder("tmp")?,
        })
    }

    /// Puts what was built into its final form.
    fn finish(
        &self,
        plan: &Plan,
        built: &BuildOutput,
        threads: NonZero<usize>,
        events: Events<'_>,
    ) -> Result<(PathBuf, Finished), MakeError> {
        let file = self.out.join(plan.file_name(&built.distribution));
        let finished = make::finish(plan, built, &file, &self.finish, threads, events)?;
        // The raw bytes of a compressed input: there is a second run to come.
        let _ = fs::remove_dir_all(&self.finish);
        Ok((file, finished))
    }
}

/// The folder of the work, beside that of a run that publishes.
fn work_of(plan: &Plan) -> PathBuf {
    plan.dist.with_file_name(format!(".{}.reproduce", plan.image))
}

/// Another number, and not a much smaller one.
fn other(number: NonZero<usize>) -> NonZero<usize> {
    let more = NonZero::new(2).expect("two is not zero");
    NonZero::new(number.get() - 1).unwrap_or(more)
}

/// Makes an image twice, and compares.
pub fn reproduce(plan: &Plan, events: Events<'_>) -> Result<Reproduction, ReproduceError> {
    make::begin(plan, events)?;
    let work = make::take(&work_of(plan)).map_err(MakeError::from)?;
    let (first, second) =
        (Run::new(work.path(), "first")?, Run::new(work.path(), "the-second-run")?);
    let mut told = Reproduction::of(&plan.image);

    events(Event::Started(Step::Build));
    let built = make::build(plan, &first.build, events)?;
    let again = again::build(plan, &built, &second, &mut told, events)?;
    events(Event::Finished(Step::Build));

    let threads = other(plan.threads);
    let (file, one) = first.finish(plan, &built, plan.threads, events)?;
    match again.built.as_ref() {
        Some(built) => {
            let (other_file, other) = second.finish(plan, built, threads, events)?;
            told.made.push(format!(
                "finished with {} and with {}",
                count(plan.threads, "thread"),
                count(threads, "thread")
            ));
            events(Event::Started(Step::Compare));
            told.compare(&file, &one, &other_file, &other, work.path(), events)?;
            events(Event::Finished(Step::Compare));
            // Nobody ships the rest of what Nix built.
            if let Some(output) = again.differs.filter(|_| told.pairs.iter().all(|pair| pair.same))
            {
                told.made.push(format!("{output} differs in other files than the image"));
            }
        }
        None => told.pairs.push(Pair {
            name: name_of(&file),
            derivation: None,
            a: Some(one.artifacts[0].digests),
            b: None,
            same: false,
            comparison: None,
        }),
    }
    drop(again.kept);
    interrupt::check().map_err(MakeError::from)?;
    Ok(told.judged(plan))
}

/// Makes an image, and compares it with one that exists.
pub fn reproduce_against(
    plan: &Plan,
    against: &Against,
    events: Events<'_>,
) -> Result<Reproduction, ReproduceError> {
    let published = against::find(plan, against)?;
    make::begin(plan, events)?;
    let work = make::take(&work_of(plan)).map_err(MakeError::from)?;
    let run = Run::new(work.path(), "first")?;
    let mut told = Reproduction::of(&plan.image);

    events(Event::Started(Step::Build));
    let built = make::build(plan, &run.build, events)?;
    events(Event::Finished(Step::Build));
    let (file, finished) = run.finish(plan, &built, plan.threads, events)?;
    events(Event::Started(Step::Compare));
    let name = name_of(&published.file);
    let pair = Pair::of(name, &published.file, &file, work.path(), events)?;
    published.tell(pair.a, &built.source, &finished, &mut told);
    told.pairs.push(pair);
    events(Event::Finished(Step::Compare));
    interrupt::check().map_err(MakeError::from)?;
    Ok(told.judged(plan))
}

impl Reproduction {
    /// Nothing yet.
    fn of(image: &str) -> Self {
        Self {
            image: image.to_owned(),
            verdict: Verdict::Reproducible,
            made: Vec::new(),
            notes: Vec::new(),
            pairs: Vec::new(),
            expected: Vec::new(),
            unexpected: BTreeMap::new(),
            unused: Vec::new(),
        }
    }

    /// Compares what both runs made.
    fn compare(
        &mut self,
        file: &Path,
        one: &Finished,
        other_file: &Path,
        other: &Finished,
        work: &Path,
        events: Events<'_>,
    ) -> Result<(), ReproduceError> {
        let artifacts = one.artifacts.iter().zip(&other.artifacts);
        for (index, (a, b)) in artifacts.enumerate() {
            if a.digests == b.digests {
                self.pairs.push(Pair::same(a.file.clone(), Some(a.digests)));
            } else if index == 0 {
                self.pairs.push(Pair::of(a.file.clone(), file, other_file, work, events)?);
            } else if self.pairs.last().is_some_and(|image| image.same) {
                // A block map is that of its image, and differs with it.
                let (file, other_file) =
                    (file.with_file_name(&a.file), other_file.with_file_name(&b.file));
                self.pairs.push(Pair::of(a.file.clone(), &file, &other_file, work, events)?);
            }
        }
        Ok(())
    }

    /// With the verdict.
    fn judged(mut self, plan: &Plan) -> Self {
        verdict::judge(&mut self, &plan.definition.reproduce.expect);
        self
    }
}

fn name_of(file: &Path) -> String {
    file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn count(number: NonZero<usize>, word: &str) -> String {
    format!("{number} {word}{}", if number.get() == 1 { "" } else { "s" })
}

/// True if there is no such file.
fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_number_is_another_one() {
        for number in 1..20 {
            let number = NonZero::new(number).unwrap();
            assert_ne!(other(number), number);
        }
    }
}

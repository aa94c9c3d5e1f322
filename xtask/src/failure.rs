//! A command that could not do its work, and whose fault that is.

use std::{error::Error, fmt};

use image_factory::{
    DefinitionError, Fault, MakeError, PlanError, devcontainer::DevContainerError,
    flake_check::FlakeCheckError, lock::ImageLockError, manifest::ManifestError,
    reproduce::ReproduceError,
};
use image_host::interrupt;

use crate::Verdict;

/// An error with the exit code that it leads to.
#[derive(Debug)]
pub(crate) struct Failure {
    verdict: Verdict,
    error: Box<dyn Error + Send + Sync + 'static>,
}

/// A sentence that is an error of its own.
#[derive(Debug)]
struct Sentence(String);

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Sentence {}

impl Failure {
    pub(crate) fn new(
        verdict: Verdict,
        error: impl Into<Box<dyn Error + Send + Sync + 'static>>,
    ) -> Self {
        Self { verdict, error: error.into() }
    }

    /// The machine is at fault; `what` says what was being done.
    pub(crate) fn host(what: impl Into<String>, cause: impl Error + 'static) -> Self {
        let stopped = interrupt::caused(&cause);
        let mut text = what.into();
        text.push_str(&format!(": {cause}"));
        let mut source = cause.source();
        while let Some(error) = source {
            text.push_str(&format!(": {error}"));
            source = error.source();
        }
        let verdict = if stopped { Verdict::Interrupted } else { Verdict::Failed };
        Self::new(verdict, Sentence(text))
    }

    /// An error that knows whose fault it is.
    #[cfg(feature = "release")]
    pub(crate) fn by_fault(
        fault: Fault,
        error: impl Into<Box<dyn Error + Send + Sync + 'static>>,
    ) -> Self {
        Self::new(verdict_of(fault), error)
    }

    /// A file that the command line names: that it is not there is a mistake of the command line.
    pub(crate) fn file(what: impl Into<String>, cause: std::io::Error) -> Self {
        let absent = cause.kind() == std::io::ErrorKind::NotFound;
        let failure = Self::host(what, cause);
        if absent { Self { verdict: Verdict::Usage, ..failure } } else { failure }
    }

    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::new(Verdict::Usage, Sentence(text.into()))
    }

    pub(crate) fn verdict(&self) -> Verdict {
        if interrupt::caused(self.error.as_ref()) { Verdict::Interrupted } else { self.verdict }
    }

    /// What is not there because somebody stopped the work.
    fn unfinished(&self) -> &'static str {
        #[cfg(feature = "release")]
        if self.error.is::<image_release::MakeError>() {
            return ": nothing was released";
        }
        if self.error.is::<MakeError>() { ": the image was not published" } else { "" }
    }

    /// The error and each of its causes, a line each.
    pub(crate) fn print(&self) {
        if self.verdict() == Verdict::Interrupted {
            eprintln!("interrupted{}", self.unfinished());
            return;
        }
        eprintln!("error: {}", self.error);
        let mut source = self.error.source();
        let mut last = self.error.to_string();
        while let Some(error) = source {
            let text = error.to_string();
            // An error that only passes its cause on is one line, not two.
            if text != last {
                eprintln!("  because: {}", text.replace('\n', "\n    "));
            }
            last = text;
            source = error.source();
        }
    }
}

impl From<DefinitionError> for Failure {
    fn from(error: DefinitionError) -> Self {
        let verdict = match error {
            DefinitionError::Read { .. } => Verdict::Failed,
            _ => Verdict::Usage,
        };
        Self::new(verdict, error)
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        let verdict = if error.is_usage() { Verdict::Usage } else { Verdict::Failed };
        Self::new(verdict, error)
    }
}

impl From<ImageLockError> for Failure {
    fn from(error: ImageLockError) -> Self {
        let verdict = if error.is_usage() { Verdict::Usage } else { Verdict::Failed };
        Self::new(verdict, error)
    }
}

impl From<DevContainerError> for Failure {
    fn from(error: DevContainerError) -> Self {
        let verdict = if error.is_usage() { Verdict::Usage } else { Verdict::Failed };
        Self::new(verdict, error)
    }
}

impl From<FlakeCheckError> for Failure {
    fn from(error: FlakeCheckError) -> Self {
        let verdict = if error.is_usage() { Verdict::Usage } else { Verdict::Failed };
        Self::new(verdict, error)
    }
}

impl From<MakeError> for Failure {
    fn from(error: MakeError) -> Self {
        Self::new(verdict_of(error.fault()), error)
    }
}

impl From<ManifestError> for Failure {
    fn from(error: ManifestError) -> Self {
        Self::new(verdict_of(error.fault()), error)
    }
}

impl From<ReproduceError> for Failure {
    fn from(error: ReproduceError) -> Self {
        Self::new(verdict_of(error.fault()), error)
    }
}

fn verdict_of(fault: Fault) -> Verdict {
    match fault {
        Fault::Usage => Verdict::Usage,
        Fault::Image => Verdict::Defective,
        Fault::Host => Verdict::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_is_not_lost_in_a_sentence() {
        let cause = std::io::Error::from(interrupt::Interrupted);
        assert_eq!(Failure::host("cannot verify x", cause).verdict(), Verdict::Interrupted);
        let cause = std::io::Error::other("bad sector");
        assert_eq!(Failure::host("cannot verify x", cause).verdict(), Verdict::Failed);
    }
}

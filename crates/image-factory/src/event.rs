//! What the factory tells while it works. It prints nothing: who calls it decides what is shown.

use crate::driver;

/// A part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The driver makes the bytes.
    Build,
    /// They are put into their final form.
    Finish,
    /// The file is judged.
    Verify,
    /// All of the file was read, and the contents of its Nix stores are hashed: a part of
    /// [`Self::Verify`], which tells only how far it is.
    Prove,
    /// The folder is put into its place.
    Publish,
    /// Two files are compared.
    Compare,
    /// Files of a release are hashed.
    Hash,
    /// A release is put together.
    Release,
    /// A release is sent to where others fetch it, and read back.
    Send,
}

impl Step {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Finish => "finish",
            Self::Verify => "verify",
            Self::Prove => "prove",
            Self::Publish => "publish",
            Self::Compare => "compare",
            Self::Hash => "hash",
            Self::Release => "release",
            Self::Send => "send",
        }
    }
}

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A sentence that the user should read.
    Notice(String),
    /// A part of the work begins.
    Started(Step),
    /// A part of the work goes on: bytes done, and of how many where that is known.
    Progress {
        /// Which part.
        step: Step,
        /// Bytes done.
        done: u64,
        /// Bytes in all.
        total: Option<u64>,
    },
    /// A part of the work ended well.
    Finished(Step),
    /// The driver tells something.
    Driver(driver::Event),
    /// Nix tells something.
    Nix(image_nix::Event),
}

/// Who hears of events.
pub type Events<'a> = &'a (dyn Fn(Event) + Sync);

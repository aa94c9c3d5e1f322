//! Puts releases where others fetch them, and reads them back. The only crate of the workspace that
//! speaks to a network.
//!
//! The order is such that nobody sees half a version: payloads, what is said of them, signatures,
//! sums, catalogs, and the page last. What is there already is compared and not sent again; other
//! bytes under the same version are refused before anything is sent.

mod blocking;
mod environment;
mod error;
mod flow;
mod folder;
mod github;
pub mod http;
mod objects;
pub mod oci;
pub mod s3;
mod target;
mod work;

use std::{future::Future, num::NonZero, path::PathBuf, time::Duration};

use image_factory::{
    Step,
    event::{Event, Events},
};
use image_host::interrupt;
use image_model::ReleaseManifest;

pub use environment::Environment;
pub use error::PublishError;
pub use objects::{Object, ObjectsError, objects};
pub use target::{Target, TargetError};
pub use work::Patience;

use crate::work::Work;

/// How long what goes on in other threads may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// What is published, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of the release.
    pub release: PathBuf,
    /// Where it goes.
    pub target: Target,
    /// How many parts are under way at the same time.
    pub parallel: NonZero<usize>,
    /// What becomes of what fails for a moment.
    pub patience: Patience,
    /// Where credentials come from.
    pub environment: Environment,
}

/// A release that is where it should be, every byte of it read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Names of the objects that were sent, in this order.
    pub sent: Vec<String>,
    /// Names of those that were there.
    pub present: Vec<String>,
    /// Where they are.
    pub place: String,
}

/// Publishes a release.
pub fn publish(options: &Options, events: Events<'_>) -> Result<Published, PublishError> {
    let (manifest, objects) = objects(&options.release)?;
    let work = Work::new(events, options.parallel.get(), options.patience);
    events(Event::Started(Step::Send));
    let published = block_on(dispatch(options, &manifest, &objects, &work))?;
    events(Event::Finished(Step::Send));
    Ok(published)
}

/// What [`publish`] would send, as far as that is known without reading what is there: `sent` are the
/// objects that are not.
pub fn look(options: &Options, events: Events<'_>) -> Result<Published, PublishError> {
    let (manifest, objects) = objects(&options.release)?;
    let mut work = Work::new(events, options.parallel.get(), options.patience);
    work.only_looks = true;
    block_on(dispatch(options, &manifest, &objects, &work))
}

async fn dispatch(
    options: &Options,
    manifest: &ReleaseManifest,
    objects: &[Object],
    work: &Work<'_>,
) -> Result<Published, PublishError> {
    match &options.target {
        Target::Folder(folder) => {
            folder::publish(folder, &options.release, manifest, objects, work).await
        }
        Target::S3 { bucket, prefix } => {
            s3::publish((bucket, prefix), options, manifest, objects, work).await
        }
        Target::Oci { registry, repository } => {
            oci::publish((registry, repository), &options.environment, manifest, objects, work)
                .await
        }
        Target::Github { repository } => {
            github::publish(repository, &options.environment, manifest, objects, work).await
        }
    }
}

/// Runs `future` to its end, or until somebody asks the program to stop: then it is dropped where it
/// waits.
pub(crate) fn block_on<T>(
    future: impl Future<Output = Result<T, PublishError>>,
) -> Result<T, PublishError> {
    // The first one to choose wins, and both choose the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
            PublishError::place("cannot start the threads of a network client", error)
        })?;
    let stop = async {
        loop {
            interrupt::check()?;
            tokio::time::sleep(interrupt::GLANCE).await;
        }
    };
    let result = runtime.block_on(async {
        tokio::select! {
            biased;
            stopped = stop => stopped,
            result = future => result,
        }
    });
    // What blocks, such as copying a file, sees that nobody waits for it, and ends soon. What it
    // writes goes away with it.
    runtime.shutdown_timeout(GRACE);
    if result.is_err() {
        // A program that was started hears of it at once, and fails before we look.
        interrupt::check()?;
    }
    result
}

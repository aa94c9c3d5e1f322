//! A folder of this machine.

use std::path::Path;

use image_model::ReleaseManifest;

use crate::{Object, PublishError, Published, work::Work};

/// Publishes a release there.
pub(crate) async fn publish(
    _folder: &Path,
    _manifest: &ReleaseManifest,
    _objects: &[Object],
    _work: &Work<'_>,
) -> Result<Published, PublishError> {
    unreachable!("written by its owner")
}

//! How long judging may take where somebody made an image to keep it busy.

use std::time::Duration;

/// More than a machine takes that does ten other things as well, and less than what does not end.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

//! What a check declares about itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens to a user when a check does not hold.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// A fact worth seeing.
    Info,
    /// The image works, and somebody will be surprised.
    Warning,
    /// The image does not work, or lies.
    Error,
}

impl Severity {
    /// The word that reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The declaration of one check. Its `id` is public: never renamed, never used again.
#[derive(Debug)]
pub struct Check {
    /// Stable name: `<format>-<what>`, lower case.
    pub id: &'static str,
    /// What happens to a user when the check does not hold.
    pub severity: Severity,
    /// The bytes it looks at.
    pub reads: &'static str,
    /// The clause it enforces, or the source of the fact.
    pub spec: &'static str,
    /// Why it matters, in Markdown. The first paragraph is the summary.
    pub explain: &'static str,
}

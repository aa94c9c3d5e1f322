//! `SOURCE_DATE_EPOCH`, the only clock. <https://reproducible-builds.org/specs/source-date-epoch/>

use std::env;

/// The variable.
pub const VARIABLE: &str = "SOURCE_DATE_EPOCH";

/// The variable is set, and not to a number of seconds.
#[derive(Debug, thiserror::Error)]
#[error("{VARIABLE} is {value:?}, not a number of seconds since 1970")]
pub struct EpochError {
    value: std::ffi::OsString,
}

/// Seconds since 1970-01-01 00:00:00 UTC, or `None` where nobody set a time: then no time goes
/// into any output.
pub fn source_date_epoch() -> Result<Option<u64>, EpochError> {
    let Some(value) = env::var_os(VARIABLE) else { return Ok(None) };
    let seconds = value.to_str().and_then(|text| text.parse().ok());
    seconds.map(Some).ok_or(EpochError { value })
}

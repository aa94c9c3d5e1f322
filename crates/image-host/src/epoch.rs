//! `SOURCE_DATE_EPOCH`, the only clock of what is built. <https://reproducible-builds.org/specs/source-date-epoch/>

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

/// What the clock of the machine shows: seconds since 1970-01-01 00:00:00 UTC.
///
/// For keys, which come into being and expire on days of the calendar, and for nothing else: what is
/// built says the same on every day.
pub fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// The last second of the year 9999: later ones have no date of the usual form.
pub const LAST: u64 = 253_402_300_799;

/// The day of a second up to [`LAST`], in UTC, in the calendar of today: `2026-08-20`.
pub fn date(seconds: u64) -> String {
    // Eras of 400 years begin with March, so that a leap day is the last of one; 719468 days lie
    // between the first of them and 1970.
    let days = seconds.min(LAST) / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The same with the time, as RFC 3339 writes it: `2026-08-20T05:42:21Z`.
pub fn timestamp(seconds: u64) -> String {
    let seconds = seconds.min(LAST);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}Z", date(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_those_of_date_1() {
        // `date -u -d @N +%FT%TZ`
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_868_799, "2000-02-29T23:59:59Z"),
            (1_787_204_541, "2026-08-20T05:42:21Z"),
            (LAST, "9999-12-31T23:59:59Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(timestamp(seconds), expected);
        }
    }
}

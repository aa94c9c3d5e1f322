//! The list of checksums, as both `sha256sum -c` and systemd-sysupdate have to read it.

use std::collections::BTreeMap;

use image_model::Sha256;
use image_verify::release::{SUMS_FORM, SUMS_UNIQUE};

use super::report::Recorder;
use crate::{SUMS, catalog::client::sysupdate};

/// Reads the list: the digest of each name. What is wrong with it is recorded, and what can be read
/// is returned all the same.
pub(super) fn read(bytes: &[u8], out: &mut Recorder) -> BTreeMap<String, Sha256> {
    let mut sums = BTreeMap::new();
    let Ok(text) = std::str::from_utf8(bytes) else {
        out.fail(&SUMS_FORM, SUMS, "it is not UTF-8".to_owned());
        return sums;
    };
    out.expect(&SUMS_FORM, text.is_empty() || text.ends_with('\n'), SUMS, || {
        "the last line has no end: systemd-sysupdate refuses the list".to_owned()
    });
    for (index, line) in text.split_terminator('\n').enumerate() {
        let number = index + 1;
        let (sha256, name) = match entry(line) {
            Ok(entry) => entry,
            Err(why) => {
                out.fail(&SUMS_FORM, SUMS, format!("line {number}: {why}"));
                continue;
            }
        };
        let before = sums.insert(name.to_owned(), sha256);
        out.expect(&SUMS_UNIQUE, before.is_none(), SUMS, || {
            format!("line {number}: {name:?} is listed twice")
        });
    }
    // What a client reads, by what it does; our own rules are not weaker.
    let theirs = sysupdate::sums(bytes);
    out.expect(&SUMS_FORM, theirs.is_ok(), SUMS, || {
        let why = theirs.err().map(|error| error.to_string()).unwrap_or_default();
        format!("systemd-sysupdate refuses it: {why}")
    });
    sums
}

/// A line: digest, space, space or asterisk, name.
fn entry(line: &str) -> Result<(Sha256, &str), String> {
    let (digits, rest) = line.split_at_checked(64).ok_or("it has no 64 digits")?;
    let sha256 = Sha256::try_from(digits.to_owned())
        .map_err(|_| "it does not begin with 64 lower-case hexadecimal digits".to_owned())?;
    let name = rest.strip_prefix("  ").or_else(|| rest.strip_prefix(" *"));
    let name = name.ok_or("after the digits are no two spaces, or a space and an asterisk")?;
    plain(name).map_err(|why| format!("{name:?}: {why}"))?;
    Ok((sha256, name))
}

/// Whether a file of a release may be called so.
pub(super) fn plain(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("it has no name"),
        "." | ".." => Err("no file is called so"),
        name if name.contains('/') => Err("it is in a folder, which systemd-sysupdate refuses"),
        name if name.contains('\\') => Err("a backslash is an escape to sha256sum"),
        name if name.contains(char::is_control) => Err("it has control characters"),
        name if name.len() > 255 => Err("it is longer than the 255 bytes of a name"),
        _ => Ok(()),
    }
}

//! The records of pax extended headers. POSIX.1-2017 pax, "pax Extended Header".

/// One record: keyword and value. A value is any bytes; an empty one takes the keyword back.
pub type PaxRecord = (Vec<u8>, Vec<u8>);

/// Splits the content of an extended header into its records, each `"%d %s=%s\n"`. What cannot be
/// read ends the list: the second value is its offset in the content.
pub fn records(content: &[u8]) -> (Vec<PaxRecord>, Option<usize>) {
    let mut records = Vec::new();
    let mut rest = content;
    while !rest.is_empty() {
        match record(rest) {
            Some((key, value, after)) => {
                records.push((key.to_vec(), value.to_vec()));
                rest = after;
            }
            None => return (records, content.len().checked_sub(rest.len())),
        }
    }
    (records, None)
}

/// Keyword, value, and what follows the first record of `bytes`.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    // 20 digits hold any 64-bit length: a record without a space does not cost a long search.
    let space = bytes.iter().take(21).position(|b| *b == b' ')?;
    let (digits, _) = bytes.split_at_checked(space)?;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let len: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let (record, after) = bytes.split_at_checked(len)?;
    let body = record.get(space.checked_add(1)?..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|b| *b == b'=')?;
    let (key, value) = body.split_at_checked(equals)?;
    let value = value.strip_prefix(b"=")?;
    (!key.is_empty()).then_some((key, value, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_anything() {
        let (found, bad) = records(b"11 a=b\nc\0d\n6 b==\n5 c=\n");
        assert_eq!(bad, None);
        let pair = |key: &[u8], value: &[u8]| (key.to_vec(), value.to_vec());
        assert_eq!(found, [pair(b"a", b"b\nc\0d"), pair(b"b", b"="), pair(b"c", b"")]);
    }

    #[test]
    fn what_cannot_be_read_has_a_place() {
        for (content, at) in [
            (&b"6 a=b\nxx"[..], 6),
            (b"6 a=b\n99 c=d\n", 6),
            (b"6 a=b\n0 \n", 6),
            (b"6 a=bb", 0),
            (b"6 abc\n", 0),
            (b"99999999999999999999999 a=b\n", 0),
        ] {
            assert_eq!(records(content).1, Some(at), "{}", content.escape_ascii());
        }
    }
}

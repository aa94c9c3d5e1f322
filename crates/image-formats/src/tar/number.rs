//! The numbers of tar: octal digits, GNU's base-256, and the decimal digits of pax records.

/// Reads a numeric field of a header. `None`: it holds no number, or one beyond 64 bits.
///
/// As all readers do, spaces before the digits and everything after the first space or NUL are
/// passed over, and an empty field is zero.
pub fn field(bytes: &[u8]) -> Option<i64> {
    match bytes.split_first() {
        Some((first, rest)) if first & 0x80 != 0 => base256(*first, rest),
        _ => octal(bytes),
    }
}

/// A field that cannot be negative.
pub fn unsigned(bytes: &[u8]) -> Option<u64> {
    field(bytes).and_then(|value| u64::try_from(value).ok())
}

fn octal(bytes: &[u8]) -> Option<i64> {
    let digits = bytes.trim_ascii_start();
    let mut value = 0_i64;
    for digit in digits {
        match digit {
            b'0'..=b'7' => {
                value = value.checked_mul(8)?.checked_add(i64::from(digit.checked_sub(b'0')?))?;
            }
            0 | b' ' => break,
            _ => return None,
        }
    }
    Some(value)
}

/// Two's complement, big-endian; bit 7 of the first byte only marks the form, bit 6 is the sign.
fn base256(first: u8, rest: &[u8]) -> Option<i64> {
    let head = first & 0x7f;
    let mut value = if head & 0x40 == 0 { i128::from(head) } else { i128::from(head) | !0x7f };
    for byte in rest {
        value = value.checked_mul(256)?.checked_add(i128::from(*byte))?;
    }
    i64::try_from(value).ok()
}

/// Reads the decimal digits of a pax record. A fraction, which times may have, is cut off
/// towards minus infinity.
pub fn decimal(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let is_number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    if digits.is_empty() || !is_number(digits) || !is_number(fraction) {
        return None;
    }
    let value: i64 = whole.parse().ok()?;
    let below = whole.starts_with('-') && fraction.bytes().any(|b| b != b'0');
    if below { value.checked_sub(1) } else { Some(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_in_all_its_paddings() {
        assert_eq!(field(b"0000644\0"), Some(0o644));
        assert_eq!(field(b"   644 \0"), Some(0o644));
        assert_eq!(field(b"77777777777\0"), Some(0o77_777_777_777));
        assert_eq!(field(b"00000000"), Some(0));
        assert_eq!(field(&[0; 8]), Some(0));
        assert_eq!(field(b"        "), Some(0));
        assert_eq!(field(b"00x0644\0"), None);
        assert_eq!(field(b"-1\0\0\0\0\0\0"), None);
    }

    #[test]
    fn base_256_is_signed() {
        assert_eq!(field(&[0x80, 0, 0, 0, 0, 0x40, 0, 0]), Some(1 << 22));
        assert_eq!(field(&[0xff; 12]), Some(-1));
        assert_eq!(field(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]), Some(-2));
        let mut wide = [0xbf; 12];
        assert_eq!(field(&wide), None);
        wide = [0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(field(&wide), Some(i64::MAX));
        assert_eq!(unsigned(&[0xff; 12]), None);
    }

    #[test]
    fn decimal_floors() {
        assert_eq!(decimal(b"12"), Some(12));
        assert_eq!(decimal(b"1.999999999"), Some(1));
        assert_eq!(decimal(b"-1.5"), Some(-2));
        assert_eq!(decimal(b"-1.0"), Some(-1));
        for bad in [&b""[..], b"-", b" 1", b"1e3", b"0x1", b"1.2.3", b"99999999999999999999"] {
            assert_eq!(decimal(bad), None, "{}", bad.escape_ascii());
        }
    }
}

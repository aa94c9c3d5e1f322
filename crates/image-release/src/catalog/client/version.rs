//! The order of versions in systemd: `strverscmp_improved` of
//! `src/fundamental/string-util-fundamental.c`, which `systemd-analyze compare-versions` shows. UAPI.10
//! Version Format Specification.

use std::cmp::Ordering;

/// Compares two versions.
///
/// They are read segment by segment. `~` makes a version older than the same without it; then, from old
/// to new, segments after `-`, `^` and `.` stand below one without a separator. Digits are newer than
/// letters, a longer number is newer, and so is a longer version.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        (a, b) = (valid(a), valid(b));
        let tilde = starts(b, b'~').cmp(&starts(a, b'~'));
        if tilde != Ordering::Equal {
            return tilde;
        }
        (a, b) = (skip(a, b'~'), skip(b, b'~'));
        if a.is_empty() || b.is_empty() {
            return a.len().min(1).cmp(&b.len().min(1));
        }
        for separator in *b"-^." {
            // Whoever has one is older.
            let order = starts(b, separator).cmp(&starts(a, separator));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (skip(a, separator), skip(b, separator));
        }
        let digits = |text: &[u8]| text.first().is_some_and(u8::is_ascii_digit);
        let order = if digits(a) || digits(b) {
            let ((left, rest_a), (right, rest_b)) =
                (segment(a, u8::is_ascii_digit), segment(b, u8::is_ascii_digit));
            (a, b) = (rest_a, rest_b);
            // Letters are an empty number, which is older than any.
            let (zeros_left, zeros_right) = (without_zeros(left), without_zeros(right));
            (!left.is_empty())
                .cmp(&!right.is_empty())
                .then(zeros_left.len().cmp(&zeros_right.len()))
                .then(zeros_left.cmp(zeros_right))
        } else {
            let ((left, rest_a), (right, rest_b)) =
                (segment(a, u8::is_ascii_alphabetic), segment(b, u8::is_ascii_alphabetic));
            (a, b) = (rest_a, rest_b);
            left.cmp(right)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Without what separates segments and says nothing.
fn valid(text: &[u8]) -> &[u8] {
    let known = |byte: &u8| byte.is_ascii_alphanumeric() || b"~-^.".contains(byte);
    let at = text.iter().position(known).unwrap_or(text.len());
    text.get(at..).unwrap_or_default()
}

/// Whether the text begins with a separator.
fn starts(text: &[u8], separator: u8) -> bool {
    text.first() == Some(&separator)
}

/// Without one separator at its beginning.
fn skip(text: &[u8], separator: u8) -> &[u8] {
    text.strip_prefix(&[separator]).unwrap_or(text)
}

/// The bytes of a class at the beginning, and the rest.
fn segment(text: &[u8], class: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let at = text.iter().position(|byte| !class(byte)).unwrap_or(text.len());
    text.split_at(at)
}

fn without_zeros(digits: &[u8]) -> &[u8] {
    let at = digits.iter().position(|digit| *digit != b'0').unwrap_or(digits.len());
    digits.get(at..).unwrap_or_default()
}

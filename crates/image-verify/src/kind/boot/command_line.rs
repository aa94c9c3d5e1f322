//! The command line of a kernel, and the names of devices in it.

use std::collections::BTreeMap;

/// The words of a command line: double quotes keep spaces together.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_ascii_whitespace() && !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// The last value that words give to a key.
pub(crate) fn value<'w>(words: &'w [String], key: &str) -> Option<&'w str> {
    words.iter().rev().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// What two command lines differ in, each word as often as it is there, but for `init=`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Words that only the first has.
    pub(crate) more: Vec<String>,
    /// Words that only the second has.
    pub(crate) lost: Vec<String>,
}

impl Difference {
    /// Of `ours` to `theirs`.
    pub(crate) fn of(ours: &str, theirs: &str) -> Self {
        let (ours, theirs) = (count(ours), count(theirs));
        let only = |these: &BTreeMap<String, u32>, those: &BTreeMap<String, u32>| {
            let fewer = |(word, n): &(&String, &u32)| those.get(*word).is_none_or(|m| m < *n);
            these.iter().filter(fewer).map(|(word, _)| word.clone()).collect()
        };
        Self { more: only(&ours, &theirs), lost: only(&theirs, &ours) }
    }
}

fn count(line: &str) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for word in words(line).into_iter().filter(|word| !word.starts_with("init=")) {
        *counts.entry(word).or_insert(0_u32) += 1;
    }
    counts
}

/// A name as udev writes it into a path: `\x20` is a space.
pub(crate) fn unescape(name: &str) -> String {
    String::from_utf8_lossy(&unescape_bytes(name)).into_owned()
}

/// The same, byte for byte.
pub(crate) fn unescape_bytes(name: &str) -> Vec<u8> {
    let mut text = Vec::new();
    let mut rest = name.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = rest.strip_prefix(b"\\x").and_then(|digits| digits.get(..2));
        let digits = digits.and_then(|digits| str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                text.push(byte);
                rest = &rest[4..];
            }
            None => {
                text.push(*first);
                rest = tail;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_devices_are_unescaped() {
        assert_eq!(unescape("a\\x20b\\x2"), "a b\\x2");
    }

    #[test]
    fn quotes_keep_spaces() {
        assert_eq!(words(" a=\"b c\"  d\n"), ["a=b c", "d"]);
    }

    #[test]
    fn the_last_value_counts() {
        let words = words("root=a rootwait root=b");
        assert_eq!(value(&words, "root"), Some("b"));
        assert_eq!(value(&words, "init"), None);
    }

    #[test]
    fn words_are_counted() {
        let found = Difference::of("init=/a x y x", "init=/b x z");
        assert_eq!((found.more, found.lost), (vec!["x".into(), "y".into()], vec!["z".into()]));
    }
}

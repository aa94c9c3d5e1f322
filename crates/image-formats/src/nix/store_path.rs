//! Names of store paths. Nix, `src/libstore/path.cc`.

use super::base32;

/// Where NixOS has its store: the store of an image never has another name.
pub const STORE_DIR: &[u8] = b"/nix/store";

/// How many digits the hash of a store path has: 160 bits.
pub const HASH_DIGITS: usize = 32;

/// The longest name of a store path, without its hash.
pub const MAX_NAME: usize = 211;

/// A store path as it stands in a folder of the store: `<hash>-<name>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BaseName<'a> {
    bytes: &'a [u8],
}

impl<'a> BaseName<'a> {
    /// Of the name of a file in the store; `None` where Nix gives no path such a name.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (hash, rest) = bytes.split_at_checked(HASH_DIGITS)?;
        let name = rest.strip_prefix(b"-")?;
        let known = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(byte);
        let good = hash.iter().all(|digit| base32::value(*digit).is_some())
            && !name.is_empty()
            && name.len() <= MAX_NAME
            && name.iter().all(known)
            && !is_dots(name);
        good.then_some(Self { bytes })
    }

    /// Of a whole path, such as `/nix/store/<hash>-<name>`: nothing may follow.
    pub fn of_path(path: &'a [u8]) -> Option<Self> {
        Self::parse(path.strip_prefix(STORE_DIR)?.strip_prefix(b"/")?)
    }

    /// Of what is at or below a store path, and what follows: empty, or with a slash first.
    pub fn within(path: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let inner = path.strip_prefix(STORE_DIR)?.strip_prefix(b"/")?;
        let len = inner.iter().position(|byte| *byte == b'/').unwrap_or(inner.len());
        let (name, rest) = inner.split_at_checked(len)?;
        Some((Self::parse(name)?, rest))
    }

    /// `<hash>-<name>`.
    pub fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The digits of its hash.
    pub fn hash(self) -> &'a [u8] {
        self.bytes.get(..HASH_DIGITS).unwrap_or_default()
    }

    /// The name without the hash.
    pub fn name(self) -> &'a [u8] {
        self.bytes.get(HASH_DIGITS..).and_then(|rest| rest.strip_prefix(b"-")).unwrap_or_default()
    }

    /// The whole path.
    pub fn path(self) -> Vec<u8> {
        [STORE_DIR, b"/", self.bytes].concat()
    }
}

/// Names that Nix 2.25 and later refuse: `.` and `..`, alone or before a dash.
fn is_dots(name: &[u8]) -> bool {
    let first = name.split(|byte| *byte == b'-').next().unwrap_or_default();
    matches!(first, b"." | b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &[u8] = b"s66mzxpvicwk07gjbjfw9izjfa797vsw-hello-2.12.1";

    #[test]
    fn names_have_two_parts() {
        let name = BaseName::parse(NAME).unwrap();
        assert_eq!(name.hash(), &NAME[..32]);
        assert_eq!(name.name(), b"hello-2.12.1");
        assert_eq!(BaseName::of_path(&name.path()), Some(name));
        let below = [&name.path()[..], b"/bin/hello"].concat();
        assert_eq!(BaseName::of_path(&below), None);
        assert_eq!(BaseName::within(&below), Some((name, &b"/bin/hello"[..])));
        assert_eq!(BaseName::within(&name.path()), Some((name, &b""[..])));
    }

    #[test]
    fn other_names_are_refused() {
        for wrong in [
            &NAME[1..],
            &NAME[..32],
            &NAME[..33],
            b"e66mzxpvicwk07gjbjfw9izjfa797vsw-hello",
            b"s66mzxpvicwk07gjbjfw9izjfa797vsw-hel lo",
            b"s66mzxpvicwk07gjbjfw9izjfa797vsw-..",
            b"s66mzxpvicwk07gjbjfw9izjfa797vsw-.-x",
            b".links",
            b"",
        ] {
            assert_eq!(BaseName::parse(wrong), None, "{}", wrong.escape_ascii());
        }
        let long = [&NAME[..33], &[b'x'; MAX_NAME]].concat();
        assert!(BaseName::parse(&long).is_some());
        assert_eq!(BaseName::parse(&[&long[..], b"x"].concat()), None);
    }
}

//! Names, as systems show them.

/// The name of a file or directory in the primary tree: without version number, and without the dot
/// that is before an extension which is not there.
pub fn primary_name(identifier: &[u8]) -> &[u8] {
    let name = match identifier.iter().rposition(|byte| *byte == b';') {
        Some(at) if is_version(identifier.get(at.saturating_add(1)..)) => {
            identifier.get(..at).unwrap_or(identifier)
        }
        _ => identifier,
    };
    name.strip_suffix(b".").filter(|name| !name.is_empty()).unwrap_or(name)
}

fn is_version(digits: Option<&[u8]>) -> bool {
    digits.is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}

/// The name of a file or directory in a tree of Joliet, without version number. What is no UTF-16
/// becomes a replacement character; an odd byte at the end is left out.
pub fn joliet_name(identifier: &[u8]) -> String {
    let (units, _) = identifier.as_chunks::<2>();
    let mut name: String = char::decode_utf16(units.iter().map(|unit| u16::from_be_bytes(*unit)))
        .map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    if let Some((base, version)) = name.rsplit_once(';')
        && is_version(Some(version.as_bytes()))
    {
        name.truncate(base.len());
    }
    name
}

/// A text of a fixed length without the spaces, and zeros, that fill it.
pub fn trimmed(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !matches!(byte, b' ' | 0));
    text.get(..end.map_or(0, |at| at.saturating_add(1))).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_versions() {
        for (identifier, name) in [
            ("README.TXT;1", "README.TXT"),
            ("README.;1", "README"),
            ("README.;", "README.;"),
            ("README.", "README"),
            ("a;b", "a;b"),
            (".;1", "."),
            ("DIR", "DIR"),
        ] {
            assert_eq!(primary_name(identifier.as_bytes()), name.as_bytes());
        }
        let utf16 =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_be_bytes).collect() };
        assert_eq!(joliet_name(&utf16("Größe 日本 😀.txt;1")), "Größe 日本 😀.txt");
        assert_eq!(joliet_name(&utf16("a;b")), "a;b");
        assert_eq!(joliet_name(b"\xd8\x00\0a\0"), "\u{fffd}a");
        assert_eq!(trimmed(b"NIXOS   "), b"NIXOS");
        assert_eq!(trimmed(b"\0 "), b"");
    }
}

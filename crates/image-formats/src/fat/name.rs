//! 8.3 names. FAT §6.1, §7.2.

use super::raw::DirEntry;

/// The upper half of code page 437, which Linux takes 8.3 names to be in unless told otherwise.
const UPPER_HALF: [char; 128] = [
    'Ç', 'ü', 'é', 'â', 'ä', 'à', 'å', 'ç', 'ê', 'ë', 'è', 'ï', 'î', 'ì', 'Ä', 'Å', 'É', 'æ', 'Æ',
    'ô', 'ö', 'ò', 'û', 'ù', 'ÿ', 'Ö', 'Ü', '¢', '£', '¥', '₧', 'ƒ', 'á', 'í', 'ó', 'ú', 'ñ', 'Ñ',
    'ª', 'º', '¿', '⌐', '¬', '½', '¼', '¡', '«', '»', '░', '▒', '▓', '│', '┤', '╡', '╢', '╖', '╕',
    '╣', '║', '╗', '╝', '╜', '╛', '┐', '└', '┴', '┬', '├', '─', '┼', '╞', '╟', '╚', '╔', '╩', '╦',
    '╠', '═', '╬', '╧', '╨', '╤', '╥', '╙', '╘', '╒', '╓', '╫', '╪', '┘', '┌', '█', '▄', '▌', '▐',
    '▀', 'α', 'ß', 'Γ', 'π', 'Σ', 'σ', 'µ', 'τ', 'Φ', 'Θ', 'Ω', 'δ', '∞', 'φ', 'ε', '∩', '≡', '±',
    '≥', '≤', '⌠', '⌡', '÷', '≈', '°', '∙', '·', '√', 'ⁿ', '²', '■', '\u{a0}',
];

/// A character of an 8.3 name, in code page 437.
pub fn decode_oem(byte: u8) -> char {
    let upper = byte.checked_sub(0x80).map(usize::from);
    upper.and_then(|index| UPPER_HALF.get(index)).copied().unwrap_or(char::from(byte))
}

/// The checksum over an 8.3 name that the pieces of its long name carry.
pub fn short_checksum(name: &[u8; 11]) -> u8 {
    name.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// An 8.3 name as Linux and Windows show it: with its dot, without its spaces, and in lower case
/// where Windows NT's flags say so.
pub fn short_name(entry: &DirEntry) -> String {
    let (base, extension) = entry.name.split_at(8);
    let base = part(base, entry.nt_res & DirEntry::LOWER_BASE != 0);
    let mut name = base;
    // An 0xe5 that is a character is written 0x05, because it would make the entry free.
    if entry.name.first() == Some(&0x05) {
        name.replace_range(..1, &decode_oem(0xe5).to_string());
    }
    let extension = part(extension, entry.nt_res & DirEntry::LOWER_EXT != 0);
    if !extension.is_empty() {
        name.push('.');
        name.push_str(&extension);
    }
    name
}

fn part(bytes: &[u8], lower: bool) -> String {
    let len = bytes.iter().rposition(|byte| *byte != b' ').map_or(0, |at| at.saturating_add(1));
    let chars = bytes.iter().take(len).map(|byte| decode_oem(*byte));
    chars.map(|c| if lower { lowered(c) } else { c }).collect()
}

/// The lower case of a character, where the code page has it.
fn lowered(c: char) -> char {
    let mut lower = c.to_lowercase();
    let first = lower.next().filter(|c| c.is_ascii() || UPPER_HALF.contains(c));
    first.filter(|_| lower.next().is_none()).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros as _;

    fn shown(name: &[u8; 11], nt_res: u8) -> String {
        short_name(&DirEntry { name: *name, nt_res, ..DirEntry::new_zeroed() })
    }

    #[test]
    fn names_are_shown_as_linux_shows_them() {
        assert_eq!(shown(b"CONFIG  TXT", 0), "CONFIG.TXT");
        assert_eq!(shown(b"CONFIG  TXT", 0x18), "config.txt");
        assert_eq!(shown(b"CONFIG  TXT", 0x08), "config.TXT");
        assert_eq!(shown(b"CONFIG  TXT", 0x10), "CONFIG.txt");
        assert_eq!(shown(b"\x99\xe9\x90 A   TXT", 0x18), "öΘé a.txt");
        assert_eq!(shown(b"README     ", 0), "README");
        assert_eq!(shown(b"A B     C  ", 0), "A B.C");
        assert_eq!(shown(b"\x05\x81      C  ", 0), "σü.C");
        assert_eq!(decode_oem(0xff), '\u{a0}');
        assert_eq!(decode_oem(0x7f), '\u{7f}');
    }

    #[test]
    fn checksum() {
        // As mtools writes it for "some long name.txt".
        assert_eq!(short_checksum(b"SOMELO~1TXT"), 0x50);
    }
}

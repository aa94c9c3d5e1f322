//! The label of a disc, of its primary volume descriptor and that of Joliet.

use image_formats::iso9660::{raw::VolumeDescriptor, trimmed};

use super::{JOLIET_LABEL, Judge, Place, descriptors::Set, paths::Names};

/// The label, without the spaces that fill it: as blkid makes it, whose labels `/dev/disk/by-label`
/// has. That of Joliet has all letters, and is shorter.
pub(super) fn label(set: &Set) -> String {
    let label = set.primary().descriptor.volume_identifier;
    let joliet = set.sources.iter().find(|source| source.names == Names::Joliet);
    let Some(joliet) = joliet else {
        return String::from_utf8_lossy(trimmed(&label)).into_owned();
    };
    let units = units(&joliet.descriptor);
    let units = merged(&label, &units).unwrap_or(units);
    String::from_utf16_lossy(&units).trim_end_matches([' ', '\0']).to_owned()
}

/// The label of Joliet with the end of the primary one, where they are the same: but for an
/// underscore that one of them has where it cannot have the letter, and for case.
fn merged(label: &[u8; 32], joliet: &[u16]) -> Option<Vec<u16>> {
    let mut merged = Vec::new();
    let mut rest = label.iter();
    for unit in joliet {
        let pair = (0xd800..0xdc00).contains(unit);
        // Both halves of a letter are one byte in the other one.
        let byte = if pair { b'_' } else { *rest.next()? };
        let ascii = u8::try_from(*unit).ok();
        merged.push(match ascii {
            _ if byte == b'_' => *unit,
            Some(b'_') => byte.into(),
            Some(ascii) if ascii.eq_ignore_ascii_case(&byte) => {
                if byte.is_ascii_uppercase() {
                    *unit
                } else {
                    byte.into()
                }
            }
            _ => return None,
        });
    }
    merged.extend(rest.map(|byte| u16::from(*byte)));
    Some(merged)
}

/// The label of Joliet, letter for letter.
fn units(joliet: &VolumeDescriptor) -> Vec<u16> {
    let (units, _) = joliet.volume_identifier.as_chunks::<2>();
    units.iter().map(|unit| u16::from_be_bytes(*unit)).collect()
}

impl Judge<'_> {
    /// Both descriptors call the disc the same, as far as they can.
    pub(super) fn joliet_label(
        &mut self,
        primary: &VolumeDescriptor,
        joliet: &VolumeDescriptor,
        place: &Place<'_>,
    ) {
        let label = &primary.volume_identifier;
        // Some fill it with zeros.
        let filled = |unit| if unit == 0 { u16::from(b' ') } else { unit };
        let units: Vec<u16> = units(joliet).into_iter().map(filled).collect();
        // Letters that are none of the standard are in whatever character set the writer had.
        let same = !label.is_ascii() || merged(label, &units).is_some();
        self.expect(&JOLIET_LABEL, same, place, || {
            let shown = String::from_utf16_lossy(&units);
            let shown = shown.trim_end_matches([' ', '\0']);
            format!("{shown:?}, and the primary one has \"{}\"", trimmed(label).escape_ascii())
        });
    }
}

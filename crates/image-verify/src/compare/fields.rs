//! Structures as tables of fields: what a field is called, which difference it makes, and how its
//! value is shown.

use image_formats::{ext4::FeatureSet, gpt::Guid};
use image_model::ImageSpace;

use super::{
    kinds::Kind,
    out::{Out, Told},
};
use crate::tree::display;

/// A field of a structure.
#[derive(Debug)]
pub(super) struct Field {
    /// Its offset in bytes.
    pub(super) at: u32,
    /// Its length in bytes.
    pub(super) len: u32,
    /// As the specification spells it.
    pub(super) name: &'static str,
    /// What differs where it does.
    pub(super) kind: &'static Kind,
    /// How it is shown.
    pub(super) show: Show,
}

/// How a value is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    /// A little-endian number.
    Number,
    /// The same, in hexadecimal, with all digits that the field has.
    Hex,
    /// Seconds since 1970.
    Time,
    /// Sixteen bytes as they are printed.
    Uuid,
    /// Sixteen bytes, the first three fields of which are little-endian.
    Guid,
    /// Text, padded with NULs or spaces.
    Text,
    /// UTF-16, little-endian, ended by a zero.
    Utf16,
    /// A date of ISO 9660 in digits.
    Digits,
    /// Features of ext4.
    Features(FeatureSet),
    /// Bytes without a meaning of their own.
    Bytes,
}

pub(super) const fn field(
    at: u32,
    len: u32,
    name: &'static str,
    kind: &'static Kind,
    show: Show,
) -> Field {
    Field { at, len, name, kind, show }
}

impl Field {
    pub(super) fn of<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        let (at, end) = (self.at as usize, self.at as usize + self.len as usize);
        bytes.get(at..end.min(bytes.len())).unwrap_or_default()
    }
}

impl Show {
    pub(super) fn value(self, bytes: &[u8]) -> String {
        /// Of longer values only the beginning is shown.
        const MOST: usize = 16;
        let number = || bytes.iter().rev().take(8).fold(0, |n: u64, b| n << 8 | u64::from(*b));
        match self {
            Self::Number => number().to_string(),
            Self::Hex => format!("{:#0width$x}", number(), width = 2 + 2 * bytes.len().min(8)),
            Self::Time => time(i64::try_from(number()).unwrap_or(i64::MAX)),
            Self::Uuid => <[u8; 16]>::try_from(bytes).map_or_else(|_| hex(bytes), |b| uuid(&b)),
            Self::Guid => {
                <[u8; 16]>::try_from(bytes).map_or_else(|_| hex(bytes), |b| Guid(b).to_string())
            }
            Self::Text => {
                let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
                format!("{:?}", display(text.trim_ascii_end()))
            }
            Self::Utf16 => {
                let units =
                    bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
                let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
                format!("{:?}", display(String::from_utf16_lossy(&units).as_bytes()))
            }
            Self::Digits => digits(bytes),
            Self::Features(set) => {
                let bits = u32::try_from(number()).unwrap_or(u32::MAX);
                set.names(bits).collect::<Vec<_>>().join(" ")
            }
            Self::Bytes if bytes.len() > MOST => format!("{}…", hex(&bytes[..MOST])),
            Self::Bytes => hex(bytes),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A UUID as people write it.
fn uuid(bytes: &[u8; 16]) -> String {
    let hex = hex(bytes);
    let (a, b, c, d, e) = (&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    format!("{a}-{b}-{c}-{d}-{e}")
}

/// A date of a volume descriptor.
fn digits(bytes: &[u8]) -> String {
    if bytes.iter().all(|byte| matches!(byte, 0 | b'0' | b' ')) {
        return "none".to_owned();
    }
    let text = display(bytes.get(..16).unwrap_or_default());
    let zone = bytes.get(16).map_or(0, |zone| i32::from(zone.cast_signed()) * 15);
    if text.len() != 16 || !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return text;
    }
    let (date, hour, minute, second) = (&text[..8], &text[8..10], &text[10..12], &text[12..14]);
    let date = format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..]);
    let sign = if zone < 0 { '-' } else { '+' };
    let zone = zone.abs();
    let (hundredths, hours, minutes) = (&text[14..], zone / 60, zone % 60);
    format!("{date}T{hour}:{minute}:{second}.{hundredths}{sign}{hours:02}:{minutes:02}")
}

/// Seconds since 1970 as people write a time, in UTC.
pub(super) fn time(seconds: i64) -> String {
    let (days, within) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years that start in March end with the day that is not always there.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day = days.rem_euclid(146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (within / 3600, within / 60 % 60, within % 60);
    format!("{year:04}-{month:02}-{of_month:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Compares a structure that both images have, and tells of each field that differs.
pub(super) fn compare(
    out: &mut Out,
    what: &Told<'_>,
    fields: &[Field],
    (a, at_a): (&[u8], u64),
    (b, at_b): (&[u8], u64),
) {
    for field in fields {
        let (of_a, of_b) = (field.of(a), field.of(b));
        if of_a == of_b {
            continue;
        }
        let at = u64::from(field.at);
        let mut told = what.difference(field.kind, &format!("{}, {}", what.place, field.name));
        told.at.space = Some(ImageSpace::Raw);
        told.at.a = Some(at_a.saturating_add(at));
        told.at.b = Some(at_b.saturating_add(at));
        told.a = Some(field.show.value(of_a));
        told.b = Some(field.show.value(of_b));
        out.push(what.volume, field.kind, told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_date() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(time(seconds), text);
        }
    }

    #[test]
    fn values_are_for_people() {
        assert_eq!(Show::Number.value(&[1, 2]), "513");
        assert_eq!(Show::Hex.value(&[1, 2]), "0x0201");
        assert_eq!(Show::Text.value(b"NIXOS\x1b   "), "\"NIXOS\\\\u{1b}\"");
        assert_eq!(Show::Utf16.value(b"E\0S\0P\0\0\0X\0"), "\"ESP\"");
        assert_eq!(Show::Digits.value(b"2026112721441100\x04"), "2026-11-27T21:44:11.00+01:00");
        assert_eq!(Show::Digits.value(&[0; 17]), "none");
        assert_eq!(Show::Bytes.value(&[0xab; 17]), format!("{}…", "ab".repeat(16)));
        let bytes = std::array::from_fn::<u8, 16, _>(|i| i as u8);
        assert_eq!(Show::Uuid.value(&bytes), "00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert_eq!(Show::Guid.value(&bytes), "03020100-0504-0706-0809-0A0B0C0D0E0F");
    }
}

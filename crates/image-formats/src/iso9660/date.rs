//! Dates and times.

use super::raw::{LongDate, ShortDate};

/// What a date says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing: all of it is 0.
    Unset,
    /// Seconds since 1970.
    At(i64),
    /// It is none, as a month of 13.
    Invalid,
}

impl Moment {
    /// Seconds since 1970, where there is a date.
    pub fn seconds(self) -> Option<i64> {
        match self {
            Self::At(seconds) => Some(seconds),
            Self::Unset | Self::Invalid => None,
        }
    }
}

impl LongDate {
    /// What it says. Many writers fill the digits of an unset date with zero bytes, or spaces.
    pub fn moment(&self) -> Moment {
        let text = zerocopy::IntoBytes::as_bytes(self);
        if [b'0', 0, b' '].iter().any(|filler| text.iter().take(16).all(|byte| byte == filler)) {
            return Moment::Unset;
        }
        let fields = [&self.year[..], &self.month, &self.day, &self.hour, &self.minute];
        let [Some(year), Some(month), Some(day), Some(hour), Some(minute)] = fields.map(number)
        else {
            return Moment::Invalid;
        };
        let (Some(second), Some(_)) = (number(&self.second), number(&self.hundredths)) else {
            return Moment::Invalid;
        };
        moment([year, month, day, hour, minute, second], self.zone)
    }
}

impl ShortDate {
    /// What it says.
    pub fn moment(&self) -> Moment {
        let Self { year, month, day, hour, minute, second, zone } = *self;
        if [year, month, day, hour, minute, second] == [0; 6] {
            return Moment::Unset;
        }
        let year = i64::from(year).saturating_add(1900);
        let rest = [month, day, hour, minute, second].map(i64::from);
        let [month, day, hour, minute, second] = rest;
        moment([year, month, day, hour, minute, second], zone)
    }
}

/// The number that digits are.
fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0_i64, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

fn moment(fields: [i64; 6], zone: i8) -> Moment {
    seconds(fields, zone).map_or(Moment::Invalid, Moment::At)
}

/// Days from March 0 of the year 0 to January 1 of 1970.
const DAYS_TO_1970: i64 = 719_469;

fn seconds([year, month, day, hour, minute, second]: [i64; 6], zone: i8) -> Option<i64> {
    let leap =
        year.checked_rem(4)? == 0 && (year.checked_rem(100)? != 0 || year.checked_rem(400)? == 0);
    let last = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let valid = year > 0
        && (1..=12).contains(&month)
        && (1..=last).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second)
        && (-48..=52).contains(&zone);
    if !valid {
        return None;
    }
    // Years that start in March end with the day that is not always there.
    let year = if month > 2 { year } else { year.checked_sub(1)? };
    let month = month.checked_add(9)?.checked_rem(12)?;
    let days = year
        .checked_mul(365)?
        .checked_add(year.div_euclid(4))?
        .checked_sub(year.div_euclid(100))?
        .checked_add(year.div_euclid(400))?
        .checked_add(month.checked_mul(153)?.checked_add(2)?.div_euclid(5))?
        .checked_add(day)?
        .checked_sub(DAYS_TO_1970)?;
    let hours = days.checked_mul(24)?.checked_add(hour)?;
    let minutes = hours.checked_mul(60)?.checked_add(minute)?;
    let minutes = minutes.checked_sub(i64::from(zone).checked_mul(15)?)?;
    minutes.checked_mul(60)?.checked_add(second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromBytes as _;

    fn long(text: &[u8; 16], zone: i8) -> Moment {
        let mut bytes = [0; 17];
        bytes[..16].copy_from_slice(text);
        bytes[16] = zone as u8;
        LongDate::read_from_bytes(&bytes).unwrap().moment()
    }

    fn short(bytes: [u8; 7]) -> Moment {
        ShortDate::read_from_bytes(&bytes).unwrap().moment()
    }

    #[test]
    fn dates() {
        assert_eq!(long(b"1980010100000000", 0), Moment::At(315_532_800));
        assert_eq!(long(b"2024022923595999", 0), Moment::At(1_709_251_199));
        assert_eq!(long(b"2000010101000000", 4), Moment::At(946_684_800));
        assert_eq!(long(b"0000000000000000", 0), Moment::Unset);
        assert_eq!(long(&[0; 16], 0), Moment::Unset);
        assert_eq!(long(b"2023022900000000", 0), Moment::Invalid);
        assert_eq!(long(b"2023022800000000", 53), Moment::Invalid);
        assert_eq!(long(b"20230228000000x0", 0), Moment::Invalid);
        assert_eq!(short([100, 1, 1, 0, 0, 0, -4_i8 as u8]), Moment::At(946_688_400));
        assert_eq!(short([0; 7]), Moment::Unset);
        assert_eq!(short([70, 1, 1, 0, 0, 0, 0]), Moment::At(0));
        assert_eq!(short([70, 13, 1, 0, 0, 0, 0]), Moment::Invalid);
        assert_eq!(short([255, 12, 31, 23, 59, 59, 0]), Moment::At(5_869_583_999));
    }
}

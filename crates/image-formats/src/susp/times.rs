//! Times. RRIP §4.1.6.

use zerocopy::FromBytes as _;

use crate::iso9660::{
    Moment,
    raw::{LongDate, ShortDate},
};

use super::raw::Tf;

/// The times of a `TF` entry.
#[derive(Clone, Copy, Debug)]
pub struct Times<'a> {
    /// Which there are, and how they are written: [`Tf::CREATION`] and others.
    pub flags: u8,
    /// The times, in the order of the flags.
    pub bytes: &'a [u8],
}

impl Times<'_> {
    /// Bytes of each.
    fn size(&self) -> usize {
        if self.flags & Tf::LONG_FORM == 0 { size_of::<ShortDate>() } else { size_of::<LongDate>() }
    }

    /// Bytes of those that the flags tell of.
    pub fn expected_len(&self) -> usize {
        let count = (self.flags & !Tf::LONG_FORM).count_ones();
        self.size().saturating_mul(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// All of them, each with its flag, as far as there are bytes.
    pub fn iter(&self) -> impl Iterator<Item = (u8, Moment)> {
        let long = self.flags & Tf::LONG_FORM != 0;
        let kinds = (0..7).map(|bit| 1_u8 << bit).filter(|kind| self.flags & kind != 0);
        kinds.zip(self.bytes.chunks_exact(self.size())).map(move |(kind, bytes)| {
            let moment = if long {
                LongDate::read_from_bytes(bytes).map(|date| date.moment()).ok()
            } else {
                ShortDate::read_from_bytes(bytes).map(|date| date.moment()).ok()
            };
            (kind, moment.unwrap_or(Moment::Invalid))
        })
    }

    /// One of them.
    pub fn get(&self, kind: u8) -> Option<Moment> {
        self.iter().find(|(found, _)| *found == kind).map(|(_, moment)| moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_the_order_of_flags() {
        let bytes = [[70, 1, 1, 0, 0, 0, 0], [70, 1, 1, 0, 0, 1, 0], [0; 7]].concat();
        let times = Times { flags: Tf::ATTRIBUTES | Tf::MODIFY | Tf::ACCESS, bytes: &bytes };
        assert_eq!((times.expected_len(), times.bytes.len()), (21, 21));
        assert_eq!(times.get(Tf::MODIFY), Some(Moment::At(0)));
        assert_eq!(times.get(Tf::ACCESS), Some(Moment::At(1)));
        assert_eq!(times.get(Tf::ATTRIBUTES), Some(Moment::Unset));
        assert_eq!(times.get(Tf::CREATION), None);
        let bytes = b"1970010100000000\0";
        let long = Times { flags: Tf::LONG_FORM | Tf::EXPIRATION, bytes };
        assert_eq!((long.expected_len(), long.get(Tf::EXPIRATION)), (17, Some(Moment::At(0))));
        let cut = Times { bytes: &bytes[..16], ..long };
        assert_eq!((cut.expected_len(), cut.get(Tf::EXPIRATION)), (17, None));
    }
}

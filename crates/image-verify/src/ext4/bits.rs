//! A set of clusters, as the bitmaps of the file system have it.

/// One bit for each.
#[derive(Debug)]
pub(super) struct Bits(Vec<u8>);

impl Bits {
    /// None of `len` is set.
    pub(super) fn new(len: u64) -> Self {
        Self(vec![0; len.div_ceil(8) as usize])
    }

    /// True if a bit is set. There is nothing beyond the end that is free.
    pub(super) fn has(&self, at: u64) -> bool {
        self.0.get((at / 8) as usize).is_none_or(|byte| byte & 1 << (at % 8) != 0)
    }

    /// Sets `len` bits from `start` on. Those beyond the end are ignored.
    pub(super) fn set(&mut self, start: u64, len: u64) {
        let end = start.saturating_add(len).min(self.0.len() as u64 * 8);
        let mut at = start;
        while at < end {
            if at.is_multiple_of(8) && end - at >= 8 {
                let whole = (end - at) / 8;
                self.0[(at / 8) as usize..][..whole as usize].fill(0xff);
                at += whole * 8;
            } else {
                self.0[(at / 8) as usize] |= 1 << (at % 8);
                at += 1;
            }
        }
    }

    /// Sets `len` bits from `start` on, if none of them is set: else it tells which is.
    pub(super) fn claim(&mut self, start: u64, len: u64) -> Result<(), u64> {
        match self.first(start, start.saturating_add(len)) {
            Some(taken) => Err(taken),
            None => {
                self.set(start, len);
                Ok(())
            }
        }
    }

    /// The first bit that is set from `start` on, and before `end`. A file may claim thousands of
    /// clusters of which only the last is taken, and so may all others.
    fn first(&self, start: u64, end: u64) -> Option<u64> {
        let mut at = start;
        while at < end {
            let rest = self.0.get((at / 8) as usize..(end / 8) as usize).unwrap_or_default();
            if at.is_multiple_of(8) && rest.len() >= 8 {
                let (words, _) = rest.as_chunks::<8>();
                let free = words.iter().take_while(|word| **word == [0; 8]).count() as u64;
                at += free * 64;
                if free > 0 {
                    continue;
                }
            }
            if self.has(at) {
                return Some(at);
            }
            at += 1;
        }
        None
    }

    /// `len` bytes of bits from `start` on, which is a multiple of 8; shorter at the end.
    pub(super) fn bytes(&self, start: u64, len: usize) -> &[u8] {
        let rest = self.0.get((start / 8) as usize..).unwrap_or_default();
        &rest[..len.min(rest.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_is_claimed_once() {
        let mut bits = Bits::new(100);
        assert_eq!(bits.claim(3, 40), Ok(()));
        assert_eq!(bits.claim(43, 1), Ok(()));
        assert_eq!(bits.claim(0, 10), Err(3));
        assert_eq!(bits.claim(0, 3), Ok(()));
        assert_eq!(bits.bytes(0, 6), [0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]);
        // Words that are free, around one that is not.
        let mut bits = Bits::new(10_000);
        bits.set(5003, 1);
        assert_eq!(bits.claim(1, 9999), Err(5003));
        assert_eq!(bits.claim(64, 5000), Err(5003));
        assert_eq!(bits.claim(5004, 4996), Ok(()));
        assert_eq!(bits.claim(3, 5000), Ok(()));
        assert_eq!(bits.claim(0, 3), Ok(()));
        // There is nothing beyond the end.
        let mut bits = Bits::new(100);
        assert_eq!(bits.claim(96, 20), Err(104));
    }
}

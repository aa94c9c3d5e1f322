//! Refcount blocks: a number for each cluster, of 1 to 64 bits.

/// The logarithm of the bits in a refcount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefcountOrder(u32);

impl RefcountOrder {
    /// That of version 2, in which the header does not tell it: 16 bits.
    pub const VERSION_2: Self = Self(4);

    /// `None` where nobody reads such refcounts: they have 64 bits at most.
    pub fn new(order: u32) -> Option<Self> {
        (order <= 6).then_some(Self(order))
    }

    /// Bits in a refcount.
    pub fn bits(self) -> u32 {
        1_u32.wrapping_shl(self.0)
    }

    /// How many refcounts are in a block of so many bytes.
    pub fn per_block(self, bytes: u64) -> u64 {
        bytes.saturating_mul(8).wrapping_shr(self.0)
    }
}

/// The refcounts in a block.
#[derive(Clone, Copy, Debug)]
pub struct Refcounts<'a> {
    block: &'a [u8],
    order: RefcountOrder,
}

impl<'a> Refcounts<'a> {
    /// Those in the bytes of a block.
    pub fn new(block: &'a [u8], order: RefcountOrder) -> Self {
        Self { block, order }
    }

    /// All of them, in the order of their clusters.
    pub fn iter(self) -> impl Iterator<Item = u64> + 'a {
        let bits = self.order.bits();
        // What is narrower than a byte begins with its least significant bits.
        let width = usize::try_from(bits.wrapping_shr(3).max(1)).unwrap_or(1);
        let shifts = (0..bits.max(8)).step_by(usize::try_from(bits).unwrap_or(8));
        let mask = u64::MAX.wrapping_shr(64_u32.saturating_sub(bits));
        self.block.chunks_exact(width).flat_map(move |bytes| {
            let number =
                bytes.iter().fold(0, |number: u64, byte| number.wrapping_shl(8) | u64::from(*byte));
            shifts.clone().map(move |shift| number.wrapping_shr(shift) & mask)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_widths() {
        let read = |order: u32, block: &[u8]| {
            Refcounts::new(block, RefcountOrder::new(order).unwrap()).iter().collect::<Vec<_>>()
        };
        assert_eq!(read(0, &[0b1000_0001, 1]), [1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(read(1, &[0b1101_0001]), [1, 0, 1, 3]);
        assert_eq!(read(2, &[0x21]), [1, 2]);
        assert_eq!(read(3, &[1, 255]), [1, 255]);
        assert_eq!(read(4, &[0, 1, 255, 255]), [1, 65535]);
        assert_eq!(read(5, &[0, 0, 1, 0]), [256]);
        assert_eq!(read(6, &[255; 8]), [u64::MAX]);
        assert_eq!(RefcountOrder::new(7), None);
        assert_eq!([0, 4, 6].map(|o| RefcountOrder(o).per_block(512)), [4096, 256, 64]);
    }
}

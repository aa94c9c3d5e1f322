//! Numbers that look drawn at random, and are the same for the same seed.

/// `xorshift32` of Marsaglia.
pub(crate) struct Random(u32);

impl Random {
    pub(crate) fn new(seed: u32) -> Self {
        // The generator never leaves 0.
        Self(seed.wrapping_mul(0x9e37_79b9) | 1)
    }

    /// Any number.
    pub(crate) fn any(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.any() as usize % end
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

//! The two checksums. Neither inverts its result, so that sums can be continued.

use crc::{CRC_16_MODBUS, Crc, Table};

static CRC16_TABLES: Crc<u16, Table<1>> = Crc::<u16, Table<1>>::new(&CRC_16_MODBUS);

/// `ext4_chksum`: continues `seed` with `bytes`; the first seed is `!0`.
pub fn crc32c(seed: u32, bytes: &[u8]) -> u32 {
    // The crate, which uses the instruction of the processor, inverts at both ends.
    !crc32c::crc32c_append(!seed, bytes)
}

/// `crc16` of lib/crc16.c: continues `seed` with `bytes`; the first seed is `!0`.
pub fn crc16(seed: u16, bytes: &[u8]) -> u16 {
    // The crate takes the register as its specification writes it, high bit first.
    let mut digest = CRC16_TABLES.digest_with_initial(seed.reverse_bits());
    digest.update(bytes);
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the catalog of Greg Cook, and that a sum can be continued.
    #[test]
    fn sums_are_those_of_the_catalog() {
        assert_eq!(!crc32c(!0, b"123456789"), 0xe306_9283);
        assert_eq!(crc16(!0, b"123456789"), 0x4b37);
        assert_eq!(crc32c(crc32c(!0, b"1234"), b"56789"), crc32c(!0, b"123456789"));
        assert_eq!(crc16(crc16(!0, b"1234"), b"56789"), 0x4b37);
    }
}

//! Nix's base32: digits without `e`, `o`, `u` and `t`, last bits first. Nix,
//! `src/libutil/base-nix-32.cc`.

/// The digits, by their value.
const DIGITS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// How many digits a SHA-256 digest has.
pub const SHA256_DIGITS: usize = 52;

/// The value of a digit.
pub const fn value(digit: u8) -> Option<u8> {
    let first = match digit {
        b'0'..=b'9' => b'0',
        b'a'..=b'd' => b'a' - 10,
        b'f'..=b'n' => b'f' - 14,
        b'p'..=b's' => b'p' - 23,
        b'v'..=b'z' => b'v' - 27,
        _ => return None,
    };
    digit.checked_sub(first)
}

/// A SHA-256 digest as text.
pub fn encode(digest: &[u8; 32]) -> String {
    encode_bytes(digest)
}

/// Bytes as text: of a digest of any length.
pub fn encode_bytes(bytes: &[u8]) -> String {
    let byte = |at: usize| u16::from(bytes.get(at).copied().unwrap_or(0));
    let digit = |number: usize| {
        let bit = number.saturating_mul(5);
        let (at, shift) = (bit / 8, bit % 8);
        let bits = (byte(at) | byte(at.saturating_add(1)) << 8) >> shift & 31;
        DIGITS.get(usize::from(bits)).copied().map(char::from)
    };
    let digits = bytes.len().saturating_mul(8).div_ceil(5);
    (0..digits).rev().filter_map(digit).collect()
}

/// A SHA-256 digest from text; `None` where it is none.
pub fn decode(text: &[u8]) -> Option<[u8; 32]> {
    if text.len() != SHA256_DIGITS {
        return None;
    }
    let mut digest = [0; 32];
    for (number, digit) in text.iter().rev().enumerate() {
        let bit = number.checked_mul(5)?;
        let bits = u16::from(value(*digit)?).checked_shl(u32::try_from(bit % 8).ok()?)?;
        let [low, high] = bits.to_le_bytes();
        *digest.get_mut(bit / 8)? |= low;
        match digest.get_mut((bit / 8).checked_add(1)?) {
            Some(byte) => *byte |= high,
            // 260 bits hold 256.
            None if high != 0 => return None,
            None => {}
        }
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `nix hash convert` has them.
    #[test]
    fn digests_are_written_as_nix_writes_them() {
        // SHA-256 of nothing.
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let digest: [u8; 32] =
            std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap());
        let text = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
        assert_eq!(encode(&digest), text);
        assert_eq!(decode(text.as_bytes()), Some(digest));
        // `nix hash to-base32 --type sha1 da39a3ee5e6b4b0d3255bfef95601890afd80709`.
        let digest = [
            0xda, 0x39, 0xa3, 0xee, 0x5e, 0x6b, 0x4b, 0x0d, 0x32, 0x55, 0xbf, 0xef, 0x95, 0x60,
            0x18, 0x90, 0xaf, 0xd8, 0x07, 0x09,
        ];
        assert_eq!(encode_bytes(&digest), "143xibwh31h9bvxzalr0sjvbbvpa6ffs");
    }

    #[test]
    fn every_digit_has_its_place() {
        for (expected, digit) in DIGITS.iter().enumerate() {
            assert_eq!(value(*digit).map(usize::from), Some(expected));
        }
        let digits = (0..=u8::MAX).filter(|byte| value(*byte).is_some()).count();
        assert_eq!(digits, DIGITS.len());
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        let good = encode(&[0xff; 32]);
        assert_eq!(decode(good.as_bytes()), Some([0xff; 32]));
        // The first digit has one bit.
        assert_eq!(decode(good.replacen('1', "2", 1).as_bytes()), None);
        assert_eq!(decode(good.replacen('z', "e", 1).as_bytes()), None);
        assert_eq!(decode(&good.as_bytes()[1..]), None);
    }
}

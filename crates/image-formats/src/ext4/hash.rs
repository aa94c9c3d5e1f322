//! Hashes of names, which the index of a directory is ordered by. Linux,
//! Documentation/filesystems/ext4/directory.rst: hash versions.

/// `dx_root.hash_version` of directories whose names are encrypted and without case: SipHash, with
/// a key that is not in the file system. The hash is stored after each name.
pub const SIPHASH: u8 = 6;

/// The four words that MD4 starts with, in place of a seed of zeros. RFC 1320 §3.3.
const MD4_START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// The constants of the second and third round of MD4: the roots of 2 and 3. RFC 1320 §3.4.
const MD4_ROUND_2: u32 = 0x5a82_7999;
const MD4_ROUND_3: u32 = 0x6ed9_eba1;

/// The golden ratio, by which TEA counts its rounds.
const TEA_DELTA: u32 = 0x9e37_79b9;
const TEA_ROUNDS: u32 = 16;

/// What is computed over the words of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Legacy,
    HalfMd4,
    Tea,
}

/// How the names of a directory are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameHash {
    algorithm: Algorithm,
    /// Bytes are numbers from -128 to 127: `char` on the machine that made the file system.
    signed: bool,
    seed: [u32; 4],
}

impl NameHash {
    /// The hash of version `version`: 0, 1 and 2 are legacy, half MD4 and TEA; 3, 4 and 5 the same,
    /// always unsigned. `None` for what is none of them, such as [`SIPHASH`].
    pub fn new(version: u8, unsigned: bool, seed: [u32; 4]) -> Option<Self> {
        let algorithm = match version {
            0 | 3 => Algorithm::Legacy,
            1 | 4 => Algorithm::HalfMd4,
            2 | 5 => Algorithm::Tea,
            _ => return None,
        };
        let seed = if seed == [0; 4] { MD4_START } else { seed };
        Some(Self { algorithm, signed: version < 3 && !unsigned, seed })
    }

    /// The hash of a name, whose lowest bit is 0, and the minor hash, which tells names with the
    /// same hash apart where a directory is read from the middle.
    pub fn hash(&self, name: &[u8]) -> (u32, u32) {
        let (major, minor) = match self.algorithm {
            Algorithm::Legacy => (self.legacy(name), 0),
            Algorithm::HalfMd4 => {
                let mut state = self.seed;
                let mut rest = name;
                while !rest.is_empty() {
                    half_md4(&mut state, &self.words(rest));
                    rest = rest.get(32..).unwrap_or_default();
                }
                let [_, major, minor, _] = state;
                (major, minor)
            }
            Algorithm::Tea => {
                let [mut major, mut minor, ..] = self.seed;
                let mut rest = name;
                while !rest.is_empty() {
                    (major, minor) = tea(major, minor, self.words(rest));
                    rest = rest.get(16..).unwrap_or_default();
                }
                (major, minor)
            }
        };
        (major & !1, minor)
    }

    /// A byte of a name as a number.
    fn number(&self, byte: u8) -> u32 {
        if self.signed {
            i32::from(i8::from_ne_bytes([byte])).cast_unsigned()
        } else {
            u32::from(byte)
        }
    }

    fn legacy(&self, name: &[u8]) -> u32 {
        let (mut last, mut before) = (0x12a3_fe2d_u32, 0x37ab_e8f9_u32);
        for byte in name {
            let mixed = last ^ self.number(*byte).wrapping_mul(7_152_373);
            let hash = before.wrapping_add(mixed);
            let hash = if hash >> 31 == 1 { hash.wrapping_sub(0x7fff_ffff) } else { hash };
            (last, before) = (hash, last);
        }
        last << 1
    }

    /// The first `4 * N` bytes of `name` as words, high byte first. What is missing is filled up
    /// with the length, which is that of all that is left of the name.
    fn words<const N: usize>(&self, name: &[u8]) -> [u32; N] {
        let len = u32::try_from(name.len()).unwrap_or(u32::MAX);
        let pad = (len | len << 8) | (len | len << 8) << 16;
        let mut words = [pad; N];
        for (word, bytes) in words.iter_mut().zip(name.chunks(4)) {
            for byte in bytes {
                *word = (*word << 8).wrapping_add(self.number(*byte));
            }
        }
        words
    }
}

/// One block of TEA, as a hash: the block is the key, and the result is added.
fn tea(major: u32, minor: u32, key: [u32; 4]) -> (u32, u32) {
    let [a, b, c, d] = key;
    let (mut left, mut right) = (major, minor);
    for round in 1..=TEA_ROUNDS {
        let sum = TEA_DELTA.wrapping_mul(round);
        left = left.wrapping_add(tea_mix(right, sum, a, b));
        right = right.wrapping_add(tea_mix(left, sum, c, d));
    }
    (major.wrapping_add(left), minor.wrapping_add(right))
}

fn tea_mix(half: u32, sum: u32, a: u32, b: u32) -> u32 {
    (half << 4).wrapping_add(a) ^ half.wrapping_add(sum) ^ (half >> 5).wrapping_add(b)
}

/// Three rounds of eight steps, where MD4 has sixteen: half of the block.
fn half_md4(state: &mut [u32; 4], block: &[u32; 8]) {
    let [mut a, mut b, mut c, mut d] = *state;
    let [w0, w1, w2, w3, w4, w5, w6, w7] = *block;
    let mut round = |words: [u32; 8], shifts: [u32; 4], constant, mix: fn(u32, u32, u32) -> u32| {
        let [s0, s1, s2, s3] = shifts;
        let step = |a: u32, mixed: u32, word: u32, shift| {
            a.wrapping_add(mixed).wrapping_add(word).wrapping_add(constant).rotate_left(shift)
        };
        let [x0, x1, x2, x3, x4, x5, x6, x7] = words;
        for [x0, x1, x2, x3] in [[x0, x1, x2, x3], [x4, x5, x6, x7]] {
            a = step(a, mix(b, c, d), x0, s0);
            d = step(d, mix(a, b, c), x1, s1);
            c = step(c, mix(d, a, b), x2, s2);
            b = step(b, mix(c, d, a), x3, s3);
        }
    };
    round([w0, w1, w2, w3, w4, w5, w6, w7], [3, 7, 11, 19], 0, |x, y, z| x & y | !x & z);
    round([w1, w3, w5, w7, w0, w2, w4, w6], [3, 5, 9, 13], MD4_ROUND_2, |x, y, z| {
        x & y | x & z | y & z
    });
    round([w3, w7, w2, w6, w1, w5, w0, w4], [3, 9, 11, 15], MD4_ROUND_3, |x, y, z| x ^ y ^ z);
    for (word, added) in state.iter_mut().zip([a, b, c, d]) {
        *word = word.wrapping_add(added);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `debugfs -R 'dx_hash …'` says. The tests of `image-verify` ask it about many more.
    #[test]
    fn hashes_are_those_of_debugfs() {
        let hash = |version, name: &[u8]| NameHash::new(version, false, [0; 4]).unwrap().hash(name);
        assert_eq!(hash(0, b"hello.txt"), (0x65a0_5776, 0));
        assert_eq!(hash(1, b"hello.txt"), (0xa26e_1d86, 0x133b_3f98));
        assert_eq!(hash(2, b"hello.txt"), (0x5107_c3f2, 0x0384_0cb7));
        assert_eq!(hash(0, &[b'n'; 40]), (0xe42c_a078, 0));
        assert_eq!(hash(1, &[b'n'; 40]), (0x0f42_73ea, 0xadf2_fd5b));
        assert_eq!(hash(2, &[b'n'; 40]), (0xd6f7_8716, 0x072c_2773));
    }

    #[test]
    fn bytes_have_a_sign_where_the_superblock_does_not_say_unsigned() {
        for version in 0..3 {
            let [signed, unsigned, always] =
                [(version, false), (version, true), (version + 3, false)]
                    .map(|(version, unsigned)| NameHash::new(version, unsigned, [1; 4]).unwrap());
            assert_eq!(unsigned, always);
            assert_eq!(signed.hash(b"name"), unsigned.hash(b"name"));
            assert_ne!(signed.hash(b"n\xe4me"), unsigned.hash(b"n\xe4me"));
        }
        assert_eq!(NameHash::new(SIPHASH, false, [0; 4]), None);
    }
}

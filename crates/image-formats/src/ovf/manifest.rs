//! The manifest of a package: a digest of each file. DSP0243 §5.1.

/// The most bytes of a manifest: a line has less than five hundred.
pub const MAX_BYTES: u64 = 1 << 20;

/// A line: `SHA256(nixos.ovf)= 6f…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1 on.
    pub number: u64,
    /// What it says; `None` where it is something else.
    pub digest: Option<Digest>,
}

/// The digest of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Name of the algorithm, as it stands there: `SHA1`, `SHA256`.
    pub algorithm: String,
    /// Name of the file.
    pub name: String,
    /// The digest.
    pub bytes: Vec<u8>,
}

/// The lines of a manifest that are not empty.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = Line> {
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines
        .zip(1..)
        .filter(|(line, _)| !line.is_empty())
        .map(|(line, number)| Line { number, digest: digest(line) })
}

fn digest(line: &[u8]) -> Option<Digest> {
    let line = std::str::from_utf8(line).ok()?;
    // A name may have parentheses; what follows it has none.
    let (algorithm, rest) = line.split_once('(')?;
    let (name, hex) = rest.rsplit_once(')')?;
    let hex = hex.trim_start().strip_prefix('=')?.trim();
    let algorithm = algorithm.trim_end().to_owned();
    Some(Digest { algorithm, name: name.to_owned(), bytes: from_hex(hex)? })
}

/// The bytes that hexadecimal digits stand for.
pub fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let value =
        |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let byte = |[high, low]: &[u8; 2]| value(*high)?.checked_mul(16)?.checked_add(value(*low)?);
    pairs.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let text =
            b"SHA1(a.ovf)= 00ff\r\n\nSHA256 (b (1).vmdk) =AB\n# no\nSHA1(x)= 0\nSHA1(x)= 0g\n";
        let digest = |algorithm: &str, name: &str, bytes: &[u8]| {
            let (algorithm, name) = (algorithm.to_owned(), name.to_owned());
            Some(Digest { algorithm, name, bytes: bytes.to_vec() })
        };
        let found: Vec<_> = lines(text).map(|line| (line.number, line.digest)).collect();
        assert_eq!(
            found,
            [
                (1, digest("SHA1", "a.ovf", &[0, 255])),
                (3, digest("SHA256", "b (1).vmdk", &[0xab])),
                (4, None),
                (5, None),
                (6, None),
            ]
        );
    }
}

//! Signatures of store paths. Nix, `src/libutil/signature/local-keys.cc` and
//! `ValidPathInfo::fingerprint` in `src/libstore/path-info.cc`.

use std::fmt;

use data_encoding::{BASE64, BASE64_NOPAD};
use ed25519_dalek::VerifyingKey;

use super::{PathInfo, base32};

/// The key that Nix trusts where no configuration says otherwise: `trusted-public-keys` in
/// `src/libstore/include/nix/store/globals.hh`.
pub const DEFAULT_KEY: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";

/// A key that signatures are checked with: `<name>:<base64>`, as `trusted-public-keys` has it.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: Box<str>,
    key: VerifyingKey,
}

/// What is no public key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// There is no colon, or nothing before it.
    #[error("not the name of a key, a colon, and the key")]
    Form,
    /// What follows the colon is not 32 bytes.
    #[error("{0}: not 32 bytes in base64")]
    Length(Box<str>),
    /// No signature verifies with it.
    #[error("{0}: no public key of ed25519")]
    Point(Box<str>),
}

impl PublicKey {
    /// Reads `<name>:<base64>`.
    pub fn parse(text: &str) -> Result<Self, NoKey> {
        let (name, payload) = split(text).ok_or(NoKey::Form)?;
        let bytes = decode(payload).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let bytes = bytes.ok_or_else(|| NoKey::Length(name.into()))?;
        let key = VerifyingKey::from_bytes(&bytes).ok().filter(|key| !key.is_weak());
        let key = key.ok_or_else(|| NoKey::Point(name.into()))?;
        Ok(Self { name: name.into(), key })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True if the owner of this key made `signature` of `message`.
    pub fn verifies(&self, message: &[u8], signature: &Signature<'_>) -> bool {
        let bytes = ed25519_dalek::Signature::from_bytes(&signature.bytes);
        *self.name == *signature.key && self.key.verify_strict(message, &bytes).is_ok()
    }
}

/// As it is written in `nix.conf`.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, BASE64.encode(self.key.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A signature: the name of the key that made it, `:`, and base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature<'t> {
    /// Name of the key.
    pub key: &'t str,
    bytes: [u8; 64],
}

impl<'t> Signature<'t> {
    /// Reads `<name>:<base64>`; `None` where it is none.
    pub fn parse(text: &'t str) -> Option<Self> {
        let (key, payload) = split(text)?;
        Some(Self { key, bytes: decode(payload)?.try_into().ok()? })
    }

    /// The name of the key that a text names, be it a signature or not.
    pub fn key_of(text: &'t str) -> Option<&'t str> {
        split(text).map(|(key, _)| key)
    }
}

fn split(text: &str) -> Option<(&str, &str)> {
    text.split_once(':').filter(|(name, _)| !name.is_empty())
}

/// Nix does not miss the padding.
fn decode(payload: &str) -> Option<Vec<u8>> {
    BASE64_NOPAD.decode(payload.trim_end_matches('=').as_bytes()).ok()
}

/// What is signed of a path: `1;<path>;sha256:<base32>;<size of the NAR>;<references>`, these as
/// whole paths, each once, sorted, with commas between them. `None` where the size is not known.
pub fn fingerprint<'r>(
    path: &[u8],
    nar_hash: &[u8; 32],
    nar_size: u64,
    references: impl IntoIterator<Item = &'r [u8]>,
) -> Option<Vec<u8>> {
    if nar_size == 0 {
        return None;
    }
    let mut references: Vec<_> = references.into_iter().collect();
    references.sort_unstable();
    references.dedup();
    let hash = format!(";sha256:{};{nar_size};", base32::encode(nar_hash));
    Some([b"1;", path, hash.as_bytes(), &references.join(&b","[..])].concat())
}

impl PathInfo {
    /// What is signed of it; `None` where its size is not known.
    pub fn fingerprint(&self) -> Option<Vec<u8>> {
        let references = self.references.iter().map(|path| &**path);
        fingerprint(&self.path, &self.nar_hash, self.nar_size, references)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `hello` of NixOS 24.11, as cache.nixos.org has it: `1q8w6gl1ll0mwfkqc3c2yx005s6wwfrl.narinfo`.
    const SIGNATURE: &str = "cache.nixos.org-1:qt4d4o04/cklIMANVntoLYHh36t1j+y/35qWoK2GeeeEeYU5R\
                             ElnV/gpXrc5jgx4p2MQ38TasPhHg8rN6O+5Dw==";

    fn hello() -> PathInfo {
        let store = |name: &str| format!("/nix/store/{name}").into_bytes().into_boxed_slice();
        let path = store("1q8w6gl1ll0mwfkqc3c2yx005s6wwfrl-hello-2.12.1");
        let digits = b"1bn7c3bf5z32cdgylhbp9nzhh6ydib5ngsm6mdhsvf233g0nh1ac";
        PathInfo {
            nar_hash: base32::decode(digits).unwrap(),
            nar_size: 226_560,
            deriver: None,
            references: vec![store("wn7v2vhyyyi6clcyn0s9ixvl7d4d87ic-glibc-2.40-36"), path.clone()],
            path,
            ultimate: false,
            signatures: vec![SIGNATURE.as_bytes().into()],
            content_address: None,
        }
    }

    #[test]
    fn what_is_signed_is_what_nix_signs() {
        let text = String::from_utf8(hello().fingerprint().unwrap()).unwrap();
        assert_eq!(
            text,
            "1;/nix/store/1q8w6gl1ll0mwfkqc3c2yx005s6wwfrl-hello-2.12.1;\
             sha256:1bn7c3bf5z32cdgylhbp9nzhh6ydib5ngsm6mdhsvf233g0nh1ac;226560;\
             /nix/store/1q8w6gl1ll0mwfkqc3c2yx005s6wwfrl-hello-2.12.1,\
             /nix/store/wn7v2vhyyyi6clcyn0s9ixvl7d4d87ic-glibc-2.40-36"
        );
        let mut twice = hello();
        twice.references.push(twice.path.clone());
        assert_eq!(twice.fingerprint(), hello().fingerprint());
        assert_eq!(PathInfo { nar_size: 0, ..hello() }.fingerprint(), None);
    }

    #[test]
    fn the_signature_of_a_cache_verifies_and_nothing_else_does() {
        let key = PublicKey::parse(DEFAULT_KEY).unwrap();
        let signature = Signature::parse(SIGNATURE).unwrap();
        assert_eq!((key.name(), signature.key), ("cache.nixos.org-1", "cache.nixos.org-1"));
        let holds = |info: &PathInfo| key.verifies(&info.fingerprint().unwrap(), &signature);
        assert!(holds(&hello()));

        let other = |edit: &dyn Fn(&mut PathInfo)| {
            let mut info = hello();
            edit(&mut info);
            holds(&info)
        };
        assert!(!other(&|info| info.nar_hash[31] ^= 1));
        assert!(!other(&|info| info.nar_size += 1));
        assert!(!other(&|info| drop(info.references.pop())));
        assert!(!other(&|info| info.path[12] ^= 1));
        // Who built it, and from what, is not signed.
        assert!(other(&|info| (info.ultimate, info.deriver) = (true, Some(info.path.clone()))));

        let message = hello().fingerprint().unwrap();
        let renamed = SIGNATURE.replacen("cache.nixos.org-1", "cache.nixos.org-2", 1);
        assert!(!key.verifies(&message, &Signature::parse(&renamed).unwrap()));
        let flipped = SIGNATURE.replacen(":q", ":r", 1);
        assert!(!key.verifies(&message, &Signature::parse(&flipped).unwrap()));
    }

    #[test]
    fn keys_are_read_as_they_are_written() {
        assert_eq!(PublicKey::parse(DEFAULT_KEY).unwrap().to_string(), DEFAULT_KEY);
        let unpadded = DEFAULT_KEY.trim_end_matches('=');
        assert_eq!(PublicKey::parse(unpadded).unwrap().to_string(), DEFAULT_KEY);
        let error = |text: &str| PublicKey::parse(text).unwrap_err().to_string();
        let form = "not the name of a key, a colon, and the key";
        for text in ["", "cache.nixos.org-1", &DEFAULT_KEY[17..]] {
            assert_eq!(error(text), form, "{text:?}");
        }
        for payload in ["", "AAAA", "6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShj-="] {
            let text = format!("a:{payload}");
            assert_eq!(error(&text), "a: not 32 bytes in base64", "{text:?}");
        }
        // With the neutral element everything is signed.
        let neutral = "a:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        assert_eq!(error(neutral), "a: no public key of ed25519");
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        for text in ["", "a", ":", "a:", "a:AAAA", &SIGNATURE[17..], &SIGNATURE[..90]] {
            assert_eq!(Signature::parse(text), None, "{text:?}");
        }
        assert_eq!(Signature::key_of("a:AAAA"), Some("a"));
        assert_eq!(Signature::key_of(":AAAA"), None);
    }
}

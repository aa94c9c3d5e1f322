//! Names of store paths that follow from what is in them. Nix, `makeFixedOutputPath` and
//! `makeTextPath` in `src/libstore/store-dir-config.cc`; Nix manual, "Complete Store Path
//! Calculation".

use std::fmt::Write as _;

use image_formats::nix::{
    base32,
    registration::digest,
    store_path::{BaseName, STORE_DIR},
};
use sha2::{Digest as _, Sha256};

/// A hash that the name of a store path follows from, in the forms of Nix that are evaluated here:
/// others are of other algorithms, or of Git.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentAddress {
    /// `fixed:r:sha256:`: of the path as a NAR.
    Nar([u8; 32]),
    /// `fixed:sha256:`: of the bytes of the file that it is.
    File([u8; 32]),
    /// `text:sha256:`: the same, of a file that may refer to others.
    Text([u8; 32]),
}

impl ContentAddress {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let sha256 = |prefix: &str| {
            let hash = text.strip_prefix(prefix)?.strip_prefix("sha256:")?;
            digest(hash.as_bytes())
        };
        let nar = || sha256("fixed:r:").map(Self::Nar);
        let file = || sha256("fixed:").map(Self::File);
        nar().or_else(file).or_else(|| sha256("text:").map(Self::Text))
    }

    /// The same with another hash.
    pub(super) fn with(self, hash: [u8; 32]) -> Self {
        match self {
            Self::Nar(_) => Self::Nar(hash),
            Self::File(_) => Self::File(hash),
            Self::Text(_) => Self::Text(hash),
        }
    }

    /// True if the path called `name`, which refers to these and not to itself, is called so
    /// because of this hash.
    pub(super) fn names<'r>(
        &self,
        name: BaseName<'_>,
        references: impl Iterator<Item = &'r str> + Clone,
    ) -> bool {
        let kind = |word: &str| references.clone().fold(word.to_owned(), |a, b| a + ":" + b);
        let (kind, hash) = match self {
            Self::Nar(hash) => (kind("source"), *hash),
            Self::Text(hash) => (kind("text"), *hash),
            Self::File(hash) => {
                let inner = format!("fixed:out:sha256:{}:", hex(hash));
                ("output:out".to_owned(), Sha256::digest(inner).into())
            }
        };
        let mut hasher = Sha256::new();
        hasher.update(format!("{kind}:sha256:{}:", hex(&hash)));
        hasher.update(STORE_DIR);
        hasher.update(b":");
        hasher.update(name.name());
        let mut folded = [0; 20];
        for (at, byte) in hasher.finalize().into_iter().enumerate() {
            folded[at % 20] ^= byte;
        }
        base32::encode_bytes(&folded).as_bytes() == name.hash()
    }
}

fn hex(hash: &[u8; 32]) -> String {
    let digits = String::with_capacity(64);
    hash.iter().fold(digits, |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `nix store add-path`, `nix store add-file` and `builtins.toFile` of Nix 2.8 made.
    const MADE: [(&str, &str, &[&str]); 4] = [
        (
            "/nix/store/sh3dfhbqwb9ms0j73f1zsx8k72hmdm74-d",
            "fixed:r:sha256:0x8rfwm8ahk1g7chxpm8ij2nhvzxiryknb33py3dha2qxw5fkgr9",
            &[],
        ),
        (
            "/nix/store/1p9q0bz6f22dyxh4lw8xs08p4201vyq4-f",
            "fixed:sha256:00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq",
            &[],
        ),
        (
            "/nix/store/708i50a9fdr1znjw293sp58v6vghqhch-one",
            "text:sha256:0jsvhyvxslhyq14isbx2xajasisp7xdgykl0dffy3z1lzxrv51kb",
            &[],
        ),
        (
            "/nix/store/z0309yrs4jkvsqfilm32fchqyyrbcsbp-two",
            "text:sha256:16iak5grjgz654kyd8v3kgzk90h2r46xsj64c1w8kv5vm17y6n88",
            &["/nix/store/708i50a9fdr1znjw293sp58v6vghqhch-one"],
        ),
    ];

    #[test]
    fn names_follow_as_nix_made_them() {
        for (path, address, references) in MADE {
            let name = BaseName::of_path(path.as_bytes()).unwrap();
            let address = ContentAddress::parse(address).unwrap();
            let names = |name, references: &[&str]| address.names(name, references.iter().copied());
            assert!(names(name, references), "{path}");
            let other = format!("{path}x");
            assert!(!names(BaseName::of_path(other.as_bytes()).unwrap(), references), "{path}");
            // What is fetched refers to nothing, so its name does not depend on it.
            let is_file = matches!(address, ContentAddress::File(_));
            assert_eq!(names(name, &[references, &[path]].concat()), is_file, "{path}");
        }
    }

    #[test]
    fn other_addresses_are_not_evaluated() {
        for text in [
            "",
            "fixed:r:sha1:143xibwh31h9bvxzalr0sjvbbvpa6ffs",
            "fixed:git:sha256:0x8rfwm8ahk1g7chxpm8ij2nhvzxiryknb33py3dha2qxw5fkgr9",
            "fixed:0x8rfwm8ahk1g7chxpm8ij2nhvzxiryknb33py3dha2qxw5fkgr9",
            "text:sha256:0x8rfwm8ahk1g7chxpm8",
        ] {
            assert_eq!(ContentAddress::parse(text), None, "{text}");
        }
    }
}

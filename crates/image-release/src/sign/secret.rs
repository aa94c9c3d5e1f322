//! Secret keys: found, read, told apart.

use std::{
    env,
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
};

use data_encoding::{BASE64, Specification};
use zeroize::Zeroizing;

use super::{PassphraseSource, SignError, Signer, minisign, openpgp, ssh};

/// The variable that may have the text of a secret key. [`key_variables`] has all of them.
pub const KEY_VARIABLE: &str = "IMAGE_FACTORY_SIGNING_KEY";

/// Largest secret key, in bytes: OpenPGP ones have pictures in them.
const MAX_BYTES: usize = 1 << 20;

/// The variables that may have the text of a secret key, in the order in which they are read.
pub fn key_variables() -> impl Iterator<Item = String> {
    let numbered = (1..=9).map(|number| format!("{KEY_VARIABLE}_{number}"));
    std::iter::once(KEY_VARIABLE.to_owned()).chain(numbered)
}

/// Whoever signs with the keys in `files`. What each file is, is seen from its contents: a secret
/// key of minisign, of OpenSSH or of OpenPGP; or a public key of OpenSSH, whose secret half the
/// agent has. They are sorted by their scheme.
pub fn load(
    files: &[PathBuf],
    passphrase: &mut PassphraseSource,
) -> Result<Vec<Box<dyn Signer>>, SignError> {
    let keys = files.iter().map(|path| Ok((path.display().to_string(), read(path)?)));
    signers(keys, passphrase)
}

/// Whoever signs with the keys in the environment: the text of each, or the base64 of it. Empty
/// variables are what CI systems make of secrets that are not there, and are none.
pub fn from_environment(
    passphrase: &mut PassphraseSource,
) -> Result<Vec<Box<dyn Signer>>, SignError> {
    let keys = key_variables().filter_map(|name| {
        let key = format!("${name}");
        match env::var(&name) {
            Ok(text) => {
                let text = Zeroizing::new(text);
                (!text.trim().is_empty()).then(|| Ok((key, from_variable(&text))))
            }
            Err(env::VarError::NotPresent) => None,
            Err(env::VarError::NotUnicode(text)) => {
                drop(Zeroizing::new(text.into_encoded_bytes()));
                let why = "binary data: store the base64 of the key".to_owned();
                Some(Err(SignError::Key { key, why }))
            }
        }
    });
    signers(keys, passphrase)
}

fn signers(
    keys: impl Iterator<Item = Result<(String, Zeroizing<Vec<u8>>), SignError>>,
    passphrase: &mut PassphraseSource,
) -> Result<Vec<Box<dyn Signer>>, SignError> {
    let mut signers: Vec<(String, Box<dyn Signer>)> = Vec::new();
    for key in keys {
        let (key, bytes) = key?;
        let signer = signer(&key, &bytes, passphrase)?;
        let scheme = signer.scheme();
        if let Some((first, _)) = signers.iter().find(|(_, other)| other.scheme() == scheme) {
            return Err(SignError::Twice { scheme, first: first.clone(), second: key });
        }
        signers.push((key, signer));
    }
    // The same keys make the same release, in whatever order they were named.
    signers.sort_by_key(|(_, signer)| signer.scheme());
    Ok(signers.into_iter().map(|(_, signer)| signer).collect())
}

/// Sees what a key is. A text without its line ends is not a key: where it comes from a variable,
/// they may have been lost on the way.
pub(super) fn signer(
    key: &str,
    bytes: &[u8],
    passphrase: &mut PassphraseSource,
) -> Result<Box<dyn Signer>, SignError> {
    let fail = |why: &str| Err(SignError::Key { key: key.to_owned(), why: why.to_owned() });
    if bytes.starts_with(b"-----BEGIN ") && !bytes.contains(&b'\n') {
        return fail("the line ends of the key were lost: store the base64 of its file");
    }
    if openpgp::is_openpgp(bytes) {
        return Ok(Box::new(openpgp::Secret::load(key, bytes, passphrase)?));
    }
    let Ok(text) = std::str::from_utf8(bytes).map(str::trim) else {
        return fail("not a secret key of minisign, OpenSSH or OpenPGP");
    };
    if text.contains("-----BEGIN OPENSSH PRIVATE KEY-----") {
        return ssh::load(key, text, passphrase);
    }
    if ssh::is_public_key(text) {
        return Ok(Box::new(ssh::Agent::load(key, text, env::var_os(ssh::SOCKET))?));
    }
    if minisign::is_secret_key(text) {
        return Ok(Box::new(minisign::Secret::load(key, text, passphrase)?));
    }
    if minisign::is_public_key(text) {
        return fail("a public key of minisign, and the secret one signs");
    }
    if text.contains("PRIVATE KEY-----") {
        return fail(
            "a private key in a format of PEM that is not OpenSSH's own: `ssh-keygen -p -f FILE` turns \
             the file into that",
        );
    }
    fail("not a secret key of minisign, OpenSSH or OpenPGP")
}

/// Reads a key, and insists on what ssh insists on: a secret that belongs to us is for us alone.
fn read(path: &PathBuf) -> Result<Zeroizing<Vec<u8>>, SignError> {
    let fail = |cause| SignError::Read { key: path.display().to_string(), cause };
    let file = File::open(path).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    // Room for all of it, so that no copy stays behind where the memory was too small.
    let room = usize::try_from(metadata.len()).unwrap_or(MAX_BYTES).clamp(4096, MAX_BYTES) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    let mut piece = Zeroizing::new([0; 4096]);
    let mut file = file.take(MAX_BYTES as u64 + 1);
    loop {
        let len = file.read(&mut *piece).map_err(fail)?;
        if len == 0 {
            break;
        }
        if bytes.len() + len > bytes.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(bytes.capacity() * 2));
            larger.extend_from_slice(&bytes);
            bytes = larger;
        }
        bytes.extend_from_slice(&piece[..len]);
    }
    if bytes.len() > MAX_BYTES {
        return Err(fail(io::Error::other("it is larger than 1 MiB")));
    }
    let mode = metadata.mode() & 0o777;
    let is_ours = metadata.is_file() && metadata.uid() == image_host::user::id();
    let is_public = std::str::from_utf8(&bytes).is_ok_and(|text| ssh::is_public_key(text.trim()));
    if is_ours && mode & 0o077 != 0 && !is_public {
        return Err(SignError::Exposed { path: path.clone(), mode });
    }
    Ok(bytes)
}

/// The key in a variable. What CI systems do to line ends is undone where that is possible: `\n`
/// stands for one in a text that has none, and base64 is decoded.
pub(super) fn from_variable(text: &str) -> Zeroizing<Vec<u8>> {
    let text = text.trim();
    if minisign::is_secret_key(text) {
        return Zeroizing::new(text.as_bytes().to_vec());
    }
    let mut lenient = Specification::new();
    lenient.symbols.push_str(&BASE64.specification().symbols);
    lenient.padding = Some('=');
    lenient.ignore.push_str("\r\n ");
    let lenient = lenient.encoding().expect("base64 with line ends is an encoding");
    if let Ok(bytes) = lenient.decode(text.as_bytes()) {
        return Zeroizing::new(bytes);
    }
    if text.contains('\n') || !text.contains("\\n") {
        return Zeroizing::new(text.as_bytes().to_vec());
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    for line in text.split("\\n") {
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    }
    bytes
}

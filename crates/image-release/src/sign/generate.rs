//! New keys.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use image_host::epoch;
use image_model::SignatureScheme;
use zeroize::Zeroizing;

use super::{PassphraseError, PassphraseSource, PublicKey, minisign, openpgp, public::Key, ssh};

/// Longest name of a key, in bytes.
const MAX_NAME: usize = 200;

/// A key pair that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Generated {
    /// The file with the public half.
    pub public_file: PathBuf,
    /// The public half.
    pub public: PublicKey,
}

/// There is no new key, and no file of one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// Keys are never overwritten.
    #[error("{} is there already, and a key is never overwritten", .0.display())]
    Exists(PathBuf),
    /// The name cannot be part of a key.
    #[error("the name of a key has 1 to {MAX_NAME} bytes, and no line ends or control characters")]
    Name,
    /// There is no passphrase.
    #[error("the new key is to be encrypted (--no-passphrase makes one that is not)")]
    Passphrase(#[from] PassphraseError),
    /// It cannot be made.
    #[error("cannot make a key of {scheme}: {why}")]
    Key {
        /// The scheme.
        scheme: SignatureScheme,
        /// Why.
        why: String,
    },
    /// It cannot be kept.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl GenerateError {
    /// Whether the command line is to be changed, and not the machine.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Exists(_) | Self::Name | Self::Passphrase(_))
    }
}

/// Makes a key pair of Ed25519: the secret half in the file `path`, which only its owner can read,
/// encrypted with a passphrase of `passphrase` if there is one; the public half in `path` with
/// `.pub` behind. `name` says whose it is. Neither file may be there before.
pub fn generate(
    path: &Path,
    scheme: SignatureScheme,
    name: &str,
    passphrase: Option<&mut PassphraseSource>,
) -> Result<Generated, GenerateError> {
    if name.trim().is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(GenerateError::Name);
    }
    let mut public_file = path.as_os_str().to_owned();
    public_file.push(".pub");
    let public_file = PathBuf::from(public_file);
    // Asked before anybody types a passphrase. Whether it is so still is seen when they are created.
    for path in [path, &public_file] {
        if path.symlink_metadata().is_ok() {
            return Err(GenerateError::Exists(path.to_owned()));
        }
    }
    let passphrase = passphrase.map(|source| source.choose(&path.display().to_string()));
    let passphrase = passphrase.transpose()?;
    let (secret, public, text) = make(scheme, name, passphrase.as_ref().map(|text| text.as_str()))
        .map_err(|why| GenerateError::Key { scheme, why })?;
    create(path, 0o600, &secret)?;
    if let Err(error) = create(&public_file, 0o644, text.as_bytes()) {
        // Made by us a moment ago, and of no use to anybody.
        let _ = fs::remove_file(path);
        return Err(error);
    }
    Ok(Generated { public_file, public })
}

/// The secret half as a file, the public half, and that as a file.
fn make(
    scheme: SignatureScheme,
    name: &str,
    passphrase: Option<&str>,
) -> Result<(Zeroizing<Vec<u8>>, PublicKey, String), String> {
    match scheme {
        SignatureScheme::Minisign => {
            let secret = minisign::Secret::random();
            let public = secret.public();
            let text = public.file();
            let key = PublicKey(Key::Minisign(public));
            Ok((secret_bytes(&secret.file(name, passphrase)), key, text))
        }
        SignatureScheme::Ssh => {
            let (secret, public, text) = ssh::generate(name, passphrase)?;
            Ok((secret_bytes(&secret), PublicKey(Key::Ssh(Box::new(public))), text))
        }
        SignatureScheme::Openpgp => {
            let (secret, public) = openpgp::generate(name, passphrase, epoch::now())?;
            let text = String::from_utf8(public.armored()).expect("armor is ASCII");
            Ok((secret, PublicKey(Key::Openpgp(Box::new(public))), text))
        }
    }
}

fn secret_bytes(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}

/// A new file, on the disk, or none.
fn create(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), GenerateError> {
    let fail = |cause: io::Error| match cause.kind() {
        io::ErrorKind::AlreadyExists => GenerateError::Exists(path.to_owned()),
        _ => GenerateError::Write { path: path.to_owned(), cause },
    };
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = file.map_err(fail)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    });
    written.map_err(|cause| {
        let _ = fs::remove_file(path);
        fail(cause)
    })
}

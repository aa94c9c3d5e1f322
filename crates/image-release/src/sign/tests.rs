//! Real tools accept what we sign and refuse what was changed; we do the same with what they sign.

mod hostile;
mod minisign;
mod openpgp;
mod secrets;
mod ssh;

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use image_model::SignatureScheme;
use tempfile::TempDir;

use super::*;

/// What is signed in these tests.
const SUMS: &[u8] = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  empty\n";
/// Its name.
const NAME: &str = "SHA256SUMS";
/// A passphrase that is not ASCII, and no argument without quotes.
const PASSPHRASE: &str = "päss wörd";
/// A `SOURCE_DATE_EPOCH` before all keys of these tests were made.
const EPOCH: u64 = 1_600_000_000;

/// A folder with the file [`NAME`].
struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        // Short: sockets of agents have paths of at most 107 bytes.
        let dir = tempfile::Builder::new().prefix("s").tempdir_in("/tmp").unwrap();
        fs::write(dir.path().join(NAME), SUMS).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Writes a file that is for its owner alone.
    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// A program that has two minutes, in the folder, in an environment of its own.
    fn tool(&self, name: &str, args: &[&str]) -> Command {
        let mut command = Command::new(which("timeout", "coreutils"));
        command.args(["--kill-after=5", "120"]).arg(which(name, package(name))).args(args);
        command.current_dir(self.dir.path()).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("LC_ALL", "C.UTF-8");
        command.env("HOME", self.dir.path());
        command
    }

    /// Runs a program that has to succeed.
    #[track_caller]
    fn run(&self, name: &str, args: &[&str]) -> Output {
        succeeded(self.tool(name, args))
    }

    /// Runs a program that has to refuse.
    #[track_caller]
    fn refuses(&self, name: &str, args: &[&str]) -> String {
        failed(self.tool(name, args))
    }

    /// The same with a file on standard input.
    fn fed(&self, name: &str, args: &[&str], input: &str) -> Command {
        let mut command = self.tool(name, args);
        command.stdin(File::open(self.path(input)).unwrap());
        command
    }

    /// Whoever signs with the key in a file.
    #[track_caller]
    fn load(&self, name: &str, passphrase: Option<&str>) -> Box<dyn Signer> {
        self.try_load(name, passphrase).unwrap()
    }

    fn try_load(&self, name: &str, passphrase: Option<&str>) -> Result<Box<dyn Signer>, SignError> {
        let mut source = PassphraseSource::fixed(passphrase);
        Ok(load(&[self.path(name)], &mut source)?.remove(0))
    }

    /// Why a key does not sign, with all causes.
    #[track_caller]
    fn why_not(&self, name: &str, passphrase: Option<&str>) -> String {
        let error = self.try_load(name, passphrase).unwrap_err();
        assert!(error.is_usage(), "{error}");
        chain(&error)
    }

    /// Signs [`NAME`], and writes the signature and the public keys beside it.
    #[track_caller]
    fn sign(&self, signer: &dyn Signer) -> Document {
        let signature = signer.sign(NAME, SUMS, Some(EPOCH)).unwrap();
        for document in signer.public_key().documents().iter().chain([&signature]) {
            fs::write(self.path(&document.file), &document.bytes).unwrap();
        }
        signature
    }

    /// Makes a key pair.
    #[track_caller]
    fn generate(&self, name: &str, scheme: SignatureScheme, passphrase: Option<&str>) -> PublicKey {
        let mut source = passphrase.map(|text| PassphraseSource::fixed(Some(text)));
        generate(&self.path(name), scheme, "Rök & Co", source.as_mut()).unwrap().public
    }
}

#[track_caller]
fn succeeded(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

#[track_caller]
fn failed(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(!output.status.success() && output.status.code() != Some(124), "{command:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn package(tool: &str) -> &str {
    match tool {
        "gpg" | "gpgconf" => "gnupg",
        "ssh-keygen" | "ssh-agent" | "ssh-add" => "openssh-client",
        other => other,
    }
}

#[track_caller]
fn which(name: &str, package: &str) -> PathBuf {
    let dirs = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&dirs)
        .map(|dir| dir.join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("the tests need {name}: apt-get install {package}"))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

/// What any scheme does: a good signature is good, twice the same, and good for nothing else.
#[track_caller]
fn holds(signer: &dyn Signer, other: &PublicKey) {
    let key = signer.public_key();
    let signature = signer.sign(NAME, SUMS, Some(EPOCH)).unwrap();
    assert_eq!(signer.sign(NAME, SUMS, Some(EPOCH)).unwrap(), signature);
    assert_eq!(signature.file, signature_name(signer.scheme(), NAME));
    key.verify(NAME, SUMS, &signature.bytes).unwrap();
    let mut changed = SUMS.to_vec();
    changed[7] ^= 1;
    assert_eq!(key.verify(NAME, &changed, &signature.bytes), Err(VerifyError::Mismatch));
    let (found, expected) = (other.verify(NAME, SUMS, &signature.bytes), other.key_id());
    assert!(
        matches!(&found, Err(VerifyError::OtherKey { expected: id, .. }) if *id == expected),
        "{found:?}"
    );
    // The public key that travels with a release is the same key.
    let document = key.documents().remove(0);
    assert_eq!(document.file, public_key_name(key.scheme()));
    let read = PublicKey::parse(&document.bytes).unwrap();
    assert_eq!((read.key_id(), read.scheme()), (key.key_id(), key.scheme()));
    read.verify(NAME, SUMS, &signature.bytes).unwrap();
    if let Some(line) = key.line() {
        assert_eq!(&PublicKey::from_argument(&line).unwrap().key_id(), &key.key_id());
    }
    if let Some(raw) = signer.ed25519(SUMS).unwrap() {
        let point = key.ed25519().unwrap();
        let verifying = ed25519_dalek::VerifyingKey::from_bytes(&point).unwrap();
        verifying.verify_strict(SUMS, &ed25519_dalek::Signature::from_bytes(&raw)).unwrap();
    }
}

fn utf8(path: &Path) -> &str {
    path.to_str().unwrap()
}

//! `key generate`

use image_model::SignatureScheme;
use image_release::sign::{
    self, GenerateError, KEY_VARIABLE, PASSPHRASE_VARIABLE, PassphraseSource, PublicKey,
    SSH_IDENTITY, SSH_NAMESPACE,
};
use serde_json::json;

use super::{Context, print, print_json};
use crate::{
    Verdict,
    args::{Format, KeyGenerateArgs, PassphraseArgs, SchemeName},
    failure::Failure,
    program::Program,
};

pub(super) fn generate(context: Context, args: KeyGenerateArgs) -> Result<Verdict, Failure> {
    let KeyGenerateArgs { file, scheme, name, no_passphrase, passphrase } = args;
    let mut source = (!no_passphrase).then(|| passphrase.source());
    let made = sign::generate(&file, scheme.into(), &name, source.as_mut()).map_err(failure)?;
    let (secret, public) = (file.display().to_string(), made.public_file.display().to_string());
    match context.format {
        Format::Human => print(&text(&made.public, &secret, &public, !no_passphrase)),
        Format::Json => print_json(&json!({
            "scheme": made.public.scheme(),
            "keyId": made.public.key_id(),
            "secretFile": secret,
            "encrypted": !no_passphrase,
            "publicFile": public,
            "publicKey": made.public.line(),
        })),
    }
}

fn failure(error: GenerateError) -> Failure {
    let verdict = if error.is_usage() { Verdict::Usage } else { Verdict::Failed };
    Failure::new(verdict, error)
}

impl PassphraseArgs {
    /// Where passphrases come from.
    pub(crate) fn source(&self) -> PassphraseSource {
        PassphraseSource::new(self.passphrase_fd)
    }
}

impl From<SchemeName> for SignatureScheme {
    fn from(name: SchemeName) -> Self {
        match name {
            SchemeName::Minisign => Self::Minisign,
            SchemeName::Ssh => Self::Ssh,
            SchemeName::Openpgp => Self::Openpgp,
        }
    }
}

/// What there is now, and what to do with it.
fn text(key: &PublicKey, secret: &str, public: &str, encrypted: bool) -> String {
    let scheme = key.scheme();
    let sums = sign::signature_name(scheme, "SHA256SUMS");
    let line = key.line();
    let verify = match (scheme, &line) {
        (SignatureScheme::Minisign, Some(line)) => format!("minisign -Vm SHA256SUMS -P {line}"),
        (SignatureScheme::Ssh, Some(line)) => format!(
            "echo '{SSH_IDENTITY} {line}' > allowed_signers\n    ssh-keygen -Y verify -f \
             allowed_signers -I {SSH_IDENTITY} -n {SSH_NAMESPACE} -s {sums} < SHA256SUMS"
        ),
        _ => format!("gpg --import {public} && gpg --verify {sums} SHA256SUMS"),
    };
    let machines = match scheme {
        SignatureScheme::Openpgp => format!(
            "\nMachines that update themselves with systemd-sysupdate verify after\n    gpg --dearmor -o \
             /etc/systemd/import-pubring.gpg {public}\n"
        ),
        _ => String::new(),
    };
    let (sealed, passphrase) = if encrypted {
        (", encrypted", format!("\n    and its passphrase as the secret {PASSPHRASE_VARIABLE}"))
    } else {
        (", not encrypted", String::new())
    };
    let known = line.as_deref().unwrap_or(public);
    let paste = line.as_ref().map(|line| format!("\n  {line}")).unwrap_or_default();
    format!(
        "{scheme} key {id}
  {secret}: the secret half{sealed}. Keep a copy of it where nobody else gets at it.
  {public}: the public half. Show it wherever people look for your images.{paste}

Releases are signed with
    {program} release --key {secret} …
  or by CI, with the contents of {secret} as the secret {KEY_VARIABLE}{passphrase}

Users verify with
    {verify}
    {program} verify-release … --key '{known}'
{machines}",
        id = key.key_id(),
        program = Program::current().typed(),
    )
}

//! Secret keys that an agent has, or a security key: `ssh-keygen` asks for their signatures.

use std::{
    ffi::{OsStr, OsString},
    fs,
};

use image_host::tool::{Tool, ToolError};

use super::{NAMESPACE, Public, document};
use crate::{
    Document,
    sign::{PublicKey, SignError, Signer, public::Key},
};

/// The variable that says where the agent listens.
pub(in crate::sign) const SOCKET: &str = "SSH_AUTH_SOCK";

/// A key of which we have the public half.
#[derive(Debug)]
pub(in crate::sign) struct Agent {
    line: String,
    keygen: Tool,
    public: PublicKey,
}

impl Agent {
    /// The key with the public half `text`, of the agent that listens at `socket`. That the agent has
    /// it is seen now, and not after hours of other work.
    pub(in crate::sign) fn load(
        key: &str,
        text: &str,
        socket: Option<OsString>,
    ) -> Result<Self, SignError> {
        let fail = |why: String| SignError::Key { key: key.to_owned(), why };
        let public = Public::parse(text).map_err(|e| fail(e.to_string()))?;
        let Some(socket) = socket.filter(|socket| !socket.is_empty()) else {
            let why = format!("a public key, and ${SOCKET} names no agent that has the secret one");
            return Err(fail(why));
        };
        let find = |name| Tool::find(name).map_err(|e| fail(format!("the agent is asked by {e}")));
        let listed = with_agent(find("ssh-add")?, &socket).run(["-L"]).output();
        let line = public.line();
        let has_it = match &listed {
            Ok(listed) => String::from_utf8_lossy(listed).lines().any(|has| has.starts_with(&line)),
            Err(_) => false,
        };
        if !has_it {
            let id = public.id();
            return Err(fail(format!(
                "the agent does not have the secret key of {id}: `ssh-add` it"
            )));
        }
        let public = PublicKey(Key::Ssh(Box::new(public)));
        Ok(Self { line, keygen: with_agent(find("ssh-keygen")?, &socket), public })
    }

    fn run(&self, bytes: &[u8]) -> Result<Vec<u8>, AgentError> {
        // Private, and with nothing in it that `ssh-keygen` could take for the secret key.
        let dir = tempfile::Builder::new().prefix("sign-").tempdir()?;
        let (key, file) = (dir.path().join("key.pub"), dir.path().join("message"));
        fs::write(&key, format!("{}\n", self.line))?;
        fs::write(&file, bytes)?;
        let args = ["-Y", "sign", "-n", NAMESPACE, "-f"].map(Into::into);
        self.keygen.run(args.into_iter().chain([key.into_os_string(), (&file).into()])).output()?;
        Ok(fs::read(file.with_extension("sig"))?)
    }
}

#[derive(Debug, thiserror::Error)]
enum AgentError {
    #[error("cannot keep the message and its signature in the folder for temporary files")]
    Io(#[from] std::io::Error),
    #[error("the agent did not sign")]
    Tool(#[from] ToolError),
}

/// A tool that talks to the agent, and never to the terminal: whatever has to be typed is asked for
/// by the agent.
fn with_agent(tool: Tool, socket: &OsStr) -> Tool {
    tool.env(SOCKET, socket).env("SSH_ASKPASS", "/bin/false").env("SSH_ASKPASS_REQUIRE", "force")
}

impl Signer for Agent {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, name: &str, bytes: &[u8], _epoch: Option<u64>) -> Result<Document, SignError> {
        let made = self.run(bytes).map_err(|cause| SignError::sign(&self.public, name, cause))?;
        let document = document(name, made);
        // It may have signed with another key.
        let judged = self.public.verify(name, bytes, &document.bytes);
        judged.map_err(|cause| SignError::sign(&self.public, name, cause))?;
        Ok(document)
    }

    fn ed25519(&self, _message: &[u8]) -> Result<Option<[u8; 64]>, SignError> {
        // `ssh-keygen` has signatures of its own format only.
        Ok(None)
    }
}

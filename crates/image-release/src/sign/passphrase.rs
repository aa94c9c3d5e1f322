//! Where passphrases come from: a file descriptor, the environment, or a person at the terminal.

use std::{
    env, fmt,
    fs::File,
    io::{self, Read as _},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
};

use image_host::interrupt;
use zeroize::Zeroizing;

/// The variable that may have the passphrase.
pub const PASSPHRASE_VARIABLE: &str = "IMAGE_FACTORY_PASSPHRASE";

/// Longest passphrase, in bytes: what minisign takes.
const MAX_BYTES: usize = 1024;

/// Where the passphrase of a key comes from. A file descriptor and the variable
/// [`PASSPHRASE_VARIABLE`] give one for all keys; the terminal is asked for each key.
pub struct PassphraseSource {
    fd: Option<u32>,
    variable: Option<Zeroizing<String>>,
    read: Option<Zeroizing<String>>,
    terminal: bool,
}

/// There is no passphrase.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PassphraseError {
    /// The file descriptor does not give one.
    #[error("cannot read the passphrase from file descriptor {fd}")]
    Fd {
        /// Its number.
        fd: u32,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Nobody gave one.
    #[error(
        "no passphrase: give one by --passphrase-fd N, in ${PASSPHRASE_VARIABLE}, or at a terminal"
    )]
    Nowhere,
    /// The terminal failed.
    #[error("cannot ask for the passphrase")]
    Terminal(#[source] io::Error),
    /// Two different ones.
    #[error("the two passphrases are not the same")]
    Differ,
    /// It is too long.
    #[error("the passphrase is longer than {MAX_BYTES} bytes")]
    Long,
    /// An empty one encrypts nothing.
    #[error("the passphrase is empty")]
    Empty,
}

/// Without the secret.
impl fmt::Debug for PassphraseSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassphraseSource").field("fd", &self.fd).finish_non_exhaustive()
    }
}

impl PassphraseSource {
    /// The file descriptor `fd` if there is one, else the variable, else the terminal.
    pub fn new(fd: Option<u32>) -> Self {
        // An empty variable is what CI systems make of a secret that is not there.
        let variable = env::var(PASSPHRASE_VARIABLE).ok().map(Zeroizing::new);
        let variable = variable.filter(|text| !text.is_empty());
        Self { fd, variable, read: None, terminal: true }
    }

    #[cfg(test)]
    pub(super) fn fixed(passphrase: Option<&str>) -> Self {
        let variable = passphrase.map(|text| Zeroizing::new(text.to_owned()));
        Self { fd: None, variable, read: None, terminal: false }
    }

    /// The passphrase of `key`, a file or variable.
    pub(super) fn get(&mut self, key: &str) -> Result<Zeroizing<String>, PassphraseError> {
        if let Some(passphrase) = self.given()? {
            return Ok(passphrase);
        }
        self.ask(&format!("Passphrase of {key}: "))
    }

    /// A passphrase for a new key: it may not be empty, and whoever types it types it twice.
    pub(super) fn choose(&mut self, key: &str) -> Result<Zeroizing<String>, PassphraseError> {
        let chosen = match self.given()? {
            Some(passphrase) => passphrase,
            None => {
                let once = self.ask(&format!("Passphrase for {key}: "))?;
                if !once.is_empty() && once != self.ask("The same again: ")? {
                    return Err(PassphraseError::Differ);
                }
                once
            }
        };
        if chosen.is_empty() { Err(PassphraseError::Empty) } else { Ok(chosen) }
    }

    /// What needs no person.
    fn given(&mut self) -> Result<Option<Zeroizing<String>>, PassphraseError> {
        if let (Some(fd), None) = (self.fd, &self.read) {
            self.read = Some(read_fd(fd)?);
        }
        let given = self.read.as_ref().or(self.variable.as_ref());
        if given.is_some_and(|text| text.len() > MAX_BYTES) {
            return Err(PassphraseError::Long);
        }
        Ok(given.cloned())
    }

    fn ask(&self, prompt: &str) -> Result<Zeroizing<String>, PassphraseError> {
        if !self.terminal || File::open("/dev/tty").is_err() {
            return Err(PassphraseError::Nowhere);
        }
        let typed = rpassword::prompt_password(prompt).map(Zeroizing::new);
        let typed = typed.map_err(|error| match error.kind() {
            // Ctrl-C at the prompt is for the whole program, which may not have heard of it yet.
            io::ErrorKind::Interrupted => PassphraseError::Terminal(interrupt::Interrupted.into()),
            _ => PassphraseError::Terminal(error),
        })?;
        interrupt::check().map_err(|stop| PassphraseError::Terminal(stop.into()))?;
        if typed.len() > MAX_BYTES { Err(PassphraseError::Long) } else { Ok(typed) }
    }
}

/// The first line of an open file descriptor, or what ends the wait for it: whoever holds the other
/// end may never write one.
fn read_fd(fd: u32) -> Result<Zeroizing<String>, PassphraseError> {
    let (send, line) = mpsc::channel();
    // Nobody receives it where somebody asked the program to stop.
    thread::spawn(move || send.send(first_line(fd)));
    loop {
        interrupt::check().map_err(|stop| PassphraseError::Fd { fd, cause: stop.into() })?;
        match line.recv_timeout(interrupt::GLANCE) {
            Err(RecvTimeoutError::Timeout) => {}
            line => return line.expect("it sends one, and does not panic"),
        }
    }
}

/// The first line of an open file descriptor, without its end.
fn first_line(fd: u32) -> Result<Zeroizing<String>, PassphraseError> {
    let fail = |cause| PassphraseError::Fd { fd, cause };
    // Opened by its name: taking over a descriptor by its number is an unsafe thing.
    let mut file = File::open(format!("/dev/fd/{fd}")).map_err(fail)?;
    // As large as it can get, so that no copy stays behind where the memory was too small.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 2));
    let mut byte = Zeroizing::new([0]);
    // One by one: whoever holds the other end of a pipe may not close it.
    while file.read(&mut *byte).map_err(fail)? != 0 && byte[0] != b'\n' {
        if bytes.len() > MAX_BYTES {
            return Err(PassphraseError::Long);
        }
        bytes.push(byte[0]);
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    let text = std::str::from_utf8(&bytes);
    let text = text.map_err(|_| fail(io::Error::other("it is not UTF-8")))?;
    Ok(Zeroizing::new(text.to_owned()))
}

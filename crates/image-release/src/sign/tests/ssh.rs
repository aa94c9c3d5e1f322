//! With `ssh-keygen` and `ssh-agent`.

use std::{
    os::unix::net::UnixStream,
    process::Child,
    thread,
    time::{Duration, Instant},
};

use super::*;
use crate::sign::ssh::Agent;

const VERIFY: [&str; 10] = [
    "-Y",
    "verify",
    "-f",
    "allowed_signers",
    "-I",
    "release",
    "-n",
    "file",
    "-s",
    "SHA256SUMS.sig",
];

/// A key made by `ssh-keygen`.
fn keygen(bench: &Bench, name: &str, kind: &[&str], passphrase: &str) {
    let args = ["-q", "-C", "a comment", "-f", name, "-N", passphrase, "-t"];
    bench.run("ssh-keygen", &[&args[..], kind].concat());
}

#[test]
fn keys_of_ssh_keygen_sign_and_it_takes_the_signatures() {
    let bench = Bench::new();
    let other = bench.generate("other", SignatureScheme::Ssh, None);
    let kinds: [&[&str]; 3] = [&["ed25519"], &["ecdsa", "-b", "256"], &["rsa", "-b", "3072"]];
    for kind in kinds {
        for passphrase in ["", PASSPHRASE] {
            let name = format!("{}-{}", kind[0], passphrase.len());
            keygen(&bench, &name, kind, passphrase);
            let signer = bench.load(&name, Some(passphrase).filter(|text| !text.is_empty()));
            holds(&*signer, &other);
            bench.sign(&*signer);
            succeeded(bench.fed("ssh-keygen", &VERIFY, NAME));
            bench.write("changed", [SUMS, b"x"].concat());
            let said = failed(bench.fed("ssh-keygen", &VERIFY, "changed"));
            assert!(said.contains("incorrect signature"), "{said}");
            // Another key, and another purpose.
            let allowed = other.documents().remove(1).bytes;
            bench.write("allowed_signers", allowed);
            failed(bench.fed("ssh-keygen", &VERIFY, NAME));
            let public = PublicKey::read(&bench.path(&format!("{name}.pub"))).unwrap();
            assert_eq!(public.key_id(), signer.key_id());
            let printed = bench.run("ssh-keygen", &["-l", "-f", &name]).stdout;
            assert!(String::from_utf8(printed).unwrap().contains(&signer.key_id()));
            assert!(!public.line().unwrap().contains("comment"));
        }
    }
    let why = bench.why_not(&format!("rsa-{}", PASSPHRASE.len()), Some("wrong"));
    assert!(why.ends_with("the passphrase is wrong"), "{why}");
    let why = bench.why_not(&format!("ed25519-{}", PASSPHRASE.len()), None);
    assert!(why.contains("is encrypted: no passphrase"), "{why}");
}

#[test]
fn signatures_of_ssh_keygen_are_good() {
    let bench = Bench::new();
    let kinds: [&[&str]; 3] = [&["ed25519"], &["ecdsa", "-b", "256"], &["rsa", "-b", "2048"]];
    for kind in kinds {
        keygen(&bench, kind[0], kind, "");
        let key = PublicKey::read(&bench.path(&format!("{}.pub", kind[0]))).unwrap();
        let sign = |purpose: &str, hash: &str| {
            let _ = fs::remove_file(bench.path("SHA256SUMS.sig"));
            let hash = format!("hashalg={hash}");
            let args = ["-Y", "sign", "-f", kind[0], "-n", purpose, "-O", &hash, NAME];
            bench.run("ssh-keygen", &args);
            key.verify(NAME, SUMS, &bench.read("SHA256SUMS.sig"))
        };
        sign("file", "sha512").unwrap();
        sign("file", "sha256").unwrap();
        let refused = sign("git", "sha512").unwrap_err().to_string();
        assert_eq!(refused, "made for the namespace \"git\", and not for \"file\"");
    }
}

#[test]
fn ssh_keygen_signs_with_keys_of_ours() {
    let bench = Bench::new();
    for passphrase in [None, Some(PASSPHRASE)] {
        let name = if passphrase.is_some() { "sealed" } else { "plain" };
        let public = bench.generate(name, SignatureScheme::Ssh, passphrase);
        let printed =
            bench.run("ssh-keygen", &["-y", "-P", passphrase.unwrap_or(""), "-f", name]).stdout;
        let printed = String::from_utf8(printed).unwrap();
        assert_eq!(printed.trim(), public.line().unwrap() + " Rök & Co");
        assert_eq!(bench.read(&format!("{name}.pub")), printed.as_bytes());
        assert_eq!(bench.load(name, passphrase).key_id(), public.key_id());
    }
    bench.run("ssh-keygen", &["-Y", "sign", "-f", "plain", "-n", "file", NAME]);
    let key = PublicKey::read(&bench.path("plain.pub")).unwrap();
    key.verify(NAME, SUMS, &bench.read("SHA256SUMS.sig")).unwrap();
}

/// An agent of the test's own, ended with it.
struct AgentProcess(Child);

impl Drop for AgentProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_agent_signs() {
    let bench = Bench::new();
    let socket = bench.path("agent");
    let mut command = Command::new(which("ssh-agent", "openssh-client"));
    command.args(["-D", "-a", utf8(&socket)]).stdin(Stdio::null()).stdout(Stdio::null());
    let agent = AgentProcess(command.spawn().unwrap());
    // The socket is there before anybody listens at it.
    let until = Instant::now() + Duration::from_secs(60);
    while let Err(error) = UnixStream::connect(&socket) {
        assert!(Instant::now() < until, "{error}");
        thread::sleep(Duration::from_millis(10));
    }
    let text = |name: &str| String::from_utf8(bench.read(name)).unwrap();
    let load = |name: &str| Agent::load(name, text(name).trim(), Some(socket.clone().into()));
    keygen(&bench, "inside", &["ed25519"], "");
    keygen(&bench, "rsa", &["rsa", "-b", "2048"], "");
    keygen(&bench, "outside", &["ed25519"], "");
    for name in ["inside", "rsa"] {
        let mut add = bench.tool("ssh-add", &["-q", name]);
        add.env("SSH_AUTH_SOCK", &socket);
        succeeded(add);
        // What signs is the agent.
        fs::remove_file(bench.path(name)).unwrap();
    }
    let other = PublicKey::read(&bench.path("outside.pub")).unwrap();
    for name in ["inside.pub", "rsa.pub"] {
        let signer = load(name).unwrap();
        holds(&signer, &other);
        bench.sign(&signer);
        succeeded(bench.fed("ssh-keygen", &VERIFY, NAME));
        assert_eq!(signer.ed25519(SUMS).unwrap(), None);
    }
    let why = load("outside.pub").unwrap_err().to_string();
    assert!(why.contains("the agent does not have the secret key of SHA256:"), "{why}");
    let nowhere = Agent::load("x", text("inside.pub").trim(), None).unwrap_err().to_string();
    assert!(nowhere.contains("$SSH_AUTH_SOCK names no agent"), "{nowhere}");
    // The agent dies between the two.
    let signer = load("inside.pub").unwrap();
    drop(agent);
    let error = signer.sign(NAME, SUMS, None).unwrap_err();
    assert!(chain(&error).contains("the agent did not sign"), "{}", chain(&error));
}

#[test]
fn what_does_not_sign_says_why() {
    let bench = Bench::new();
    keygen(&bench, "p384", &["ecdsa", "-b", "384"], "");
    keygen(&bench, "short", &["rsa", "-b", "1024"], "");
    bench.run("ssh-keygen", &["-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-f", "pem", "-N", ""]);
    for (name, why) in [
        ("p384", "ecdsa-sha2-nistp384 are not supported"),
        ("short", "RSA of 1024 bits is too short to trust"),
        ("pem", "`ssh-keygen -p -f FILE` turns the file into that"),
    ] {
        let found = bench.why_not(name, None);
        assert!(found.contains(why), "{name}: {found}");
    }
}

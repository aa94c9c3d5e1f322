//! What Lix, Determinate Nix and the releases between those of `tests/real.rs` say. Written after
//! their sources; none of them is a Debian package.

use std::fmt::Write as _;

use serde_json::json;

use super::*;
use crate::log::Event;

const DRV: &str = "/nix/store/j0pm5ypq62vnfllp5j9j5v2ggzlx9w7p-exits-with-3.drv";

fn error(text: &str) -> String {
    let full = format!("\u{1b}[31;1merror:\u{1b}[0m {text}");
    format!("@nix {}", json!({"action": "msg", "level": 0, "msg": full, "raw_msg": text}))
}

fn classified(lines: &[String]) -> Failure {
    let mut log = Log::default();
    for line in lines {
        log.line(line);
    }
    classify(&log, None)
}

/// A build that says `line 1` … `line 30`, with what each flavor puts beside it.
fn build(extra: &serde_json::Value) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |action: serde_json::Value| {
        let mut action = action;
        for (key, value) in extra.as_object().unwrap() {
            action[key] = value.clone();
        }
        lines.push(format!("@nix {action}"));
    };
    say(json!({"action": "start", "id": 1, "level": 3, "type": 105, "text": "building",
        "fields": [DRV, "ssh-ng://h", 1, 1]}));
    say(json!({"action": "result", "id": 1, "type": 104, "fields": ["buildPhase"]}));
    for i in 1..=30 {
        let line = format!("\u{1b}[1mline {i}\u{1b}[0m");
        say(json!({"action": "result", "id": 1, "type": 101, "fields": [line]}));
    }
    lines
}

fn assert_is_the_build(failure: &Failure) {
    let Failure::Build { derivation, reason, last_lines, .. } = failure else {
        panic!("{failure:?}");
    };
    assert_eq!((derivation.as_str(), reason.as_str()), (DRV, "builder failed with exit code 3"));
    assert_eq!((last_lines.len(), last_lines[19].as_str()), (20, "line 30"));
}

#[test]
fn lix() {
    // As 2.18: with `parent`, and the end of the log once more in the message.
    let mut lines = build(&json!({"parent": 0}));
    lines.push(r#"@nix {"action":"stop","id":1}"#.to_owned());
    lines.push(error(&format!(
        "builder for '\u{1b}[35;1m{DRV}\u{1b}[0m' failed with exit code 3;\nlast 2 log lines:\n\
         > line 29\n> line 30\nFor full logs, run:\n  nix log {DRV}"
    )));
    lines.push(error("1 dependencies of derivation '/nix/store/x-outer.drv' failed to build"));
    assert_is_the_build(&classified(&lines));

    let feature = error("experimental Lix feature 'pipe-operator' is disabled; use …");
    let expected = Failure::ExperimentalFeature { feature: "pipe-operator".to_owned() };
    assert_eq!(classified(&[feature]), expected);
}

#[test]
fn determinate() {
    // `sid` everywhere, a result 110 with a payload, a 109 that is not Nix's, and a summary.
    let mut lines = build(&json!({"sid": "01-ab"}));
    for result in [
        json!({"action": "result", "id": 1, "type": 110, "fields": [],
            "payload": {"path": {"drvPath": DRV, "outputs": ["out"]}, "success": false}}),
        json!({"action": "result", "id": 1, "type": 109, "fields": [DRV, "sha256-a", "sha256-b"]}),
        json!({"action": "stop", "id": 1}),
    ] {
        lines.push(format!("@nix {result}"));
    }
    lines.push(error(&format!(
        "Cannot build '{DRV}'.\nReason: builder failed with exit code 3.\nOutput paths:\n  /nix/store/x"
    )));
    lines.push(error("Cannot build '/nix/store/x-outer.drv'.\nReason: 1 dependency failed."));
    lines.push("❌ .#nixosConfigurations.wsl".to_owned());
    assert_is_the_build(&classified(&lines));
}

#[test]
fn a_remote_builder_and_its_phase_are_told() {
    let mut log = Log::default();
    let events: Vec<_> = build(&json!({})).iter().filter_map(|line| log.line(line)).collect();
    let (derivation, machine) = (DRV.to_owned(), "ssh-ng://h".to_owned());
    assert_eq!(events[0], Event::BuildStarted { derivation: derivation.clone(), machine });
    assert_eq!(events[1], Event::Phase { derivation, phase: "buildPhase".to_owned() });
}

#[test]
fn machines_of_the_releases_between() {
    let said = |required: &str, ours: &str| {
        classified(&[error(&format!(
            "Cannot build '{DRV}'.\nReason: required system or feature not available\n\
             Required system: {required}\nCurrent system: {ours}"
        ))])
    };
    let here = "'x86_64-linux' with features {benchmark, kvm}";
    let failure = said("'x86_64-linux' with features {gpu}", here);
    assert!(matches!(&failure, Failure::SystemFeatures { required, .. } if required == "gpu"));
    let failure = said("'aarch64-linux' with features {}", here);
    assert!(matches!(&failure, Failure::Platform { required, .. } if required == "aarch64-linux"));
    assert!(failure.to_string().contains("--builders"), "{failure}");
}

#[test]
fn signals_and_silence() {
    let failure =
        classified(&[error(&format!("builder for '{DRV}' failed due to signal 9 (Killed)"))]);
    assert!(failure.to_string().starts_with(&format!("{DRV}: builder failed due to signal 9")));
    let failure = classified(&[error(&format!(
        "building of '{DRV}^out' from .drv file timed out after 5 seconds of silence"
    ))]);
    let Failure::Timeout { derivation, reason, .. } = &failure else { panic!("{failure:?}") };
    assert_eq!(
        (derivation.as_str(), reason.as_str()),
        (DRV, "timed out after 5 seconds of silence")
    );
}

#[test]
fn the_network_by_other_programs() {
    // Git writes to the same standard error.
    let git =
        "fatal: unable to access 'https://example.org/x/': Could not resolve host: example.org";
    let failed = error(&format!("program 'git' failed with exit code 128\n{git}"));
    assert!(matches!(classified(&[git.to_owned(), failed]), Failure::Network { .. }));

    // fetchurl of nixpkgs.
    let mut lines = build(&json!({}));
    let line = "curl: (6) Could not resolve host: example.org";
    let said = json!({"action": "result", "id": 1, "type": 101, "fields": [line]});
    lines.push(format!("@nix {said}"));
    lines.push(error(&format!("builder for '{DRV}' failed with exit code 1")));
    assert!(matches!(classified(&lines), Failure::Network { message } if message == line));
}

#[test]
fn a_flake_that_is_not_at_its_host() {
    let text = "unable to download 'https://api.github.com/repos/o/r/commits/HEAD': HTTP error 404";
    assert!(matches!(classified(&[error(text)]), Failure::Flake { .. }));
}

#[test]
fn an_input_with_other_bytes() {
    let text = "NAR hash mismatch in input 'github:o/r/abc' (/nix/store/x-source), \
                expected 'sha256-a', got 'sha256-b'";
    let failure = classified(&[error(text)]);
    let expected = Failure::HashMismatch {
        what: "github:o/r/abc".to_owned(),
        specified: "sha256-a".to_owned(),
        got: "sha256-b".to_owned(),
    };
    assert_eq!(failure, expected);
}

/// As Nix 2.26 says it.
#[test]
fn an_input_with_other_bytes_and_both_inputs_whole() {
    let text = r#"mismatch in field 'narHash' of input '{"__final":true,"narHash":"sha256-a","path":"/srv/x","type":"path"}', got '{"narHash":"sha256-b"}'"#;
    let expected = Failure::HashMismatch {
        what: "/srv/x".to_owned(),
        specified: "sha256-a".to_owned(),
        got: "sha256-b".to_owned(),
    };
    assert_eq!(classified(&[error(text)]), expected);
}

#[test]
fn the_store_of_somebody_else() {
    for text in [
        "getting status of /nix/var/nix/daemon-socket/socket: Permission denied",
        "cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Connection refused",
        "creating directory '/nix/var/nix/temproots': Read-only file system",
    ] {
        assert!(matches!(classified(&[error(text)]), Failure::Store { .. }), "{text}");
    }
}

#[test]
fn the_cause_comes_before_hints() {
    let hint = r#"@nix {"action":"msg","level":0,"msg":"(use '--show-trace' to show …)"}"#;
    let failure = classified(&[hint.to_owned(), error("undefined variable 'pkgs'")]);
    let message = "undefined variable 'pkgs'".to_owned();
    assert_eq!(failure, Failure::Evaluation { message });
}

#[test]
fn silence_is_told_too() {
    let silent = Failure::Other { message: "Nix failed and did not say why".to_owned() };
    assert_eq!(classified(&[]), silent);
    let crash = "terminate called without an active exception".to_owned();
    assert_eq!(classified(std::slice::from_ref(&crash)), Failure::Other { message: crash });
}

#[test]
fn long_lists_of_names_are_cut() {
    let names: Vec<_> = (0..100).map(|i| format!("host{i:02}")).collect();
    let known = Known { parent: "nixosConfigurations".to_owned(), names, missing: "hots07".into() };
    let attribute = "nixosConfigurations.hots07".to_owned();
    let text = Failure::Attribute { attribute, known: Some(Box::new(known)) }.to_string();
    assert!(text.contains("host19, …; did you mean host07?"), "{text}");
}

/// Words are only ever searched, so nothing that somebody prints can end the search badly.
#[test]
fn any_words_are_taken() {
    let shapes = [
        "hash mismatch",
        "hash mismatch in '",
        "Cannot build '",
        "Cannot build ''.\nReason: ",
        "builder for '",
        "builder for 'x",
        "timed out after ",
        "'.drv timed out after 1",
        "does not provide attribute",
        "does not provide attribute '",
        ", but I am ",
        "is required to build 'x', but I am a",
        "experimental  feature 'x' is disabled",
        "error:",
        "",
        "…'…'…",
    ];
    for a in shapes {
        for b in shapes {
            let mut text = String::new();
            write!(text, "{a}{b}").unwrap();
            let _ = classified(&[error(&text)]).to_string();
        }
    }
}

#[test]
fn a_second_build_that_differs() {
    let (drv, output) = ("/nix/store/j-card.drv", "/nix/store/k-card");
    for text in [
        // 2.8 and 2.26, with `--keep-failed` and without.
        format!(
            "derivation '{drv}' may not be deterministic: output '{output}' differs from '{output}.check'"
        ),
        format!("derivation '{drv}' may not be deterministic: output '{output}' differs"),
        // 2.34.
        format!(
            "derivation '{drv}' may not be deterministic: output \"{output}\" differs from \"{output}.check\""
        ),
    ] {
        let failure = classified(&[error(&text)]);
        let (derivation, output) = (drv.to_owned(), output.to_owned());
        assert_eq!(failure, Failure::NotDeterministic { derivation, output }, "{text}");
    }
}

use std::fs;

use super::*;
use crate::catalog::client::sysupdate::{Pattern, Patterns, Transfer, is_version, sums};
use crate::sign::{self, PassphraseSource};
use image_host::epoch;

#[test]
fn checksums_are_read_as_sysupdate_reads_them() {
    let digest = "0123456789abcdef".repeat(4);
    let good = format!("{digest}  a.iso\n{} *b.img.zst\n", digest.to_uppercase());
    let read = sums(good.as_bytes()).unwrap();
    let files: Vec<_> = read.iter().map(|sum| sum.file.as_str()).collect();
    assert_eq!(files, ["a.iso", "b.img.zst"]);
    assert!(read.iter().all(|sum| sum.sha256.to_string() == digest));
    assert_eq!(sums(b""), Ok(Vec::new()));

    let line = |text: &str| sums(format!("{digest}  a\n{text}").as_bytes()).unwrap_err();
    let wrong = [
        line(&format!("{digest}  a")),
        line(&format!("{digest}  longer")),
        line(&format!("\\{digest}  a\\nb\n")),
        line(&format!("{digest} a.iso\n")),
        line(&format!("{digest}\ta.iso\n")),
        line(&format!("{}  a.iso\n", digest.replace('0', "g"))),
        line(&format!("{digest}  \n{digest}  b\n")),
        line(&format!("{digest}  ../a\n")),
        line(&format!("{digest}  /a\n")),
        line(&format!("{digest}  ..\n")),
        line(&format!("{digest}  a\u{7}b\n")),
        line(&format!("{digest}  a\r\n")),
        line("\n"),
        line(&"é".repeat(40)),
        sums(b"\xff").unwrap_err(),
        sums(b"a\0").unwrap_err(),
    ];
    let wrong: Vec<_> = wrong.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(wrong.join("\n"), @r"
    line 2: no newline ends it
    line 2: no newline ends it
    line 2: it begins with a backslash: names with escapes are not read
    line 2: there is no space, and space or asterisk, after the digest
    line 2: there is no space, and space or asterisk, after the digest
    line 2: it does not begin with 64 hexadecimal digits
    line 2: the name is empty
    line 2: a name has no folder in it, which older versions refuse
    line 2: a name has no folder in it, which older versions refuse
    line 2: the name is that of a folder
    line 2: the name has a control character
    line 2: the name has a control character
    line 2: it is too short
    line 2: it does not begin with 64 hexadecimal digits
    the list is not UTF-8, or has a NUL byte
    the list is not UTF-8, or has a NUL byte
    ");
}

#[test]
fn patterns_are_read_as_sysupdate_reads_them() {
    let version = |pattern: &str, file: &str| {
        Pattern::parse(pattern).unwrap().version(file).map(ToOwned::to_owned)
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(version("a_@v.raw.xz", "a_26.05.1.raw.xz"), some("26.05.1"));
    assert_eq!(version("a_@v", "a_1+2,3"), some("1+2,3"));
    assert_eq!(version("a@@b-@v.iso", "a@b-7.iso"), some("7"));
    assert_eq!(version("100%%-@v", "100%-7"), some("7"));
    for (pattern, file) in [
        ("a-@v.raw", "a-.raw"),
        ("a-@v.raw", "a-1.raw.xz"),
        ("a-@v.raw", "b-1.raw"),
        ("a-@v.raw", "a-1~rc1.raw"),
        ("a-@v.raw", "a-1"),
        // The literal is looked for from the left, and has to end the name.
        ("a-@v.raw", "a-1.raw.raw"),
        ("a-@v", "a-1/2"),
    ] {
        assert_eq!(version(pattern, file), None, "{pattern} and {file}");
    }
    for pattern in
        ["a", "@v-@v", "@v@", "a*@v", "@x@v", "a/@v", "@v/", "@v.a/b", "%v@v", "@v\n", "é@v"]
    {
        assert!(Pattern::parse(pattern).is_err(), "{pattern}");
    }
    assert!(is_version("26.05.1") && !is_version("") && !is_version(".."));
}

#[test]
fn the_newest_version_is_taken() {
    let patterns = Patterns::parse("nixos-@v.wsl").unwrap();
    let files =
        ["nixos-26.05.wsl", "nixos-26.05.10.wsl", "nixos-26.05.9.wsl", "nixos-minimal-27.wsl"];
    let newest = ("26.05.10", "nixos-26.05.10.wsl");
    assert_eq!(patterns.newest(files.into_iter()), Some(newest));
    assert_eq!(patterns.newest([].into_iter()), None);
    assert_eq!(patterns.mistaken(files.into_iter(), newest), None);
    // Names that begin like one, as systemd 255 to 260 read them; and a pattern that takes them away.
    let beside = [newest.1, "nixos-26.05.10.wsl.sha256", "nixos-26.05.9.wsl.sha256"];
    assert_eq!(patterns.mistaken(beside.into_iter(), newest), Some(beside[1]));
    let patterns = Patterns::parse("nixos-@v.wsl.sha256/ nixos-@v.wsl").unwrap();
    assert_eq!(patterns.newest(beside.into_iter()), Some(newest));
    assert_eq!(patterns.mistaken(beside.into_iter(), newest), None);
}

#[test]
fn what_lies_beside_an_image_is_never_taken_for_it() {
    let release = release();
    let catalogs = catalogs(&release);
    let file = "nixos-vm.transfer";
    let text = str::from_utf8(document(&catalogs, file)).unwrap();
    let without: String = text
        .lines()
        .map(|line| match line.rsplit_once("/ ") {
            Some((_, last)) if line.starts_with("MatchPattern=") => {
                format!("MatchPattern={last}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    assert_eq!(
        wrong(&release, &catalogs, file, without.as_bytes()),
        ["systemd 255 to 260 may take nixos-vm-26.05.1.qcow2.incus.tar.xz for \
          nixos-vm-26.05.1.qcow2"]
    );
}

#[test]
fn a_pattern_that_takes_another_image_for_a_newer_version_is_not_written() {
    let mut release = release();
    release.images = ["nixos-26.05.1.iso", "nixos-9000-26.05.1.iso"]
        .map(|file| {
            testing::image(ImageKind::Iso, file.split("-26").next().unwrap(), "x86_64-linux", file)
        })
        .into();
    let catalogs = catalogs(&release);
    let reasons = why(&release, "nixos-nixos.transfer");
    assert_eq!(
        reasons,
        ["nixos-@v.iso matches nixos-9000-26.05.1.iso as well, and sysupdate would take that"]
    );
    let other = "nixos-nixos-9000.transfer";
    assert_eq!(wrong(&release, &catalogs, other, document(&catalogs, other)), [""; 0]);
}

#[test]
fn versions_that_sysupdate_does_not_take_have_no_transfer() {
    let mut release = release();
    release.version = "26.05~rc1".to_owned();
    assert_eq!(
        why(&release, "nixos-iso.transfer"),
        ["sysupdate takes no version like \"26.05~rc1\""]
    );
}

#[test]
fn without_a_signature_that_sysupdate_knows_there_is_no_transfer() {
    let release = release();
    let others = [SignatureScheme::Minisign, SignatureScheme::Ssh].map(signature);
    let without = super::super::catalogs(&release, &others);
    let file = "nixos-iso.transfer";
    assert!(without.documents.iter().all(|document| !document.file.ends_with(".transfer")));
    let why = without.omitted.iter().find(|omitted| omitted.catalog == file).unwrap();
    assert_eq!(why.why, "no key is of OpenPGP, and sysupdate knows no other");

    let catalogs = catalogs(&release);
    let (mut manifest, sums) = published(&release, &catalogs);
    manifest.signatures = others.into();
    let facts = Facts { manifest: &manifest, sums: &sums };
    let refusals = client::read_all(file, document(&catalogs, file), &facts).unwrap().unwrap_err();
    assert_eq!(refusals[0].what, "it asks for SHA256SUMS.gpg, which the release has not");
}

#[test]
fn transfer_files_that_update_nothing_are_refused() {
    let release = release();
    let catalogs = catalogs(&release);
    let file = "nixos-sd-aarch64.transfer";
    let text = str::from_utf8(document(&catalogs, file)).unwrap();
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        wrong(&release, &catalogs, file, text.replace(from, to).as_bytes()).join(" & ")
    };
    let all = [
        refused("[Source]", "[Sauce]"),
        refused("MatchPattern=", "Pattern="),
        refused("@v", "26.05.1"),
        refused("nixos-sd-aarch64-@v", "nixos-sd-@v"),
        refused("nixos-sd-aarch64-@v", "nixos-card-@v"),
        refused("Verify=yes", "Verify=no"),
        refused("/latest/", "/26.05.1/"),
        refused("url-file", "url-tar"),
        refused("Path=/var", "Path=var"),
    ];
    insta::assert_snapshot!(all.join("\n"), @r#"
    line 14: no such section
    line 18: no such key
    [Source] MatchPattern=nixos-sd-aarch64-26.05.1.img.zst.bmap/: it has a folder in it
    the newest is aarch64-26.05.1 (nixos-sd-aarch64-26.05.1.img.zst), not 26.05.1
    no file of SHA256SUMS matches its pattern
    it does not ask for a signature
    it looks at https://images.example.org/nixos/26.05.1/, and releases are at "https://images.example.org/nixos/latest/"
    url-tar cannot become regular-file
    [Target] Path=var/lib/images is not absolute
    "#);
}

#[test]
fn addresses_and_names_are_escaped() {
    let mut release = release();
    release.latest_url = Some("https://example.org/a%20b/%2B/".parse().unwrap());
    release.spec.latest_url = release.latest_url.as_ref().map(ToString::to_string);
    let catalogs = catalogs(&release);
    let bytes = document(&catalogs, "nixos-iso.transfer");
    let text = str::from_utf8(bytes).unwrap();
    assert!(text.contains("\nPath=https://example.org/a%%20b/%%2B/\n"), "{text}");
    let transfer = Transfer::read(bytes).unwrap();
    assert_eq!(transfer.source_path, "https://example.org/a%20b/%2B/");
    assert_eq!(transfer.target_path, "/var/lib/images");
    assert_eq!(wrong(&release, &catalogs, "nixos-iso.transfer", bytes), [""; 0]);
}

/// systemd-sysupdate of Debian 13 reads our transfer files, verifies our signature of the list, and
/// finds the newest version in it.
#[test]
fn sysupdate_itself_finds_the_newest_version_in_a_list_that_we_signed() {
    let folder = tempfile::tempdir().unwrap();
    // A root for it, because its keys and what it starts are at fixed places.
    let root = folder.path().join("root");
    let copied =
        run("cp", &["-R", "-P", parts("sysupdate").to_str().unwrap(), root.to_str().unwrap()], &[]);
    assert_eq!(copied.0, Some(0), "{copied:?}");
    let served = folder.path().join("latest");
    fs::create_dir(&served).unwrap();
    let server = Server::start(folder.path());
    let mut release = release();
    release.latest_url = Some(format!("{}/latest/", server.address).parse().unwrap());
    release.spec.latest_url = release.latest_url.as_ref().map(ToString::to_string);
    let catalogs = catalogs(&release);
    let (_, mut sums) = published(&release, &catalogs);
    let newest = "nixos-iso-26.05.10.iso";
    let beside = ["intoto.jsonl", "manifest.json", "report.html", "sha256", "verification.json"];
    let beside = beside.map(|suffix| format!("{newest}.{suffix}"));
    for file in [newest.to_owned(), "nixos-iso-26.05.9.iso".to_owned()].into_iter().chain(beside) {
        sums.push(Sum { sha256: Sha256([7; 32]), file });
    }
    let sums: String = sums.iter().map(|sum| format!("{}  {}\n", sum.sha256, sum.file)).collect();
    fs::write(served.join("SHA256SUMS"), &sums).unwrap();

    // The key is of this moment, and so no signature of it is older.
    let key = folder.path().join("key");
    sign::generate(&key, SignatureScheme::Openpgp, "Release", None).unwrap();
    let signer = sign::load(&[key], &mut PassphraseSource::new(None)).unwrap().remove(0);
    let signature = signer.sign("SHA256SUMS", sums.as_bytes(), Some(epoch::now())).unwrap();
    assert_eq!(signature.file, "SHA256SUMS.gpg");
    fs::write(served.join(&signature.file), &signature.bytes).unwrap();
    let public = folder.path().join("openpgp.asc");
    fs::write(&public, &signer.public_key().documents()[0].bytes).unwrap();
    let ring = root.join("etc/systemd/import-pubring.gpg");
    let (public, ring) = (public.to_str().unwrap(), ring.to_str().unwrap());
    let home = folder.path().to_str().unwrap();
    let arguments = ["--homedir", home, "--batch", "--output", ring, "--dearmor", public];
    let dearmored = run("gpg", &arguments, &[]);
    assert_eq!(dearmored.0, Some(0), "{dearmored:?}");

    let sysupdate = |name: &str, verb: &str| {
        let definitions = root.join("tmp").join(name);
        fs::create_dir_all(&definitions).unwrap();
        let file = format!("{name}.transfer");
        fs::write(definitions.join(&file), document(&catalogs, &file)).unwrap();
        let program = "/usr/lib/systemd/systemd-sysupdate";
        let definitions = format!("--definitions=/tmp/{name}");
        let root = format!("--root={}", root.display());
        let arguments = ["--user", "--map-root-user", &root, program, &definitions, verb];
        run("unshare", &arguments, &[])
    };
    for (name, newest) in [
        ("nixos-wsl", "26.05.1"),
        ("nixos-sd-aarch64", "26.05.1"),
        ("nixos-iso", "26.05.10"),
        ("nixos-vm", "26.05.1"),
    ] {
        let (code, found, errors) = sysupdate(name, "check-new");
        assert_eq!((code, found.trim()), (Some(0), newest), "{name}: {errors}");
    }
    let (code, listed, errors) = sysupdate("nixos-iso", "list");
    let listed: Vec<_> = listed.split_whitespace().filter(|word| word.starts_with("26")).collect();
    assert_eq!((code, listed), (Some(0), vec!["26.05.10", "26.05.9", "26.05.1"]), "{errors}");

    // It asks for the image, which is not there, and not for what lies beside it.
    let (code, _, errors) = sysupdate("nixos-iso", "update");
    assert_ne!(code, Some(0));
    assert!(errors.contains(&format!("{}/latest/{newest} ", server.address)), "{errors}");

    // Another list under the same signature.
    fs::write(served.join("SHA256SUMS"), sums.replacen('7', "8", 1)).unwrap();
    let (code, _, errors) = sysupdate("nixos-iso", "check-new");
    assert_ne!(code, Some(0));
    assert!(errors.contains("Signature verification failed"), "{errors}");
}

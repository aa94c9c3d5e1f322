//! Every check of gzip, xz, zstd and tar has a broken twin here, and no bytes make the verifier
//! panic or keep silent.

mod image;
#[path = "../support/twin.rs"]
mod twin;
mod twins;
mod witnesses;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use image::*;
use image_formats::bytes::ReadAt;
use image_model::{ImageKind, Outcome, Severity, VerificationReport, Waiver};
use image_verify::{
    Expected, Limits, Request, VerifyError, container, gzip as gzip_checks, tar as tar_checks,
};
use proptest::prelude::*;
use twin::Twin;
use twins::TWINS;

/// Judges the format, and not what the image is for.
fn any_kind<'a>() -> Request<'a> {
    Request { expected: Expected::AnyKind, ..Request::default() }
}

fn verify(file: &[u8]) -> VerificationReport {
    image_verify::verify(Arc::new(file.to_vec()), any_kind()).unwrap()
}

fn verify_limited(file: &[u8], limits: Limits) -> VerificationReport {
    image_verify::verify(Arc::new(file.to_vec()), Request { limits, ..any_kind() }).unwrap()
}

/// Verifies a twin, with limits that are low for those that exceed one, and with what is expected
/// for those that are something else.
fn verify_twin(twin: &Twin) -> VerificationReport {
    let expected = match twin.check {
        "file-kind" => Some(Expected::Kind(ImageKind::Sd)),
        // What is in the disk is not judged here.
        "zstd-content-size" => Some(Expected::AnyImage),
        _ => None,
    };
    if let Some(expected) = expected {
        let request = Request { expected, ..Request::default() };
        return image_verify::verify(Arc::new((twin.make)()), request).unwrap();
    }
    let limits = match twin.check {
        "file-expansion-limit" => {
            Limits { unchecked_raw_len: 1000, ratio: 10, ..Limits::default() }
        }
        "tar-member-limit" => Limits { members: 50, ..Limits::default() },
        _ => Limits::default(),
    };
    verify_limited(&(twin.make)(), limits)
}

fn failed(report: &VerificationReport) -> BTreeSet<String> {
    report.findings.iter().map(|finding| finding.check.to_string()).collect()
}

fn has_error(report: &VerificationReport) -> bool {
    report.totals.errors > 0
}

#[test]
fn good_images_are_silent() {
    let raw = good_tar();
    for file in [raw.clone(), gzip(&raw), xz(&raw), zstd(&raw)] {
        let report = verify(&file);
        assert_eq!(report.findings, []);
        assert_eq!(report.subject.format.as_deref(), Some("tar"));
        assert_eq!(report.subject.raw.unwrap().size, raw.len() as u64);
        assert_eq!(report.subject.raw, verify(&raw).subject.raw);
        assert_eq!(report.subject.size, file.len() as u64);
    }
}

/// What a good image does not reach are rules about things it does not have.
#[test]
fn a_good_image_reaches_its_checks() {
    let report = verify(&gzip(&good_tar()));
    let not_reached: Vec<_> = report
        .outcomes
        .iter()
        .filter(|(_, outcome)| **outcome == Outcome::NotReached)
        .map(|(id, _)| id.as_ref())
        .collect();
    assert_eq!(
        not_reached,
        ["file-kind", "gzip-header-crc", "tar-hard-link-target", "verify-unused-waiver"]
    );
}

#[test]
fn every_check_has_a_twin_that_only_it_reports() {
    let tables = [
        container::CHECKS,
        container::XZ_CHECKS,
        container::ZSTD_CHECKS,
        gzip_checks::CHECKS,
        tar_checks::CHECKS,
    ];
    let declared: BTreeSet<_> = tables.into_iter().flatten().map(|check| check.id).collect();
    let twins: BTreeSet<_> = TWINS.iter().map(|twin| twin.check).collect();
    assert_eq!(declared, twins);
    let mut wrong = Vec::new();
    for twin in TWINS {
        let expected: BTreeSet<_> =
            twin.also.iter().chain([&twin.check]).map(|id| (*id).to_owned()).collect();
        let found = failed(&verify_twin(twin));
        if found != expected {
            wrong.push(format!("{}: {found:?}, not {expected:?}", twin.check));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn golden_reports() {
    let reports: BTreeMap<_, _> = TWINS
        .iter()
        .map(|twin| {
            let lines = verify_twin(twin).findings.into_iter();
            let lines = lines.map(|f| format!("{}: {}: {}", f.severity.as_str(), f.at, f.message));
            (twin.check, lines.collect::<Vec<_>>())
        })
        .collect();
    insta::assert_json_snapshot!(reports);
}

/// Ids are public: kebab case, unique, and prefixed with the format.
#[test]
fn ids_are_well_formed() {
    let mut ids = BTreeSet::new();
    for check in image_verify::checks() {
        assert!(ids.insert(check.id), "{} is declared twice", check.id);
        assert!(
            check.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        );
        let format = check.id.split('-').next().unwrap();
        let formats = [
            "file",
            "gzip",
            "xz",
            "zstd",
            "tar",
            "disk",
            "mbr",
            "gpt",
            "fat",
            "ext4",
            "iso9660",
            "rock",
            "joliet",
            "el",
            "isohybrid",
            "squashfs",
            "qcow2",
            "vhd",
            "ova",
            "vmdk",
            "docker",
            "virtualbox",
            "wsl",
            "sd",
            "iso",
            "vm",
            "store",
            "manifest",
            "verify",
        ];
        assert!(formats.contains(&format), "{}", check.id);
        for text in [check.explain, check.spec, check.reads] {
            assert!(!text.trim().is_empty(), "{}", check.id);
        }
    }
}

#[test]
fn a_cut_anywhere_is_an_error() {
    let raw = good_tar();
    // The last byte of gzip is needed; of the tar, everything up to the second zero block.
    for file in [raw.clone(), gzip(&raw)] {
        for len in 0..file.len() {
            let report = verify(&file[..len]);
            assert!(has_error(&report), "cut to {len} of {}", file.len());
        }
    }
}

/// The bits of a gzip header that say nothing about the data: time, level, system, and whether it
/// is text.
fn is_free(at: usize, bit: u8) -> bool {
    (4..10).contains(&at) || (at == 3 && bit == 0)
}

#[test]
fn a_flipped_bit_of_gzip_is_an_error() {
    let good = gzip(&good_tar());
    let raw = verify(&good).subject.raw;
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut file = good.clone();
            file[at] ^= 1 << bit;
            let report = verify(&file);
            // Deflate has bits that change nothing, such as lengths of codes that never occur.
            let same = report.subject.raw == raw;
            let free = is_free(at, bit) || same && at >= 10;
            assert!(has_error(&report) || free, "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn a_flipped_bit_of_a_header_is_an_error() {
    let good = good_tar();
    for at in 0..512 {
        // The checksum has its own spellings: a space for a leading zero, and any ending.
        let free = (148..156).contains(&at);
        for bit in 0..8 {
            let mut file = good.clone();
            file[at] ^= 1 << bit;
            assert!(has_error(&verify(&file)) || free, "bit {bit} of byte {at}");
        }
    }
}

/// A million bytes of zeros per kilobyte, in all compressions: stopped at the limit.
#[test]
fn bombs_end_at_the_limit() {
    let limits = Limits { unchecked_raw_len: 4 << 20, ratio: 50, ..Limits::default() };
    let raw = vec![0; 64 << 20];
    for bomb in [gzip(&raw), xz(&raw), zstd(&raw)] {
        assert_eq!(
            failed(&verify_limited(&bomb, limits)),
            ["file-expansion-limit".to_owned()].into()
        );
    }
}

/// A stream of zeros or members without an end, made as it is read.
struct Endless {
    block: Vec<u8>,
    len: u64,
}

impl ReadAt for Endless {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap() % self.block.len();
        let bytes = self.block.iter().cycle().skip(start);
        buf.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Ok(())
    }
}

#[test]
fn millions_of_empty_members_end_at_the_limit() {
    let source = Endless { block: bytes(&file("./a", b"")), len: 512 * 10_000_000 };
    let limits = Limits { members: 1 << 14, ..Limits::default() };
    // The whole file would be hashed still; a file of that size is enough.
    let source = Endless { len: 512 << 15, ..source };
    let report = image_verify::verify(Arc::new(source), Request { limits, ..any_kind() }).unwrap();
    assert!(failed(&report).contains("tar-member-limit"));
    assert!(report.omitted["tar-duplicate"] > 16_000);
    assert_eq!(report.subject.raw, None);
}

#[test]
fn names_of_any_length_are_findings() {
    let report = verify(&tar_with(&[long(&[b"./", &[b'n'; 64 << 10][..]].concat())]));
    assert!(failed(&report).contains("tar-name-component"));
    assert!(report.findings.iter().all(|f| f.message.len() < 1000));
    assert!(report.findings.iter().all(|f| f.at.path.as_ref().is_none_or(|p| p.len() < 1000)));
}

#[test]
fn waivers_are_applied_and_counted() {
    let waive = |check: &str| Waiver { check: check.to_owned(), reason: "a test".to_owned() };
    let waivers = [waive("tar-hard-link"), waive("tar-device")];
    let file = tar_with(&[hard_link("./a", "./bin/sh")]);
    let request = Request { waivers: &waivers, ..any_kind() };
    let report = image_verify::verify(Arc::new(file.clone()), request).unwrap();
    assert_eq!(report.outcomes["tar-hard-link"], Outcome::Waived);
    let loud: Vec<_> = report.findings.iter().filter(|f| !f.waived).collect();
    assert!(matches!(loud[..], [f] if f.check == "verify-unused-waiver"));
}

/// The sink gets what is inside the compression; a sink that fails is an error, not a finding.
#[test]
fn raw_bytes_go_to_the_sink() {
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let raw = good_tar();
    let file = gzip(&raw);
    let mut copy = Vec::new();
    let request = Request { raw_sink: Some(&mut copy), ..any_kind() };
    image_verify::verify(Arc::new(file.clone()), request).unwrap();
    assert_eq!(copy, raw);
    let request = Request { raw_sink: Some(&mut Full), ..any_kind() };
    assert!(matches!(
        image_verify::verify(Arc::new(file.clone()), request),
        Err(VerifyError::Sink(_))
    ));
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_of_the_machine() {
    struct Bad;
    impl ReadAt for Bad {
        fn len(&self) -> io::Result<u64> {
            Ok(1 << 20)
        }
        fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
            buf.fill(0);
            if offset < 1 << 18 { Ok(()) } else { Err(io::Error::other("a bad disk")) }
        }
    }
    let error = image_verify::verify(Arc::new(Bad), any_kind()).unwrap_err();
    assert_eq!(error.to_string(), "image: cannot read 262144 bytes at 0x40000");
}

/// Who hashes a disk and who judges it both see that it cannot be read; who hashes it is heard.
#[test]
fn a_disk_that_cannot_be_read_is_an_error_of_the_machine() {
    struct Bad;
    impl ReadAt for Bad {
        fn len(&self) -> io::Result<u64> {
            Ok(1 << 20)
        }
        fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
            buf.fill(0);
            if offset == 0 && buf.len() >= 512 {
                buf[510..512].copy_from_slice(b"\x55\xaa");
            }
            if offset < 1 << 18 { Ok(()) } else { Err(io::Error::other("a bad disk")) }
        }
    }
    let error = image_verify::verify(Arc::new(Bad), any_kind()).unwrap_err();
    assert_eq!(error.to_string(), "image: cannot read 262144 bytes at 0x40000");
}

#[test]
fn other_files_are_named() {
    for (head, what) in [
        (&b"\x7fELF\x02\x01\x01"[..], "an ELF program"),
        (b"vhdxfile", "a VHDX disk"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"hello, world\n", "plain text"),
        (b"BZh91AY&SY", "bzip2"),
        (&[0; 100], "zeros"),
    ] {
        let report = verify(head);
        let [finding] = &report.findings[..] else { panic!("one finding") };
        assert!(finding.message.contains(what), "{}", finding.message);
    }
}

/// A disk in a VHD is told by its last bytes, however it is packed, and whatever it begins with.
#[test]
fn a_fixed_vhd_is_known_by_its_end() {
    let mut footer = [0; 512];
    footer[..8].copy_from_slice(b"conectix");
    let vhd = |disk: &[u8]| [disk, &footer].concat();
    let judge = |file: Vec<u8>, expected: Expected| {
        let mut scratch = Vec::new();
        let request = Request { expected, scratch: Some(&mut scratch), ..Request::default() };
        image_verify::verify(Arc::new(file), request).unwrap()
    };
    let format = |file: &[u8], expected| judge(file.to_vec(), expected).subject.format;
    let disk = disk();
    for expected in [Expected::Guess, Expected::AnyKind, Expected::AnyImage] {
        for file in [vhd(&disk), zstd(&vhd(&disk)), gzip(&vhd(&disk)), xz(&vhd(&disk))] {
            assert_eq!(format(&file, expected).as_deref(), Some("vhd"));
        }
        // Where nothing is written yet.
        assert_eq!(format(&vhd(&[0; 8192]), expected).as_deref(), Some("vhd"));
        assert_eq!(format(&vhd(&[7; 8192]), expected).as_deref(), Some("vhd"));
        // What says of itself what it is.
        let archive = [&good_tar()[..], &footer].concat();
        assert_ne!(format(&archive, expected).as_deref(), Some("vhd"));
    }
    let report = judge(vhd(&disk), Expected::Guess);
    assert_eq!(report.kind, Some(ImageKind::Amazon));
    assert_eq!(report.not_verified.len(), 1);
    let report = judge(vhd(&disk), Expected::Kind(ImageKind::Sd));
    assert!(failed(&report).contains("file-kind"));
    // A qcow2 disk in zstd is not written to a card, so its size need not be told.
    let report = judge(zstd(b"QFI\xfb and nothing more"), Expected::Guess);
    assert_eq!(report.subject.format.as_deref(), Some("qcow2"));
    assert_eq!(report.kind, Some(ImageKind::Vm));
    assert_eq!(report.outcomes["zstd-content-size"], Outcome::NotReached);
    assert!(failed(&report).contains("qcow2-header"));
}

/// Disks of virtual machines are no archives for WSL, and some can be imported in another way.
#[test]
fn disks_are_not_for_wsl_and_the_way_is_told() {
    for (head, hint) in [(&b"QFI\xfb"[..], "convert it to VHDX"), (b"conectix", "with --vhd")] {
        let file = [head, &[0; 1000]].concat();
        let request = Request { expected: Expected::Kind(ImageKind::Wsl), ..Request::default() };
        let report = image_verify::verify(Arc::new(file), request).unwrap();
        let kind = report.findings.iter().find(|finding| finding.check == "file-kind").unwrap();
        assert!(kind.message.contains(hint), "{}", kind.message);
    }
}

#[test]
fn several_streams_of_xz_and_zstd_are_one_image() {
    let raw = good_tar();
    let (a, b) = raw.split_at(1000);
    for file in [[xz(a), xz(b)].concat(), [zstd(a), zstd(b)].concat()] {
        assert_eq!(verify(&file).findings, []);
    }
}

#[test]
fn raw_bytes_can_be_had_without_a_verdict() {
    let raw = good_tar();
    for file in [raw.clone(), gzip(&raw), xz(&raw), zstd(&raw)] {
        let mut read = Vec::new();
        io::copy(&mut image_verify::open_raw(&file[..]).unwrap(), &mut read).unwrap();
        assert_eq!(read, raw);
    }
}

/// Any bytes give a report, and every finding names a check that was announced.
fn judge_any(file: &[u8]) {
    let report = verify(file);
    let ids: BTreeSet<_> = image_verify::checks().map(|check| check.id).collect();
    for finding in &report.findings {
        assert!(ids.contains(finding.check.as_ref()), "{}", finding.check);
        assert_eq!(report.outcomes[&finding.check], Outcome::Failed);
    }
    assert_eq!(report, verify(file), "the same bytes give the same report");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        judge_any(&bytes);
        judge_any(&gzip(&bytes));
        judge_any(&[&good_tar()[..1536], &bytes].concat());
    }

    #[test]
    fn random_headers_do_not_panic(
        edits in prop::collection::vec((0..500_usize, any::<u8>()), 0..20),
        content in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut entry = file("./a", &content);
        for (at, value) in edits {
            zerocopy::IntoBytes::as_mut_bytes(&mut entry.header)[at] = value;
        }
        let mut twice = vec![entry.clone(), entry, file("./b", b"")];
        judge_any(&tar(&twice));
        twice.insert(0, dir("./"));
        judge_any(&gzip(&tar(&twice)));
    }
}

#[test]
fn severities_follow_what_happens() {
    for twin in TWINS {
        let check = image_verify::checks().find(|check| check.id == twin.check).unwrap();
        let errors = has_error(&verify_twin(twin));
        assert_eq!(errors, check.severity == Severity::Error, "{}", check.id);
    }
}

/// The size of the content is asked for where a card is written, and for all frames.
#[test]
fn disks_tell_the_size_of_their_content() {
    let judge = |file: &[u8]| {
        let request = Request { expected: Expected::AnyImage, ..Request::default() };
        image_verify::verify(Arc::new(file.to_vec()), request).unwrap()
    };
    let sized = |raw: &[u8]| ::zstd::bulk::compress(raw, 1).unwrap();
    let skippable = b"\x5a\x2a\x4d\x18\x05\0\0\0pzstd";
    let disk = disk();
    let good = [&skippable[..], &sized(&disk), &sized(&disk), skippable].concat();
    let report = judge(&good);
    assert_eq!(report.findings, []);
    assert_eq!(report.outcomes["zstd-content-size"], Outcome::Held);
    assert_eq!(report.subject.format.as_deref(), Some("disk"));
    assert_eq!(report.subject.raw.unwrap().size, 2 * disk.len() as u64);

    let report = judge(&[&good, &zstd(&disk)[..]].concat());
    let [finding] = &report.findings[..] else { panic!("{:?}", report.findings) };
    assert_eq!(
        (finding.check.as_ref(), finding.at.offset),
        ("zstd-content-size", good.len() as u64)
    );

    // An archive is read from front to back anyway.
    let report = judge(&zstd(&good_tar()));
    assert_eq!(report.findings, []);
    assert_eq!(report.outcomes["zstd-content-size"], Outcome::NotReached);
}

/// What is behind the last frame or stream makes other programs fail, and us.
#[test]
fn garbage_behind_a_stream_is_an_error() {
    let raw = good_tar();
    for (file, check) in [(zstd(&raw), "zstd-data"), (xz(&raw), "xz-data")] {
        for garbage in [&b"x"[..], b"garbage and more of it", &file[..10]] {
            let report = verify(&[&file, garbage].concat());
            assert_eq!(failed(&report), [check.to_owned()].into(), "{garbage:?}");
            let [finding] = &report.findings[..] else { panic!("{:?}", report.findings) };
            assert!(finding.at.offset >= file.len() as u64, "{}", finding.at);
        }
    }
}

/// File systems and tables leave the first block to boot loaders, and that may be zeros, like the
/// end of an archive.
#[test]
fn a_disk_may_begin_with_zeros() {
    for (at, magic) in [(0x438, &b"\x53\xef"[..]), (512, b"EFI PART"), (4096, b"EFI PART")] {
        let mut disk = vec![0; 16 << 10];
        disk[at..at + magic.len()].copy_from_slice(magic);
        let request = Request { expected: Expected::AnyImage, ..Request::default() };
        let report = image_verify::verify(Arc::new(disk), request).unwrap();
        assert_eq!(report.subject.format.as_deref(), Some("disk"), "{at:#x}");
    }
    assert_eq!(verify(&[0; 10240]).subject.format.as_deref(), Some("tar"));
}

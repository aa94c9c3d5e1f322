//! Finishing of disks of virtual machines: no byte is changed, and another kind is refused by name.

use std::{fs, io::Write as _, path::PathBuf, process::Command};

use image_factory::finish::{FinishError, FinishJob, finish};
use image_model::{Artifact, Compression, CompressionSpec, ImageKind};

const NONE: CompressionSpec = CompressionSpec::None;
const ZSTD: CompressionSpec = CompressionSpec::Zstd { level: 1 };

/// A disk by QEMU with something in it.
fn disk(format: &str, options: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    let run = |tool: &str, args: &[&str]| {
        let output = Command::new(tool).args(args).arg(&path).output();
        let output = output.unwrap_or_else(|error| panic!("{tool}: {error}: run tests/setup.sh"));
        assert!(output.status.success(), "{tool}: {output:?}");
    };
    let path_text = path.to_str().unwrap();
    let create = ["create", "-q", "-f", format, "-o", options, path_text, "3M"];
    let output = Command::new("qemu-img").args(create).output();
    let output = output.unwrap_or_else(|error| panic!("qemu-img: {error}: run tests/setup.sh"));
    assert!(output.status.success(), "{output:?}");
    // A boot sector, so that the fixed one looks like a disk.
    run("qemu-io", &["-f", format, "-c", "write -P 0x55 0 512", "-c", "write -P 0xaa 511 1"]);
    fs::read(path).unwrap()
}

fn zstd(raw: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(raw).unwrap();
    encoder.finish().unwrap()
}

fn try_finish(
    kind: ImageKind,
    input: &[u8],
    compression: CompressionSpec,
) -> Result<(Artifact, Vec<u8>), FinishError> {
    let dir = tempfile::tempdir().unwrap();
    let (from, work): (PathBuf, _) = (dir.path().join("input"), dir.path().join("work"));
    fs::write(&from, input).unwrap();
    fs::create_dir(&work).unwrap();
    let output = dir.path().join("output");
    let job = FinishJob {
        kind,
        input: &from,
        work: &work,
        output: &output,
        compression,
        bmap: false,
        threads: 2,
    };
    let result = finish(&job, &|_, _| {});
    assert_eq!(fs::read_dir(&work).unwrap().count(), 0, "the work folder is empty");
    assert_eq!(output.exists(), result.is_ok());
    result.map(|finished| (finished.artifacts[0].clone(), fs::read(output).unwrap()))
}

fn disks() -> [(ImageKind, &'static str, Vec<u8>); 3] {
    [
        (ImageKind::Vm, "qcow2", disk("qcow2", "cluster_size=4k")),
        (ImageKind::Amazon, "vhd", disk("vpc", "subformat=dynamic")),
        (ImageKind::Amazon, "vhd", disk("vpc", "subformat=fixed")),
    ]
}

#[test]
fn no_byte_is_changed() {
    for (kind, format, raw) in disks() {
        for input in [raw.clone(), zstd(&raw)] {
            let (artifact, output) = try_finish(kind, &input, NONE).unwrap();
            assert_eq!((&*artifact.format, artifact.compression), (format, Compression::None));
            assert!(output == raw);
            assert_eq!((artifact.raw, artifact.digests.size), (artifact.digests, raw.len() as u64));
            let (artifact, output) = try_finish(kind, &input, ZSTD).unwrap();
            assert_eq!((&*artifact.format, artifact.compression), (format, Compression::Zstd));
            assert!(zstd::decode_all(&output[..]).unwrap() == raw);
            assert_eq!(artifact.raw.size, raw.len() as u64);
        }
    }
}

#[test]
fn another_kind_is_refused_by_name() {
    let mut card = vec![0; 1 << 20];
    card[510..512].copy_from_slice(b"\x55\xaa");
    let [(_, _, qcow2), (_, _, dynamic), (_, _, fixed)] = disks();
    let cases = [
        (ImageKind::Vm, &card, "a disk"),
        (ImageKind::Vm, &dynamic, "a VHD disk"),
        (ImageKind::Vm, &fixed, "a VHD disk"),
        (ImageKind::Amazon, &card, "a disk"),
        (ImageKind::Amazon, &qcow2, "a qcow2 disk"),
        (ImageKind::Sd, &qcow2, "a qcow2 disk"),
        (ImageKind::Sd, &fixed, "a VHD disk"),
        (ImageKind::Wsl, &dynamic, "a VHD disk"),
        (ImageKind::Iso, &qcow2, "a qcow2 disk"),
        (ImageKind::Docker, &qcow2, "a qcow2 disk"),
    ];
    for (kind, raw, is) in cases {
        for input in [raw.clone(), zstd(raw)] {
            let is_packed = input.len() != raw.len();
            // Its end is not looked at where it cannot be the right one anyway.
            let is =
                if is_packed && raw == &fixed && kind != ImageKind::Sd { "a disk" } else { is };
            let error = try_finish(kind, &input, ZSTD).unwrap_err();
            assert!(error.is_defect());
            let text = error.to_string();
            let end = format!(" is {is}, and no image for {kind} is made of that");
            assert!(text.ends_with(&end), "{text}");
        }
    }
}

/// What is nothing has errors, which the checks name; a cut disk is still one.
#[test]
fn what_is_nothing_is_told() {
    for kind in [ImageKind::Vm, ImageKind::Amazon] {
        for nothing in [&b""[..], b"text\n", &zstd(b"text\n"), &[0; 4096], &zstd(&[0; 4096])] {
            let error = try_finish(kind, nothing, NONE).unwrap_err();
            assert!(error.is_defect(), "{error}");
        }
    }
    let dynamic = disk("vpc", "subformat=dynamic");
    let cut = &dynamic[..dynamic.len() - 512];
    let (artifact, _) = try_finish(ImageKind::Amazon, cut, NONE).unwrap();
    assert_eq!(artifact.format, "vhd");
}

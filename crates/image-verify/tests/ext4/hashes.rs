//! Hashes of names, as debugfs computes them.

use std::fs;

use image_formats::ext4::NameHash;

use super::image::*;

/// Names of all lengths, of all bytes that debugfs takes: no NUL, no quote, no line end.
fn names() -> Vec<Vec<u8>> {
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    let mut name = |len: usize, high: bool| -> Vec<u8> {
        let bytes = std::iter::repeat_with(|| random() as u8 | if high { 0x80 } else { 0 });
        bytes.filter(|byte| !matches!(byte, 0 | b'"' | b'\n' | b'\r')).take(len).collect()
    };
    (1..=255).flat_map(|len| [name(len, false), name(len, true)]).collect()
}

#[test]
fn hashes_are_those_of_debugfs() {
    let names = names();
    let dir = tempfile::tempdir().unwrap();
    let commands = dir.path().join("commands");
    let seeds = [[0_u8; 16], *b"\x12\x34\xff\x80seed of names!"[..16].first_chunk().unwrap()];
    let mut script = Vec::new();
    for seed in seeds {
        let hex: Vec<_> = seed.iter().map(|byte| format!("{byte:02x}")).collect();
        let [a, b, c, d, e] = [0..4, 4..6, 6..8, 8..10, 10..16]
            .map(|part: std::ops::Range<usize>| hex[part].concat());
        for version in 0..6 {
            for name in &names {
                let command = format!("dx_hash -h {version} -s {a}-{b}-{c}-{d}-{e} \"");
                script.extend([command.as_bytes(), name, b"\"\n"].concat());
            }
        }
    }
    fs::write(&commands, script).unwrap();
    let output = run("e2fsprogs", &["debugfs", "-f", commands.to_str().unwrap()]);
    // Names may end with anything: the numbers are after the last of these words.
    let field = |line: &[u8], word: &[u8]| {
        let at = line.windows(word.len()).rposition(|found| found == word)? + word.len();
        let digits = line[at..].iter().take_while(|byte| byte.is_ascii_hexdigit());
        u32::from_str_radix(&String::from_utf8(digits.copied().collect()).ok()?, 16).ok()
    };
    let lines = output.stdout.split(|byte| *byte == b'\n');
    let answers = lines.filter(|line| line.starts_with(b"Hash of "));
    let mut found =
        answers.map(|line| Some((field(line, b" is 0x")?, field(line, b" (minor 0x")?)));
    for seed in seeds {
        let words = std::array::from_fn(|at| {
            u32::from_le_bytes(std::array::from_fn(|byte| seed[at * 4 + byte]))
        });
        for version in 0..6 {
            let hash = NameHash::new(version, false, words).unwrap();
            for name in &names {
                let answer = found.next().flatten();
                assert_eq!(Some(hash.hash(name)), answer, "version {version}, {name:02x?}");
            }
        }
    }
    assert_eq!(found.next(), None);
}

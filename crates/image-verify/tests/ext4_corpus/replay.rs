//! Logs that are to be replayed, in all formats, and edited: what we say of them against whether
//! `e2fsck -fy` can replay them. `e2fsck -fn` does not look at a log.

use image_formats::{
    ext4::{Block, ExtentNode, Ino, Inode, Run},
    jbd2::{self, Descriptor, Format, Header},
};
use zerocopy::IntoBytes as _;

use super::{
    image::{Image, OnDisk, ok, pattern},
    random::Random,
    rig::{Disk, on_two_threads, print},
};

/// How many edits are tried in each format; `IMAGE_FACTORY_REPLAYS` asks for more.
const EDITS: u64 = 40;

/// A format of the log: the size of blocks, features of the file system, and what `jo` of debugfs
/// gets.
struct Plan {
    block: &'static str,
    features: &'static str,
    open: &'static str,
    /// The feature checksum, which debugfs cannot set.
    v1: bool,
}

const PLANS: &[Plan] = &[
    Plan { block: "1024", features: "^64bit", open: "jo", v1: false },
    Plan { block: "1024", features: "64bit", open: "jo", v1: false },
    Plan { block: "4096", features: "64bit", open: "jo", v1: false },
    Plan { block: "1024", features: "^64bit", open: "jo", v1: true },
    Plan { block: "1024", features: "^64bit", open: "jo -c -v 2", v1: false },
    Plan { block: "1024", features: "64bit", open: "jo -c -v 2", v1: false },
    Plan { block: "1024", features: "^64bit", open: "jo -c -v 3", v1: false },
    Plan { block: "4096", features: "64bit", open: "jo -c -v 3", v1: false },
];

/// Blocks of the log, which has three transactions with copies and one that revokes.
const LOG: u64 = 16;

struct Base {
    image: Image,
    /// The blocks of the journal lie in one piece.
    first: u64,
    format: Format,
}

impl Base {
    fn new(plan: &Plan) -> Self {
        let disk = OnDisk::new(b"");
        let mib = if plan.block == "4096" { 16 } else { 6 };
        std::fs::File::create(&disk.path).unwrap().set_len(mib << 20).unwrap();
        // Nothing in it depends on a clock or on chance.
        let fixed = ["env", "E2FSPROGS_FAKE_TIME=1700000000", "mke2fs", "-q", "-F"];
        let uuid = ["-U", "44444444-4444-4444-8888-888888888888"];
        let seed = ["-E", "hash_seed=55555555-5555-4555-9555-555555555555"];
        let args = ["-t", "ext4", "-b", plan.block, "-O", plan.features, disk.name()];
        ok("e2fsprogs", &[&fixed[..], &uuid, &seed, &args].concat());
        let size: usize = plan.block.parse().unwrap();
        let copies = OnDisk::new(&pattern(3 * size));
        // Blocks that nothing uses.
        let script = format!(
            "{0}\njw -b 2500,2501,2502 {1}\njw -b 2503 {1}\njw -r 2501\njw -b 2504,2505 {1}\njc\n",
            plan.open,
            copies.name()
        );
        let script = OnDisk::new(script.as_bytes());
        ok("e2fsprogs", &["debugfs", "-w", "-f", script.name(), disk.name()]);
        let image = Image { bytes: disk.bytes() };
        let first = runs(&image.inode(Ino::JOURNAL))[0].block.0;
        let mut base = Self { image, first, format: Format::default() };
        if plan.v1 {
            base.add_checksums();
        }
        base.format = base.superblock().format();
        assert_eq!(base.superblock().raw.s_start.get(), 1, "{}", plan.open);
        base
    }

    fn superblock(&mut self) -> jbd2::Superblock {
        jbd2::Superblock::new(self.block(0)).unwrap()
    }

    fn block(&mut self, at: u64) -> &mut [u8] {
        self.image.block_mut(Block(self.first + at))
    }

    /// Gives the commit blocks what Linux writes with the feature checksum.
    fn add_checksums(&mut self) {
        let mut superblock = self.superblock();
        superblock.raw.s_feature_compat.set(jbd2::compat::CHECKSUM);
        self.block(0)[..1024].copy_from_slice(superblock.raw.as_bytes());
        let format = superblock.format();
        let mut sum = !0;
        let mut at = 1;
        while let Some(header) = Header::new(self.block(at)) {
            let copies = match header.kind {
                Header::DESCRIPTOR => Descriptor::new(self.block(at), format).tags().count(),
                Header::COMMIT => {
                    let block = self.block(at);
                    block[12..14].copy_from_slice(&[1, 4]);
                    block[16..20].copy_from_slice(&u32::to_be_bytes(sum));
                    sum = !0;
                    at += 1;
                    continue;
                }
                _ => {
                    at += 1;
                    continue;
                }
            };
            for _ in 0..=copies {
                sum = jbd2::transaction_checksum(sum, self.block(at));
                at += 1;
            }
        }
    }

    /// Makes the checksum of a block of the log right again.
    fn seal(&mut self, at: u64) {
        let format = self.format;
        let block = self.block(at);
        let Some(header) = Header::new(block).filter(|_| format.has_checksums()) else { return };
        let (range, sum) = match header.kind {
            Header::COMMIT => (16..20, format.commit_checksum(block).1),
            _ => (block.len() - 4..block.len(), format.block_checksum(block).1),
        };
        block[range].copy_from_slice(&sum.to_be_bytes());
    }
}

fn runs(inode: &Inode<'_>) -> Vec<Run> {
    ExtentNode::new(inode.block_area()).unwrap().runs().collect()
}

/// What we say of the log, and whether e2fsck cannot replay it.
fn verdicts(bytes: &[u8]) -> (Vec<String>, Option<bool>, String) {
    let disk = Disk::expand(bytes);
    let findings = disk.judge();
    let of_the_log = ["ext4-journal-log", "ext4-journal-fast-commit"];
    let ours = findings.iter().filter(|finding| of_the_log.contains(&&*finding.check));
    let ours = ours.map(|finding| finding.message.clone()).collect();
    let said = disk.replay(10);
    let words = [
        "Journal checksum error",
        "Journal corrupted",
        "while recovering journal",
        "replay was aborted",
    ];
    let theirs = said.as_ref().map(|said| words.iter().any(|word| said.text.contains(word)));
    (ours, theirs, said.map_or_else(String::new, |said| said.words()))
}

/// We have nothing against a log that e2fsck can replay, and something against one that it cannot.
#[test]
fn logs_are_judged_as_a_replay_ends() {
    let edits = std::env::var("IMAGE_FACTORY_REPLAYS")
        .map_or(EDITS, |number| number.parse().expect("IMAGE_FACTORY_REPLAYS is a number"));
    let jobs: Vec<_> = PLANS.iter().enumerate().collect();
    let cases = on_two_threads(&jobs, |(number, plan)| {
        let mut random = Random::new(*number as u64);
        let mut base = Base::new(plan);
        let good = base.image.bytes.clone();
        assert_eq!(verdicts(&good).0, Vec::<String>::new(), "{} {}", plan.features, plan.open);
        let mut cases = vec![("nothing".to_owned(), verdicts(&good))];
        for _ in 0..edits {
            let what = edit(&mut base, &mut random);
            if base.image.bytes != good {
                cases.push((what, verdicts(&base.image.bytes)));
                base.image.bytes.copy_from_slice(&good);
            }
        }
        let name = format!("{} {} {} {}", plan.block, plan.features, plan.open, plan.v1);
        cases.into_iter().map(|case| (name.clone(), case)).collect::<Vec<_>>()
    });
    let mut totals = [[0_u32; 2]; 2];
    let (mut endless, mut beyond) = (0, 0);
    let mut wrong = Vec::new();
    for (name, (what, (ours, theirs, words))) in cases.into_iter().flatten() {
        let line = format!("{name} | {what} | ours: {} | e2fsck: {words}", ours.join("; "));
        let Some(theirs) = theirs else {
            // It goes around for ever.
            endless += 1;
            if ours.is_empty() {
                wrong.push(line);
            }
            continue;
        };
        totals[usize::from(!ours.is_empty())][usize::from(theirs)] += 1;
        if ours.is_empty() == theirs {
            // e2fsck makes a file longer when a copy belongs behind its end; no device grows.
            let grows = ours.iter().all(|message| message.contains(" writes block "));
            if !theirs && grows {
                beyond += 1;
            } else {
                wrong.push(line);
            }
        }
    }
    let [[clean, theirs], [ours, both]] = totals;
    print(&format!(
        "{} logs: both clean {clean}, both not {both}, only e2fsck {theirs}, only we {ours}, of them \
         {beyond} beyond the end; e2fsck does not end on {endless}",
        clean + theirs + ours + both + endless
    ));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Edits one field of a block of the log.
fn edit(base: &mut Base, random: &mut Random) -> String {
    // Where the log starts and with what number is in the superblock.
    if random.percent(8) {
        let mut superblock = base.superblock();
        let raw = &mut superblock.raw;
        let number = random.below(40) as u32;
        let what = if random.percent(50) {
            raw.s_start.set(if random.percent(50) { number } else { number << 7 });
            format!("s_start {}", raw.s_start)
        } else {
            raw.s_sequence.set(number / 8);
            format!("s_sequence {}", raw.s_sequence)
        };
        if superblock.has_checksums() {
            let sum = superblock.checksum();
            superblock.raw.s_checksum.set(sum);
        }
        base.block(0)[..1024].copy_from_slice(superblock.raw.as_bytes());
        return what;
    }
    let at = 1 + random.below(LOG as usize - 1) as u64;
    let block = base.block(at);
    // The first bytes of what is no copy mean something.
    let here = if random.percent(85) { 64 } else { block.len() };
    let offset = random.below(here);
    let before = block[offset];
    block[offset] = match random.below(4) {
        0 => before ^ 1 << random.below(8),
        1 => before.wrapping_add(1),
        2 => random.below(12) as u8,
        _ => random.next() as u8,
    };
    let after = block[offset];
    let sealed = random.percent(60);
    if sealed {
        base.seal(at);
    }
    let sealed = if sealed { "sealed" } else { "bare" };
    format!("block {at} +{offset:#x} {before:#x} to {after:#x} {sealed}")
}

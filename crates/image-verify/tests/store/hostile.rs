//! Stores that somebody tampered with, and machines that fail.

use std::{
    io,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use image_formats::bytes::ReadAt;
use image_verify::{Expected, Request, VerifyError};
use proptest::prelude::*;

use crate::{
    image::{elf, good},
    judge,
};

static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| good().archive());

/// Bytes that can be read for a while.
struct Failing {
    bytes: Vec<u8>,
    left: AtomicU64,
}

impl ReadAt for Failing {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let len = buf.len() as u64;
        let take = |left: u64| left.checked_sub(len);
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        left.map_err(|_| io::Error::other("the disk is gone"))?;
        self.bytes.read_exact_at(offset, buf)
    }
}

/// Whenever it fails, the machine's failure is no finding: there is no report.
#[test]
fn failures_of_the_machine_are_no_findings() {
    let len = GOOD.len() as u64;
    let (mut failed, mut done) = (0, 0);
    for left in (0..8 * len).step_by(len as usize / 10) {
        let source = Failing { bytes: GOOD.clone(), left: AtomicU64::new(left) };
        let request = Request { expected: Expected::AnyKind, ..Request::default() };
        match image_verify::verify(Arc::new(source), request) {
            Err(VerifyError::Read { .. } | VerifyError::Raw(_)) => failed += 1,
            Err(error) => panic!("{left}: {error}"),
            Ok(report) => {
                assert_eq!(report.findings, [], "{left}");
                done += 1;
            }
        }
    }
    assert!(failed > 10 && done > 10, "{failed} {done}");
}

/// A program that looks in more folders than anybody would: what comes after is not judged, and that
/// is told.
#[test]
fn run_paths_have_an_end() {
    for (count, is_over) in [(1024, false), (1025, true)] {
        let mut draft = good();
        let folders = vec!["$ORIGIN/../lib"; count].join(":");
        *draft.content("app", "/bin/app") = elf("", &folders);
        draft.database = None;
        let report = judge(draft.archive());
        let failed: Vec<_> = report.findings.iter().map(|finding| &*finding.check).collect();
        let expected: &[&str] = if is_over { &["store-limits"] } else { &[] };
        assert_eq!(failed, expected, "{count}");
        assert_eq!(report.not_verified.len(), usize::from(is_over), "{count}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the bytes are, there is a report, and the same one twice.
    #[test]
    fn no_bytes_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut archive = GOOD.clone();
        for (at, value) in &edits {
            let at = at.index(archive.len());
            archive[at] = *value;
        }
        prop_assert_eq!(judge(archive.clone()), judge(archive));
    }
}

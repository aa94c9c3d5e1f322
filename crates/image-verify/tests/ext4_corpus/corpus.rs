//! The images that e2fsck is tested with.

use std::{collections::BTreeMap, path::PathBuf};

use super::rig::*;

/// `e2fsck -fn` does not end on these. We do.
const NEVER_ENDS: &[&str] = &["f_illitable_flexbg", "f_misstable"];

struct Case {
    name: String,
    ours: Vec<String>,
    theirs: Option<E2fsck>,
    /// What we find after e2fsck has mended it. `None`: it could not.
    mended: Option<Vec<String>>,
}

/// The names and the files of all images.
pub(crate) fn images() -> Vec<(String, PathBuf)> {
    let tests = fetched("e2fsprogs/tests");
    let mut images = Vec::new();
    for name in names(&tests) {
        for file in ["image.gz", "image.bz2"] {
            let path = tests.join(&name).join(file);
            if path.exists() {
                images.push((name.clone(), path));
            }
        }
    }
    images
}

fn cases() -> Vec<Case> {
    on_two_threads(&images(), |(name, path)| {
        let disk = Disk::expand(reader(path));
        let ours = errors(&disk.judge()).into_iter().collect();
        let never_ends = NEVER_ENDS.contains(&name.as_str());
        let theirs = disk.e2fsck(if never_ends { 5 } else { 60 });
        let mended = disk.mend().then(|| {
            let findings = disk.judge();
            findings.iter().map(|f| format!("{}: {}", f.check, f.message)).collect()
        });
        Case { name: name.clone(), ours, theirs, mended }
    })
}

/// Our verdict and that of e2fsck are the same, but for those that are listed with a reason; and after
/// e2fsck has mended an image, we find nothing.
#[test]
fn verdicts_are_those_of_e2fsck() {
    let cases = cases();
    assert!(cases.len() >= 206, "{} images: some were not fetched", cases.len());
    let mut found = BTreeMap::new();
    let mut mended = BTreeMap::new();
    let mut totals = BTreeMap::<_, u32>::new();
    let mut endless = Vec::new();
    // Of those that only we complain about: e2fsck prints what is wrong, answers its own question
    // with "no", and forgets it in its exit status.
    let mut said = 0;
    print(&format!("{:<36} {:<7} {:>9}  checks of ours", "e2fsck's image", "ours", "e2fsck -fn"));
    for case in &cases {
        let ours = if case.ours.is_empty() { "clean" } else { "error" };
        match &case.mended {
            Some(findings) if findings.is_empty() => {}
            Some(findings) => {
                mended.insert(case.name.clone(), findings.join(" | "));
            }
            None => {
                mended.insert(case.name.clone(), "e2fsck does not mend it".into());
            }
        }
        let Some(theirs) = &case.theirs else {
            assert_eq!(ours, "error", "{}", case.name);
            print(&format!("{:<36} {ours:<7} {:>9}", case.name, "no end"));
            endless.push(case.name.as_str());
            continue;
        };
        let agree = case.ours.is_empty() == theirs.clean();
        let mark = if agree { " " } else { "*" };
        let (name, status, checks) = (&case.name, theirs.status, case.ours.join(" "));
        print(&format!("{name:<36} {ours:<7} {status:>9} {mark} {checks}"));
        *totals.entry((case.ours.is_empty(), theirs.clean())).or_default() += 1;
        said += u32::from(!agree && theirs.clean() && !theirs.words().is_empty());
        if !agree {
            found.insert(name.clone(), format!("{ours}, e2fsck {status}: {}", theirs.words()));
        }
    }
    let total = |ours, theirs| totals.get(&(ours, theirs)).copied().unwrap_or(0);
    let compared: u32 = totals.values().sum();
    let agreed = total(true, true) + total(false, false);
    print(&format!(
        "{} images: {agreed} of {compared} verdicts agree ({:.1} %): both clean {}, both not {}, only \
         e2fsck complains {}, only we do {}, of which it says something about {said}; it does not \
         end on {}",
        cases.len(),
        f64::from(agreed) * 100.0 / f64::from(compared),
        total(true, true),
        total(false, false),
        total(true, false),
        total(false, true),
        endless.len(),
    ));
    print(&format!("{} of {} are clean once mended", cases.len() - mended.len(), cases.len()));
    if let Some(path) = std::env::var_os("IMAGE_FACTORY_DUMP") {
        let mut text = String::new();
        for (name, what) in found.iter().chain(&mended) {
            text += &format!("{name} {what}\n");
        }
        std::fs::write(path, text).unwrap();
    }
    assert_eq!(endless, NEVER_ENDS);
    compare("disagreements.txt", &listed(include_str!("disagreements.txt")), &found);
    compare("mended.txt", &listed(include_str!("mended.txt")), &mended);
}

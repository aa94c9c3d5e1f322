//! The images that dosfstools is tested with.

use std::{collections::BTreeMap, fs::File, os::unix::fs::FileExt as _, path::Path};

use super::{
    rig::{fetched, names, on_two_threads, print},
    volume::{Fsck, Volume, errors, told},
};

/// Writes what `xxd -r` would: a line is an offset, bytes in groups of two, and text that does not
/// count.
fn expand(dump: &Path, to: &Path) {
    let file = File::create(to).unwrap();
    for line in std::fs::read_to_string(dump).unwrap().lines() {
        let Some((at, rest)) = line.split_once(": ") else { continue };
        let at = u64::from_str_radix(at, 16).unwrap();
        let groups = rest.split("  ").next().unwrap().split(' ');
        let digits: String = groups.collect();
        let bytes: Vec<u8> = (0..digits.len() / 2)
            .map(|index| u8::from_str_radix(&digits[index * 2..index * 2 + 2], 16).unwrap())
            .collect();
        file.write_all_at(&bytes, at).unwrap();
    }
}

/// Our verdict and that of fsck.fat are the same for all of its images: those that it has to mend, and
/// what they have to be then. Of the latter we find nothing either.
#[test]
fn verdicts_are_those_of_fsck() {
    let tests = fetched("dosfstools");
    let dumps: Vec<String> = names(&tests)
        .into_iter()
        .filter(|name| name.ends_with(".xxd") || name.ends_with(".fsck"))
        .collect();
    let cases: Vec<(String, Vec<String>, String, Fsck)> = on_two_threads(&dumps, |name| {
        let volume = Volume::new();
        expand(&tests.join(name), &volume.path);
        let findings = volume.judge();
        let ours = errors(&findings).into_iter().collect();
        (name.clone(), ours, told(&findings), volume.fsck())
    });
    let mut totals = BTreeMap::<_, u32>::new();
    let mut wrong = Vec::new();
    print(&format!(
        "{:<60} {:<6} {:>11}  checks of ours",
        "dosfstools' image", "ours", "fsck.fat -n"
    ));
    for (name, errors, told, theirs) in &cases {
        let ours = if errors.is_empty() { "clean" } else { "error" };
        let (status, checks) = (theirs.status, errors.join(" "));
        print(&format!("{name:<60} {ours:<6} {status:>11}  {checks}"));
        *totals.entry((errors.is_empty(), theirs.clean())).or_default() += 1;
        if errors.is_empty() != theirs.clean() {
            wrong.push(format!("{name}: we say {told:?}, fsck.fat {:?}", theirs.words()));
        }
    }
    let total = |ours, theirs| totals.get(&(ours, theirs)).copied().unwrap_or(0);
    print(&format!(
        "{} images: {} verdicts agree: both clean {}, both not {}, only fsck.fat complains {}, only \
         we do {}",
        cases.len(),
        total(true, true) + total(false, false),
        total(true, true),
        total(false, false),
        total(true, false),
        total(false, true),
    ));
    assert_eq!(dumps.iter().filter(|name| name.ends_with(".xxd")).count(), 39);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

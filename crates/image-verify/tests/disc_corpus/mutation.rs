//! Hundreds of edits in metadata, each of one field: where bsdtar, isoinfo or xorriso see something
//! else than before or complain, we do too, and where we call it an error they do, or a rule says
//! why.

mod pieces;
mod rules;

use std::{collections::BTreeMap, fs, path::Path, process::Output};

use image_model::Severity;

use super::{
    judged::Judged,
    listing::{Listing, bsdtar, differences, run},
    random::Random,
    rig::{on_two_threads, print},
};
use pieces::{Edit, Pieces};
use rules::RULES;

/// How many edits are tried; the variable `IMAGE_FACTORY_MUTATIONS` asks for more.
const EDITS: usize = 160;
/// How many are made in one copy of a base.
const AT_ONCE: usize = 20;

/// What other readers print of a disc.
struct Others {
    bsdtar: (Listing, Result<(), String>),
    isoinfo: String,
    xorriso: String,
}

impl Others {
    fn read(disc: &Path) -> Self {
        let folder = disc.parent().unwrap().to_str().unwrap();
        let print = |Output { status, stdout, stderr }| {
            let text = [stdout, stderr].concat();
            let text = String::from_utf8_lossy(&text).replace(folder, "");
            // Crashes are told by the shell, not by them.
            format!("{:?}\n{text}", status.code())
        };
        let name = disc.to_str().unwrap();
        let isoinfo = |argv: &[&str]| {
            print(run("genisoimage", 10, &[&["isoinfo", "-i", name], argv].concat()))
        };
        let argv = [
            "xorriso",
            "-no_rc",
            "-report_about",
            "SORRY",
            "-abort_on",
            "FATAL",
            "-indev",
            name,
            "-report_el_torito",
            "plain",
            "-report_system_area",
            "plain",
            "-find",
            "/",
            "-exec",
            "lsdl",
            "--",
        ];
        Self {
            bsdtar: bsdtar(disc, true),
            isoinfo: [&["-d"][..], &["-R", "-f"], &["-J", "-f"]].map(isoinfo).concat(),
            xorriso: print(run("xorriso", 10, &argv)),
        }
    }

    /// What another disc has else.
    fn changes(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let ((ours, sound), (theirs, other_sound)) = (&self.bsdtar, &other.bsdtar);
        if sound != other_sound {
            found.push(format!("bsdtar: {other_sound:?}"));
        } else if let Some(first) = differences(ours, theirs).first() {
            found.push(format!("bsdtar: {first}"));
        }
        for (name, before, after) in
            [("isoinfo", &self.isoinfo, &other.isoinfo), ("xorriso", &self.xorriso, &other.xorriso)]
        {
            let known: Vec<_> = before.lines().collect();
            let lines = after.lines();
            let new = lines.clone().find(|line| !known.contains(line));
            let gone = known.iter().find(|line| !lines.clone().any(|l| l == **line));
            if let Some(line) = new {
                found.push(format!("{name}: {line}"));
            } else if let Some(line) = gone {
                found.push(format!("{name}: no more {line}"));
            }
        }
        found
    }
}

/// One edit, and what all say.
pub(crate) struct Case {
    base: &'static str,
    pub(crate) edit: Edit,
    /// The checks that fail now, and did not before; those of severity error first.
    pub(crate) errors: Vec<String>,
    pub(crate) others: Vec<String>,
    /// What we see is something else.
    pub(crate) seen: Vec<String>,
    pub(crate) theirs: Vec<String>,
}

impl Case {
    fn line(&self) -> String {
        let Self { base, edit, errors, others, seen, theirs } = self;
        let line = format!(
            "{base}, {edit} | errors {errors:?}, others {others:?}, seen {seen:?} | {theirs:?}"
        );
        line.chars().take(900).collect()
    }

    /// True if we are the only ones who complain, and of these checks only.
    pub(crate) fn only_we(&self, checks: &[&str]) -> bool {
        self.theirs.is_empty() && self.errors.iter().all(|id| checks.contains(&id.as_str()))
    }

    /// True if only this one of the others sees something.
    pub(crate) fn only(&self, program: &str) -> bool {
        self.theirs.iter().all(|line| line.starts_with(program))
    }
}

fn failed(judged: &Judged, severities: &[Severity]) -> Vec<String> {
    let ids = severities.iter().flat_map(|severity| judged.findings(*severity));
    let mut ids: Vec<_> = ids.map(|finding| finding.check.to_string()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// What we see of a disc that we did not see before.
fn seen(before: &Judged, after: &Judged) -> Vec<String> {
    let mut found = Vec::new();
    match (&before.listing, &after.listing) {
        (Some(before), Some(after)) => {
            found.extend(differences(before, after).first().cloned());
        }
        _ => found.push("it is not opened".into()),
    }
    if before.label != after.label {
        found.push(format!("label {:?}", after.label));
    }
    if before.boot != after.boot {
        found.push(format!("boot images {:?}", after.boot));
    }
    if (&before.bios, &before.efi) != (&after.bios, &after.efi) {
        found.push(format!("stick {:?}, {:?}", after.bios, after.efi));
    }
    found
}

struct Base {
    name: &'static str,
    pieces: Pieces,
    judged: Judged,
    others: Others,
}

/// Discs with all that nixpkgs asks xorriso for, with relocated directories, and by genisoimage.
fn bases() -> Vec<Base> {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    let root = files.display();
    let isolinux = "/usr/lib/ISOLINUX";
    assert!(Path::new(isolinux).exists(), "{isolinux} is missing; run `apt-get install isolinux`");
    let script = format!(
        "mkdir -p {root}/isolinux {root}/boot {root}/EFI/BOOT {root}/1/2/3/4/5/6/7/8/9
        cp {isolinux}/isolinux.bin {root}/isolinux/
        echo DEFAULT boot >{root}/isolinux/isolinux.cfg
        head -c 5000 {isolinux}/isohdpfx.bin >{root}/boot/bzImage
        echo x >{root}/1/2/3/4/5/6/7/8/9/deep
        : >{root}/empty
        echo file >{root}/file.txt
        echo long >{root}/$(printf '%0200d' 1)
        ln -s ../file.txt {root}/boot/link
        ln -s /nix/./store {root}/link
        PATH=$PATH:/usr/sbin
        mkfs.vfat -C -n EFIBOOT -i 12345678 {root}/boot/efi.img 720 >/dev/null
        MTOOLS_SKIP_CHECK=1 mmd -i {root}/boot/efi.img ::EFI",
    );
    // All dates are the same in each run, and so is what is made of them.
    let sh = |script: &str| {
        let time = ["faketime", "-f", "2000-01-01 12:34:56"];
        let argv = [&time[..], &["fakeroot", "sh", "-e", "-c", script]].concat();
        let output = run("faketime fakeroot", 60, &argv);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    sh(&format!("{script}\nmknod {root}/null c 1 3"));
    let nixpkgs = format!(
        "-iso-level 3 -volid TEST -full-iso9660-filenames -joliet -b isolinux/isolinux.bin \
         -c .boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table \
         -isohybrid-mbr {isolinux}/isohdpfx.bin -eltorito-alt-boot -e boot/efi.img -no-emul-boot \
         -isohybrid-gpt-basdat -r"
    );
    let xorriso = "xorriso -report_about SORRY -as mkisofs";
    [
        ("nixpkgs", format!("{xorriso} {nixpkgs}")),
        ("relocated", format!("{xorriso} -R -rr_reloc_dir /rr_moved")),
        (
            "genisoimage",
            "genisoimage -quiet -R -J -b isolinux/isolinux.bin -c boot.cat \
                         -no-emul-boot -boot-load-size 4 -boot-info-table"
                .to_owned(),
        ),
    ]
    .map(|(name, command)| {
        let disc = folder.path().join("disc.iso");
        sh(&format!("{command} -o {} {root}", disc.display()));
        let (judged, others) = (Judged::of(&disc, false), Others::read(&disc));
        assert_eq!(judged.told(Severity::Error), [""; 0], "{name}");
        Base { name, pieces: Pieces::find(fs::read(&disc).unwrap()), judged, others }
    })
    .into()
}

#[test]
fn edits_are_seen() {
    let edits = std::env::var("IMAGE_FACTORY_MUTATIONS")
        .map_or(EDITS, |number| number.parse().expect("IMAGE_FACTORY_MUTATIONS is a number"));
    let bases = bases();
    let jobs: Vec<_> = (0..edits.div_ceil(AT_ONCE)).collect();
    let cases: Vec<Case> = on_two_threads(&jobs, |job| {
        let base = &bases[job % bases.len()];
        let folder = tempfile::tempdir().unwrap();
        let disc = folder.path().join("disc.iso");
        let mut random = Random::new(*job as u64);
        let case = |_| {
            let edit = base.pieces.edit(&mut random);
            let mut bytes = base.pieces.bytes.clone();
            bytes[edit.at..][..edit.new.len()].copy_from_slice(&edit.new);
            fs::write(&disc, bytes).unwrap();
            let (judged, others) = (Judged::of(&disc, false), Others::read(&disc));
            let new = |severities: &[Severity]| {
                let before = failed(&base.judged, severities);
                failed(&judged, severities).into_iter().filter(|id| !before.contains(id)).collect()
            };
            Case {
                base: base.name,
                edit,
                errors: new(&[Severity::Error]),
                others: new(&[Severity::Warning, Severity::Info]),
                seen: seen(&base.judged, &judged),
                theirs: base.others.changes(&others),
            }
        };
        (0..AT_ONCE).map(case).collect::<Vec<_>>()
    })
    .into_iter()
    .flatten()
    .collect();

    let mut totals = BTreeMap::<_, usize>::new();
    let mut used = BTreeMap::<_, usize>::new();
    let mut unexplained = Vec::new();
    for case in &cases {
        let told = !case.errors.is_empty() || !case.others.is_empty();
        *totals.entry((told || !case.seen.is_empty(), case.theirs.is_empty())).or_default() += 1;
        let silent = !told && case.seen.is_empty() && !case.theirs.is_empty();
        let alone = !case.errors.is_empty() && case.theirs.is_empty();
        if !silent && !alone {
            continue;
        }
        match RULES.iter().find(|rule| (rule.applies)(case)) {
            Some(rule) => *used.entry(rule.name).or_default() += 1,
            None => unexplained.push(case.line()),
        }
    }
    let total = |ours, theirs| totals.get(&(ours, theirs)).copied().unwrap_or(0);
    print(&format!(
        "{} edits: others see {}, and we {} of these; others do not see {}, and we do {} of these; \
         differences that no rule explains: {}",
        cases.len(),
        total(true, false) + total(false, false),
        total(true, false),
        total(true, true) + total(false, true),
        total(true, true),
        unexplained.len(),
    ));
    for rule in RULES {
        let times = used.get(rule.name).copied().unwrap_or(0);
        print(&format!("  {times:4} {}: {}", rule.name, rule.reason));
    }
    assert!(unexplained.is_empty(), "{unexplained:#?}");
}

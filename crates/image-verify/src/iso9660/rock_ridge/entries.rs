//! Areas and entries: that all can be read, and are what they have to be.

use image_formats::{
    iso9660::{Moment, raw::Both32},
    susp::{
        Continuation, Entry, Fault, MAX_CONTINUATIONS, NameFault, SystemUse, TargetFault,
        raw::{Header, Px, PxSerial, Rr, Sp, Tf, Zf},
    },
};

use super::{
    BOTH_ENDIAN, CONTINUATION, CONTINUATION_BLOCK, CONTINUATION_LOOP, CONTINUATION_ONCE,
    CONTINUATION_OVERLAP, ENTRY_LENGTH, ENTRY_REST, ENTRY_SIZE, ENTRY_VERSION, Found, Judge,
    NAME_PIECES, REPEATED, TARGET, TIME, ZISOFS, attributes::PieceFault,
};

/// The entries that a record has only once.
const ONCE: &[[u8; 2]] = &[Header::PX, Header::PN, Header::CL, Header::PL, Header::RE, Header::RR];

/// All entries of SUSP and Rock Ridge.
const KNOWN: &[[u8; 2]] = &[
    Header::CE,
    Header::PD,
    Header::SP,
    Header::ST,
    Header::ER,
    Header::ES,
    Header::PX,
    Header::PN,
    Header::SL,
    Header::NM,
    Header::CL,
    Header::PL,
    Header::RE,
    Header::TF,
    Header::SF,
    Header::RR,
    Header::ZF,
];

/// True for an entry that SUSP, Rock Ridge or zisofs have.
pub(super) fn is_known(entry: &Entry<'_>) -> bool {
    KNOWN.contains(&entry.header.signature)
}

/// True if it is what the first entry has to be.
pub(super) fn is_sound_sp(entry: &Entry<'_>, sp: &Sp) -> bool {
    sp.check == Sp::CHECK && entry.len() == 7
}

/// The bytes that an entry has at least and at most. `None` where anything goes.
fn sizes(entry: &Entry<'_>) -> Option<(usize, usize)> {
    let any = |least| Some((least, u8::MAX.into()));
    let only = |size| Some((size, size));
    match entry.header.signature {
        Header::CE => only(28),
        Header::SP => only(7),
        Header::ST | Header::RE => only(4),
        Header::ES | Header::RR => only(5),
        Header::PX if entry.len() < 44 => only(36),
        Header::PX => only(44),
        Header::PN => only(20),
        Header::CL | Header::PL => only(12),
        // Rock Ridge 1.09 had another one.
        Header::SF => Some((12, 21)),
        Header::ZF => only(16),
        Header::SL | Header::NM => any(5),
        Header::ER => match entry.body {
            [id, description, source, _, ..] => {
                let strings = [id, description, source];
                only(strings.into_iter().fold(8, |sum, len| sum + usize::from(*len)))
            }
            _ => any(8),
        },
        Header::TF => match entry.tf() {
            Some(times) => only(5 + times.expected_len()),
            None => any(5),
        },
        _ => None,
    }
}

/// The numbers of an entry that are written twice.
fn numbers(entry: &Entry<'_>) -> Vec<(&'static str, Both32)> {
    let ce = entry
        .ce()
        .map(|ce| vec![("BLOCK LOCATION", ce.block), ("OFFSET", ce.offset), ("LENGTH", ce.length)]);
    let px = || {
        let (Px { mode, links, uid, gid }, serial) = entry.px()?;
        let mut numbers =
            vec![("st_mode", mode), ("st_nlink", links), ("st_uid", uid), ("st_gid", gid)];
        numbers.extend(serial.map(|PxSerial { serial }| ("st_ino", serial)));
        Some(numbers)
    };
    let pn = || entry.pn().map(|pn| vec![("dev_t high", pn.high), ("dev_t low", pn.low)]);
    let link = || entry.cl().or_else(|| entry.pl()).map(|link| vec![("location", link.block)]);
    let zf = || entry.zf().map(|zf| vec![("size", zf.size)]);
    ce.or_else(px).or_else(pn).or_else(link).or_else(zf).unwrap_or_default()
}

impl Judge<'_, '_> {
    /// Judges the areas that the entries of a record are in. True if some could not be read.
    pub(super) fn areas(&mut self, read: &SystemUse) -> bool {
        let block_size = self.rock.reader.block_size;
        if !read.continuations.is_empty() {
            self.rock.evaluated.all(&[
                &CONTINUATION,
                &CONTINUATION_BLOCK,
                &CONTINUATION_LOOP,
                &CONTINUATION_ONCE,
                &CONTINUATION_OVERLAP,
            ]);
        }
        self.rock.evaluated.all(&[&ENTRY_LENGTH]);
        for continuation in &read.continuations {
            let end = u64::from(continuation.ce.offset.get()) + continuation.length();
            if end > block_size {
                self.fault_of_ce(&CONTINUATION_BLOCK, continuation, || {
                    format!("the area ends at byte {end} of a block of {block_size}")
                });
                // A circle of these is told of once.
                break;
            }
        }
        for fault in &read.faults {
            match fault {
                Fault::Length { at, header, left } => {
                    let structure = header.signature.escape_ascii().to_string();
                    self.fault_at(&ENTRY_LENGTH, &structure, at.0, *left as u64, || {
                        format!("the entry has {} bytes, not 4 to {left}", header.len)
                    });
                }
                Fault::SecondContinuation(at) => {
                    self.fault_at(&CONTINUATION_ONCE, "CE", at.0, 28, || {
                        "another CE is in the same area".to_owned()
                    });
                }
                Fault::PastEnd(ce) => {
                    let end = self.rock.reader.region.len();
                    self.fault_of_ce(&CONTINUATION, ce, || {
                        let (start, len) = (ce.start(block_size), ce.length());
                        format!("{len} bytes at byte {start:#x} of a volume of {end:#x}")
                    });
                }
                // Such a length is judged with the block.
                Fault::TooLong(_) => {}
                Fault::TooMany(ce) => {
                    self.fault_of_ce(&CONTINUATION_LOOP, ce, || {
                        format!("the entries go on more than {MAX_CONTINUATIONS} times")
                    });
                }
                Fault::OverBudget(ce) => {
                    self.fault_of_ce(&CONTINUATION_OVERLAP, ce, || {
                        "the areas of all records are longer than the volume".to_owned()
                    });
                }
            }
        }
        read.faults.iter().any(|fault| !matches!(fault, Fault::SecondContinuation(_)))
    }

    fn fault_of_ce(
        &mut self,
        check: &'static image_model::Check,
        ce: &Continuation,
        message: impl FnOnce() -> String,
    ) {
        self.fault_at(check, "CE", ce.entry.0, 28, message);
    }

    /// Judges an entry, and notes what it says.
    pub(super) fn entry(&mut self, entry: &Entry<'_>, found: &mut Found) {
        if !is_known(entry) {
            return;
        }
        self.rock.evaluated.all(&[&ENTRY_SIZE, &ENTRY_REST, &ENTRY_VERSION, &REPEATED]);
        let versions = if entry.header.signature == Header::ZF { 1..=2 } else { 1..=1 };
        if !versions.contains(&entry.header.version) {
            let version = entry.header.version;
            self.fault(&ENTRY_VERSION, entry, || format!("version {version}, not 1"));
        }
        if let Some((least, most)) = sizes(entry) {
            let len = entry.len();
            if len < least {
                self.fault(&ENTRY_SIZE, entry, || {
                    format!("the entry has {len} bytes, not {least}")
                });
            } else if len > most {
                self.fault(&ENTRY_REST, entry, || format!("the entry has {len} bytes, not {most}"));
            }
        }
        for (field, number) in numbers(entry) {
            self.rock.evaluated.all(&[&BOTH_ENDIAN]);
            if !number.agrees() {
                let (little, big) = (number.little.get(), number.big.get());
                self.fault(&BOTH_ENDIAN, entry, || {
                    format!("{field} is {little} in one byte order and {big} in the other")
                });
            }
        }
        let kind = Rr::KINDS.iter().position(|kind| *kind == entry.header.signature);
        let repeated = kind.is_some_and(|bit| found.kinds & (1 << bit) != 0)
            || entry.header.signature == Header::RR && found.rr.is_some();
        if repeated && ONCE.contains(&entry.header.signature) {
            self.fault(&REPEATED, entry, || "the record has another one".to_owned());
        }
        found.note(entry, |fault| match fault {
            PieceFault::Name(fault) => self.fault(&NAME_PIECES, entry, || name_fault(fault)),
            PieceFault::Target(fault) => self.fault(&TARGET, entry, || target_fault(fault)),
        });
        if let Some(times) = entry.tf() {
            self.rock.evaluated.all(&[&TIME]);
            for (kind, _) in times.iter().filter(|(_, moment)| *moment == Moment::Invalid) {
                self.fault(&TIME, entry, || format!("the time of {} is no date", of_time(kind)));
            }
        }
        if let Some(zf) = entry.zf() {
            self.zisofs(entry, &zf);
        }
    }

    fn zisofs(&mut self, entry: &Entry<'_>, zf: &Zf) {
        self.rock.evaluated.all(&[&ZISOFS]);
        let Zf { algorithm, header_div_4, block_log2, .. } = *zf;
        let known = algorithm == Zf::DEFLATE && header_div_4 == 4;
        if !known || !(15..=17).contains(&block_log2) {
            self.fault(&ZISOFS, entry, || {
                format!(
                    "algorithm {}, a header of {} bytes, blocks of 2^{block_log2}, not pz, 16 and \
                     2^15 to 2^17",
                    algorithm.escape_ascii(),
                    u32::from(header_div_4) * 4,
                )
            });
        }
    }
}

fn of_time(kind: u8) -> &'static str {
    match kind {
        Tf::CREATION => "creation",
        Tf::MODIFY => "modification",
        Tf::ACCESS => "access",
        Tf::ATTRIBUTES => "a change of attributes",
        Tf::BACKUP => "backup",
        Tf::EXPIRATION => "expiration",
        _ => "effect",
    }
}

fn name_fault(fault: NameFault) -> String {
    match fault {
        NameFault::AfterEnd => "another piece of a name that ended".to_owned(),
        NameFault::Flags(flags) => format!("the flags {flags:#04x} are none of 0, 1, 2 and 4"),
        NameFault::Text(len) => format!("a name of {len} bytes, with a flag that it is . or .."),
    }
}

fn target_fault(fault: TargetFault) -> String {
    match fault {
        TargetFault::AfterEnd => "another piece of a target that ended".to_owned(),
        TargetFault::Flags(flags) => format!("the flags {flags:#04x} are neither 0 nor 1"),
        TargetFault::ComponentFlags(flags) => {
            format!("the flags {flags:#04x} of a component are none of 0, 1, 2, 4 and 8")
        }
        TargetFault::Text(flags) => {
            format!("a component has the flags {flags:#04x}, and text as well")
        }
        TargetFault::Cut(len) => format!("the end of the entry cuts a component of {len} bytes"),
    }
}

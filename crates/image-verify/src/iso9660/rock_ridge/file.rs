//! Files: their attributes, names and targets, once all entries of a record are read.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use image_formats::susp::{MAX_NAME, MAX_TARGET, Name, raw::Rr};

use super::{
    DEVICE, DUPLICATE, FILE_TYPE, Judge, KINDS, LINKS, LONG_NAME, MODE, NAME, NAME_LENGTH,
    NAME_PIECES, OWN_RECORD, PX, Posix, Role, SERIAL, SYMLINK, TARGET, TARGET_TEXT,
    attributes::{Found, is_name, is_target},
    is_associated,
};

/// The most bytes of a name that Linux shows all of.
const MAX_IN_LINUX: usize = 253;

/// The largest mode of Linux.
const MAX_MODE: u32 = 0o177_777;

/// The bits of [`Rr::KINDS`] without which Linux does not look for a target or a name.
const LOOKED_AT: u8 = 0x04 | 0x08;

impl Judge<'_, '_> {
    /// Judges what the entries of a record say together.
    pub(super) fn file(&mut self, found: &Found) {
        if let Some(flags) = found.rr {
            self.rock.evaluated.all(&[&KINDS]);
            let hidden = found.kinds & LOOKED_AT & !flags;
            if hidden != 0 {
                let kinds = Rr::KINDS.iter().enumerate().filter(|(bit, _)| hidden >> bit & 1 != 0);
                let kinds: Vec<_> =
                    kinds.map(|(_, kind)| kind.escape_ascii().to_string()).collect();
                self.fault_of_record(&KINDS, || {
                    format!("RR says {flags:#04x}, and there is {}", kinds.join(" and "))
                });
            }
        }
        if self.subject.role == Role::Child {
            self.name(found);
            self.target(found);
        }
        self.posix(found);
    }

    fn name(&mut self, found: &Found) {
        let name = &found.name;
        if name.pieces == 0 {
            return;
        }
        self.rock.evaluated.all(&[&NAME_PIECES, &NAME, &NAME_LENGTH, &LONG_NAME, &DUPLICATE]);
        if name.unfinished && !found.cut {
            self.fault_of_record(&NAME_PIECES, || {
                "the last piece of the name says that another one follows".to_owned()
            });
        }
        let Name { ref text, len, .. } = *name;
        let shown = || format!("\"{}\"", text.escape_ascii());
        let sound = is_name(text);
        if !sound {
            self.fault_of_record(&NAME, || format!("{}, which is no name of a file", shown()));
        }
        if len > MAX_NAME {
            self.fault_of_record(&NAME_LENGTH, || format!("the name has {len} bytes, not 255"));
        } else if len > MAX_IN_LINUX {
            self.fault_of_record(&LONG_NAME, || {
                format!("the name has {len} bytes, and Linux shows {MAX_IN_LINUX} at most")
            });
        }
        // Nobody sees the name of a directory that belongs elsewhere here.
        let shown_here = !found.attributes.relocated && !is_associated(&self.subject.record);
        let counts = sound && shown_here && !self.subject.continues;
        if counts && !self.is_first(text) {
            self.fault_of_record(&DUPLICATE, || {
                format!("another file of the directory is {}", shown())
            });
        }
    }

    /// True for a name that the directory did not have so far.
    fn is_first(&mut self, name: &[u8]) -> bool {
        let (directory, names) = &mut self.rock.siblings;
        if *directory != Some(self.subject.directory) {
            *directory = Some(self.subject.directory);
            names.clear();
        }
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        names.insert(hasher.finish())
    }

    fn target(&mut self, found: &Found) {
        let target = &found.target;
        let (is_symlink, has_target) = (found.is_symlink(), target.pieces > 0);
        if !is_symlink && !has_target {
            return;
        }
        self.rock.evaluated.all(&[&SYMLINK]);
        if !has_target && found.cut {
            return;
        }
        if !has_target {
            return self.fault_of_record(&SYMLINK, || "a symlink without SL".to_owned());
        }
        if !is_symlink {
            let mode = found.attributes.posix.map_or(0, |posix| posix.mode);
            self.fault_of_record(&SYMLINK, || format!("SL, and the mode is {mode:#o}"));
        }
        self.rock.evaluated.all(&[&TARGET, &TARGET_TEXT]);
        if (target.unfinished || target.open) && !found.cut {
            self.fault_of_record(&TARGET, || {
                "the last piece of the target says that another one follows".to_owned()
            });
        }
        if !is_target(target) {
            let len = target.len;
            self.fault_of_record(&TARGET_TEXT, || match target.text.contains(&0) {
                true => "the target has a NUL".to_owned(),
                false => format!("the target has {len} bytes, not 1 to {MAX_TARGET}"),
            });
        }
    }

    fn posix(&mut self, found: &Found) {
        let attributes = &found.attributes;
        let role = self.subject.role;
        let Some(posix) = attributes.posix else {
            // Of a directory that is elsewhere, its own record tells.
            if role != Role::Parent && attributes.child_link.is_none() && !found.cut {
                self.rock.evaluated.all(&[&PX]);
                self.fault_of_record(&PX, || "no PX".to_owned());
            }
            return;
        };
        if role == Role::Parent {
            return;
        }
        self.rock.evaluated.all(&[&PX, &FILE_TYPE, &MODE, &LINKS]);
        let Posix { mode, links, .. } = posix;
        let flag = self.subject.record.raw.is_directory();
        let file_type = posix.file_type();
        if mode > MAX_MODE {
            self.fault_of_record(&MODE, || format!("the mode is {mode:#o}"));
        }
        let known = [
            Posix::FIFO,
            Posix::CHARACTER,
            Posix::DIRECTORY,
            Posix::BLOCK,
            Posix::REGULAR,
            Posix::SYMLINK,
            Posix::SOCKET,
        ]
        .contains(&file_type);
        if !known {
            self.fault_of_record(&FILE_TYPE, || format!("no file has the mode {mode:#o}"));
        } else if attributes.child_link.is_none() && flag != (file_type == Posix::DIRECTORY) {
            self.fault_of_record(&FILE_TYPE, || {
                let is = if flag { "a directory's" } else { "no directory's" };
                format!("the mode is {mode:#o}, and the record is {is}")
            });
        }
        if links == 0 {
            self.fault_of_record(&LINKS, || "st_nlink is 0".to_owned());
        }
        if matches!(file_type, Posix::CHARACTER | Posix::BLOCK) {
            self.rock.evaluated.all(&[&DEVICE]);
            if !attributes.device && !found.cut {
                self.fault_of_record(&DEVICE, || "a device without PN".to_owned());
            }
        }
        if role == Role::Child && file_type == Posix::REGULAR && !self.subject.continues {
            self.serial(posix);
        }
        if flag {
            self.own_record(posix);
        }
    }

    /// The same number is the same file.
    fn serial(&mut self, posix: Posix) {
        let record = &self.subject.record;
        let len = record.raw.data_len.get();
        let counts = len > 0 && !is_associated(record);
        let Some(serial) = posix.serial.filter(|_| counts) else { return };
        self.rock.evaluated.all(&[&SERIAL]);
        let content = (self.subject.extent(), len);
        let first = *self.rock.serials.entry(serial).or_insert(content);
        if first != content {
            self.fault_of_record(&SERIAL, || {
                format!(
                    "the file has serial number {serial} and starts at block {}, and another one \
                     with the number does at block {}",
                    content.0, first.0
                )
            });
        }
    }

    /// The two records of a directory say the same.
    fn own_record(&mut self, posix: Posix) {
        let role = self.subject.role;
        let extent = self.subject.extent();
        let (first, other) = *self.rock.owners.entry(extent).or_insert((role, posix));
        if first == role {
            return;
        }
        self.rock.evaluated.all(&[&OWN_RECORD]);
        let told = |posix: Posix| (posix.mode, posix.uid, posix.gid);
        let (own, parents) = if role == Role::Own { (posix, other) } else { (other, posix) };
        if told(own) != told(parents) {
            let show = |Posix { mode, uid, gid, .. }: Posix| format!("{mode:#o} {uid}:{gid}");
            self.fault_of_record(&OWN_RECORD, || {
                format!(
                    "the directory is {} by its own record, and {} by the one in its parent",
                    show(own),
                    show(parents)
                )
            });
        }
    }
}

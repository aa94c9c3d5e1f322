//! Names that are in several entries. RRIP §4.1.4.

use super::{Entry, raw::Nm};

/// The most bytes of a name that are kept: no system has longer ones.
pub const MAX_NAME: usize = 255;

/// A name, piece for piece.
#[derive(Clone, Debug, Default)]
pub struct Name {
    /// The text, up to [`MAX_NAME`] bytes.
    pub text: Vec<u8>,
    /// All bytes of the text.
    pub len: usize,
    /// The last piece says that another one follows.
    pub unfinished: bool,
    /// How many entries it is in.
    pub pieces: u32,
    /// All flags of all pieces.
    pub flags: u8,
}

/// What is wrong with a piece of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameFault {
    /// The piece before said that it was the last one.
    AfterEnd,
    /// Flags that there are not, or two that exclude each other.
    Flags(u8),
    /// The text of a name that has none: flags say that it is `.` or `..`.
    Text(usize),
}

impl Name {
    /// Adds a piece where `entry` is one.
    pub fn piece(&mut self, entry: &Entry<'_>, mut fault: impl FnMut(NameFault)) {
        let Some((Nm { flags }, text)) = entry.nm() else { return };
        if self.pieces > 0 && !self.unfinished {
            fault(NameFault::AfterEnd);
        }
        let special = flags & (Nm::CURRENT | Nm::PARENT);
        let known = Nm::CONTINUE | Nm::CURRENT | Nm::PARENT;
        if flags & !known != 0 || flags.count_ones() > 1 {
            fault(NameFault::Flags(flags));
        } else if special != 0 && !text.is_empty() {
            fault(NameFault::Text(text.len()));
        }
        self.pieces = self.pieces.saturating_add(1);
        self.unfinished = flags & Nm::CONTINUE != 0;
        self.flags |= flags;
        // Linux skips such pieces.
        if special == 0 {
            let room = MAX_NAME.saturating_sub(self.text.len());
            self.text.extend(text.iter().take(room));
            self.len = self.len.saturating_add(text.len());
        }
    }
}

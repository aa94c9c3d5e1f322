//! Targets of symlinks. RRIP §4.1.3.

use super::{Entry, raw::Sl};

/// The most bytes of a target that are kept: Linux reads one less than a page.
pub const MAX_TARGET: usize = 4095;

/// A target, put together as Linux does.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// The text, up to [`MAX_TARGET`] bytes.
    pub text: Vec<u8>,
    /// All bytes of the text.
    pub len: usize,
    /// The last entry says that another one follows.
    pub unfinished: bool,
    /// The last component says that the next one is its rest.
    pub open: bool,
    /// How many entries it is in.
    pub pieces: u32,
    slash: bool,
}

/// What is wrong with a piece of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetFault {
    /// The piece before said that it was the last one.
    AfterEnd,
    /// Flags of the entry that there are not.
    Flags(u8),
    /// Flags of a component that there are not, or that exclude each other.
    ComponentFlags(u8),
    /// The text of a component that has none: flags say what it is.
    Text(u8),
    /// A component is longer than what is left of the entry.
    Cut(u8),
}

impl Target {
    /// Adds a piece where `entry` is one.
    pub fn piece(&mut self, entry: &Entry<'_>, mut fault: impl FnMut(TargetFault)) {
        let Some((Sl { flags }, mut rest)) = entry.sl() else { return };
        if self.pieces > 0 && !self.unfinished {
            fault(TargetFault::AfterEnd);
        }
        if flags & !Sl::CONTINUE != 0 {
            fault(TargetFault::Flags(flags));
        }
        self.pieces = self.pieces.saturating_add(1);
        self.unfinished = flags & Sl::CONTINUE != 0;
        while let Some(([flags, len], after)) = rest.split_first_chunk::<{ Sl::COMPONENT }>() {
            let Some((text, after)) = after.split_at_checked((*len).into()) else {
                return fault(TargetFault::Cut(*len));
            };
            self.component(*flags, text, &mut fault);
            rest = after;
        }
        if let [left] = rest {
            fault(TargetFault::Cut(*left));
        }
    }

    fn component(&mut self, flags: u8, text: &[u8], mut fault: impl FnMut(TargetFault)) {
        let special = flags & !Sl::CONTINUE;
        if std::mem::take(&mut self.slash) {
            self.push(b"/");
        }
        let word: &[u8] = match special {
            0 => text,
            Sl::CURRENT => b".",
            Sl::PARENT => b"..",
            // After others mkisofs means by it one more slash.
            Sl::ROOT => b"/",
            _ => b"",
        };
        let known = matches!(special, 0 | Sl::CURRENT | Sl::PARENT | Sl::ROOT);
        if !known || special != 0 && flags & Sl::CONTINUE != 0 {
            fault(TargetFault::ComponentFlags(flags));
        } else if special != 0 && !text.is_empty() {
            fault(TargetFault::Text(flags));
        }
        self.push(word);
        self.open = flags & Sl::CONTINUE != 0;
        self.slash = special != Sl::ROOT && !self.open;
    }

    fn push(&mut self, text: &[u8]) {
        let room = MAX_TARGET.saturating_sub(self.text.len());
        self.text.extend(text.iter().take(room));
        self.len = self.len.saturating_add(text.len());
    }
}

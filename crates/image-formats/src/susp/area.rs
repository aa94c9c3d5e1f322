//! System use areas, and where they go on. SUSP §4, §5.1.

use zerocopy::FromBytes as _;

use crate::{
    bytes::{ReadError, Region},
    units::ByteOffset,
};

use super::{
    Entry,
    raw::{Ce, Header},
};

/// The most bytes of a continuation area that are read. Linux reads none that leaves its block.
pub const MAX_AREA: u64 = 1 << 16;

/// The most continuation areas of a record that are read: Linux gives up at the 32nd.
pub const MAX_CONTINUATIONS: u32 = 31;

/// How many more bytes of continuation areas are read from a volume. Each byte of one belongs to
/// one record, so more than the volume has are only asked for where areas overlap.
#[derive(Clone, Copy, Debug)]
pub struct Budget(u64);

impl Budget {
    /// That of a volume.
    pub fn new(volume: &Region) -> Self {
        Self(volume.len().min(1 << 30))
    }

    /// So many bytes: for who reads a record again.
    pub fn of(bytes: u64) -> Self {
        Self(bytes)
    }
}

/// The entries of a record.
#[derive(Clone, Debug, Default)]
pub struct SystemUse {
    areas: Vec<Area>,
    /// Why they may not be all, in the order in which they were read.
    pub faults: Vec<Fault>,
    /// Where the areas go on.
    pub continuations: Vec<Continuation>,
}

#[derive(Clone, Debug)]
struct Area {
    at: ByteOffset,
    bytes: Vec<u8>,
}

/// A reason why entries are missing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// An entry is shorter than what every entry has, or longer than what is left of the area.
    Length {
        /// Where it is.
        at: ByteOffset,
        /// Its header.
        header: Header,
        /// Bytes that are left of the area.
        left: usize,
    },
    /// An area says twice where it goes on. The last one counts, as in Linux.
    SecondContinuation(ByteOffset),
    /// A continuation area leaves the volume.
    PastEnd(Continuation),
    /// A continuation area has more than [`MAX_AREA`] bytes.
    TooLong(Continuation),
    /// There are more than [`MAX_CONTINUATIONS`]: they may be in a circle.
    TooMany(Continuation),
    /// Those of all records together are longer than the volume: they overlap.
    OverBudget(Continuation),
}

/// Where an area goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Continuation {
    /// The entry that says so.
    pub entry: ByteOffset,
    /// What it says.
    pub ce: Ce,
}

impl Continuation {
    /// Bytes from the start of the volume, where blocks have `block_size` bytes.
    pub fn start(&self, block_size: u64) -> u64 {
        let block = u64::from(self.ce.block.get()).saturating_mul(block_size);
        block.saturating_add(self.ce.offset.get().into())
    }

    /// Bytes of the area.
    pub fn length(&self) -> u64 {
        self.ce.length.get().into()
    }
}

impl SystemUse {
    /// Collects the entries of a record: those in `area`, which is at the byte `at` of the volume
    /// that has blocks of `block_size` bytes, and those in the areas that it goes on in. An error
    /// is the machine's.
    pub fn read(
        volume: &Region,
        block_size: u64,
        area: &[u8],
        at: u64,
        budget: &mut Budget,
    ) -> Result<Self, ReadError> {
        let mut found = Self::default();
        let mut next = found.add(Area { at: volume.absolute(at), bytes: area.to_vec() });
        for count in 0_u32.. {
            let Some(continuation) = next else { break };
            found.continuations.push(continuation);
            let (start, len) = (continuation.start(block_size), continuation.length());
            let fault = if count >= MAX_CONTINUATIONS {
                Fault::TooMany(continuation)
            } else if len > MAX_AREA {
                Fault::TooLong(continuation)
            } else if len > budget.0 {
                Fault::OverBudget(continuation)
            } else {
                match volume.bytes("SUSP continuation area", start, len, MAX_AREA) {
                    Ok(bytes) => {
                        budget.0 = budget.0.saturating_sub(len);
                        next = found.add(Area { at: volume.absolute(start), bytes });
                        continue;
                    }
                    Err(error) if error.is_defect() => Fault::PastEnd(continuation),
                    Err(error) => return Err(error),
                }
            };
            found.faults.push(fault);
            break;
        }
        Ok(found)
    }

    /// Looks through an area for faults, and for where it goes on.
    fn add(&mut self, area: Area) -> Option<Continuation> {
        let mut next: Option<Continuation> = None;
        for entry in area.entries() {
            match entry {
                Ok(entry) => {
                    let Some(ce) = entry.ce() else { continue };
                    let this = Continuation { entry: entry.at, ce };
                    if next.replace(this).is_some() {
                        self.faults.push(Fault::SecondContinuation(entry.at));
                    }
                }
                Err(fault) => self.faults.push(fault),
            }
        }
        self.areas.push(area);
        next
    }

    /// All entries, in their order.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.areas.iter().flat_map(|area| area.entries().flatten())
    }
}

impl Area {
    /// The entries up to the one that ends them, to the first that cannot be, or to the end.
    fn entries(&self) -> impl Iterator<Item = Result<Entry<'_>, Fault>> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            // Fewer bytes than a header has are padding.
            let (header, _) = Header::read_from_prefix(rest).ok()?;
            let left = rest.len();
            let before = u64::try_from(self.bytes.len().saturating_sub(left)).unwrap_or(u64::MAX);
            let at = ByteOffset(self.at.0.saturating_add(before));
            let split = rest.split_at_checked(header.len.into());
            let Some((entry, after)) = split.filter(|(entry, _)| entry.len() >= Header::SIZE)
            else {
                rest = &[];
                return Some(Err(Fault::Length { at, header, left }));
            };
            rest = if header.signature == Header::ST { &[] } else { after };
            let body = entry.get(Header::SIZE..).unwrap_or_default();
            Some(Ok(Entry { at, header, body }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::susp::{Name, NameFault, Target, TargetFault};

    const BLOCK: u64 = 64;

    fn entry(signature: &[u8; 2], body: &[u8]) -> Vec<u8> {
        let len = u8::try_from(body.len() + 4).unwrap();
        [&signature[..], &[len, 1], body].concat()
    }

    fn both(number: u32) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        bytes[4..].copy_from_slice(&number.to_be_bytes());
        bytes
    }

    fn ce(block: u32, offset: u32, length: u32) -> Vec<u8> {
        entry(b"CE", &[both(block), both(offset), both(length)].concat())
    }

    /// Reads the area at the start of a volume of 4096 bytes, whose other blocks have these areas.
    fn read(area: &[u8], others: &[(usize, Vec<u8>)]) -> SystemUse {
        let mut bytes = vec![0; 4096];
        bytes[..area.len()].copy_from_slice(area);
        for (at, other) in others {
            bytes[*at..][..other.len()].copy_from_slice(other);
        }
        let volume = Region::from(bytes);
        SystemUse::read(&volume, BLOCK, area, 0, &mut Budget::new(&volume)).unwrap()
    }

    fn found(found: &SystemUse) -> Vec<(String, u64)> {
        found.entries().map(|entry| (entry.signature(), entry.at.0)).collect()
    }

    #[test]
    fn areas_go_on() {
        let area = [ce(4, 8, 15), entry(b"NM", b"\x01ab"), vec![0, 0, 0]].concat();
        let other = [entry(b"NM", b"\0c"), entry(b"ST", b""), vec![7; 5]].concat();
        let read = read(&area, &[(4 * 64 + 8, other)]);
        assert_eq!(read.faults, []);
        let list = [("CE", 0), ("NM", 28), ("NM", 264), ("ST", 270)];
        assert_eq!(found(&read), list.map(|(name, at)| (name.to_owned(), at)));
        let mut name = Name::default();
        read.entries().for_each(|entry| name.piece(&entry, |fault| panic!("{fault:?}")));
        assert_eq!((name.text.as_slice(), name.unfinished, name.pieces), (&b"abc"[..], false, 2));
    }

    #[test]
    fn areas_that_do_not_end() {
        let looping = read(&ce(0, 0, 28), &[]);
        assert!(matches!(looping.faults[..], [Fault::TooMany(at)] if at.length() == 28));
        assert_eq!(looping.continuations.len(), 32);
        let long = read(&ce(0, 0, u32::MAX), &[]);
        assert!(matches!(long.faults[..], [Fault::TooLong(_)]));
        let outside = read(&ce(u32::MAX, u32::MAX, 28), &[]);
        assert!(matches!(outside.faults[..], [Fault::PastEnd(at)] if at.entry.0 == 0));
        // Some of what is asked for again and again is more than the volume has.
        let large = read(&ce(0, 0, 4096), &[(28, entry(b"ST", b""))]);
        assert!(matches!(large.faults[..], [Fault::OverBudget(_)]), "{:?}", large.faults);
        let two = read(&[ce(2, 0, 4), ce(3, 0, 4)].concat(), &[(192, entry(b"XX", b""))]);
        assert!(matches!(two.faults[..], [Fault::SecondContinuation(ByteOffset(28))]));
        assert_eq!(found(&two).last(), Some(&("XX".to_owned(), 192)));
    }

    #[test]
    fn entries_that_cannot_be() {
        for (header, left) in [([b'N', b'M', 3, 1], 4), ([b'N', b'M', 0, 1], 9), ([0; 4], 4)] {
            let mut area = entry(b"RE", b"");
            area.extend(header);
            area.resize(4 + left, 0);
            let read = read(&area, &[]);
            let Fault::Length { at, header: found, left: rest } = read.faults[0] else { panic!() };
            assert_eq!((at.0, found.len, rest), (4, header[2], left));
        }
        let read = read(&[b'N', b'M', 9, 1, 0, b'a', b'b', b'c'], &[]);
        assert!(matches!(read.faults[..], [Fault::Length { left: 8, .. }]));
    }

    fn target(entries: &[Vec<u8>]) -> (String, Vec<TargetFault>) {
        let (mut target, mut faults) = (Target::default(), Vec::new());
        let read = read(&entries.concat(), &[]);
        read.entries().for_each(|entry| target.piece(&entry, |fault| faults.push(fault)));
        assert_eq!(target.len, target.text.len());
        (String::from_utf8(target.text).unwrap(), faults)
    }

    #[test]
    fn targets_are_put_together() {
        let text = |list: &[Vec<u8>]| {
            let (text, faults) = target(list);
            assert_eq!(faults, []);
            text
        };
        assert_eq!(text(&[entry(b"SL", b"\0\x08\0\0\x01a\x04\0\x02\0\0\x02bc")]), "/a/.././bc");
        assert_eq!(text(&[entry(b"SL", b"\x01\0\x01a"), entry(b"SL", b"\0\0\x01b")]), "a/b");
        assert_eq!(text(&[entry(b"SL", b"\x01\x01\x01a"), entry(b"SL", b"\0\0\x01b")]), "ab");
        assert_eq!(text(&[entry(b"SL", b"\0\x08\0")]), "/");
        assert_eq!(text(&[entry(b"SL", b"\0\0\x01a\0\0")]), "a/");
        assert_eq!(text(&[entry(b"SL", b"\0\x02\0\x08\0\x08\0\0\x01a")]), ".///a");
    }

    #[test]
    fn targets_with_faults() {
        let faults = |body: &[u8]| target(&[entry(b"SL", body)]).1;
        assert_eq!(faults(b"\0\0\x02a"), [TargetFault::Cut(2)]);
        assert_eq!(faults(b"\0\0\x01ab"), [TargetFault::Cut(b'b')]);
        assert_eq!(faults(b"\x02\0\x01a"), [TargetFault::Flags(2)]);
        assert_eq!(faults(b"\0\x10\0"), [TargetFault::ComponentFlags(0x10)]);
        assert_eq!(faults(b"\0\x05\0"), [TargetFault::ComponentFlags(5)]);
        assert_eq!(faults(b"\0\x04\x01a"), [TargetFault::Text(4)]);
        let twice = [entry(b"SL", b"\0\0\x01a"), entry(b"SL", b"\0\0\x01b")];
        assert_eq!(target(&twice).1, [TargetFault::AfterEnd]);
    }

    #[test]
    fn names_with_faults() {
        let name = |list: &[Vec<u8>]| {
            let (mut name, mut faults) = (Name::default(), Vec::new());
            let read = read(&list.concat(), &[]);
            read.entries().for_each(|entry| name.piece(&entry, |fault| faults.push(fault)));
            (String::from_utf8(name.text).unwrap(), faults)
        };
        let of = |list: &[&[u8]]| name(&list.iter().map(|e| entry(b"NM", e)).collect::<Vec<_>>());
        assert_eq!(of(&[b"\0a", b"\0b"]), ("ab".into(), vec![NameFault::AfterEnd]));
        assert_eq!(of(&[b"\x20a"]), ("a".into(), vec![NameFault::Flags(0x20)]));
        assert_eq!(of(&[b"\x02a"]), (String::new(), vec![NameFault::Text(1)]));
        assert_eq!(of(&[b"\x06"]), (String::new(), vec![NameFault::Flags(6)]));
        assert_eq!(of(&[b"\x02"]), (String::new(), vec![]));
        let long = vec![b'x'; 200];
        let pieces: Vec<_> = [1, 1, 0].iter().map(|f| [&[*f][..], &long].concat()).collect();
        let mut name = Name::default();
        let read = read(&pieces.iter().flat_map(|p| entry(b"NM", p)).collect::<Vec<_>>(), &[]);
        read.entries().for_each(|entry| name.piece(&entry, |fault| panic!("{fault:?}")));
        assert_eq!((name.text.len(), name.len), (255, 600));
    }
}

//! Flattened device trees. Devicetree Specification v0.4 §5.

pub mod raw;

use zerocopy::FromBytes as _;

use crate::{
    bytes::{ReadError, Region},
    units::ByteOffset,
};

/// The largest device tree that is read. Those of boards have up to 100 KiB.
pub const MAX_BYTES: u64 = 4 << 20;

/// The header, read and not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The bytes.
    pub raw: raw::Header,
}

/// What a walk over the structure block found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Structure {
    /// Where and why the walk ended before `FDT_END`; `None` where it came to its end.
    pub broken: Option<(ByteOffset, &'static str)>,
    /// How many nodes there are.
    pub nodes: u64,
    /// `compatible` of the root: the board first, then what it is built of.
    pub compatible: Vec<Vec<u8>>,
    /// `model` of the root: the name for people.
    pub model: Option<Vec<u8>>,
}

impl Header {
    /// The header in the first bytes of a file; `None` where there are too few of them.
    pub fn from_prefix(bytes: &[u8]) -> Option<Self> {
        raw::Header::read_from_prefix(bytes).ok().map(|(raw, _)| Self { raw })
    }

    /// True if the magic says that this is a flattened device tree.
    pub fn has_magic(&self) -> bool {
        self.raw.magic.get() == raw::Header::MAGIC
    }

    /// Walks the structure block in `file`, which starts with this header.
    pub fn structure(&self, file: &Region) -> Result<Structure, ReadError> {
        let raw = &self.raw;
        let (at, len) = (raw.off_dt_struct.get(), raw.size_dt_struct.get());
        let block = file.bytes("FDT structure block", at.into(), len.into(), MAX_BYTES)?;
        let (strings_at, len) = (raw.off_dt_strings.get(), raw.size_dt_strings.get());
        let strings = file.bytes("FDT strings block", strings_at.into(), len.into(), MAX_BYTES)?;
        Ok(Walk { block: &block, at: 0 }.run(&strings, file.absolute(at.into())))
    }
}

struct Walk<'a> {
    block: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    /// Bounded: every token takes four bytes of the block.
    fn run(mut self, strings: &[u8], start: ByteOffset) -> Structure {
        let mut found = Structure::default();
        let mut depth = 0_u64;
        loop {
            let before = self.at;
            match self.token(strings, &mut depth, &mut found) {
                Ok(true) => return found,
                Ok(false) => {}
                Err(why) => {
                    let at = u64::try_from(before).unwrap_or(u64::MAX);
                    found.broken = Some((ByteOffset(start.0.saturating_add(at)), why));
                    return found;
                }
            }
        }
    }

    /// True at the end.
    fn token(
        &mut self,
        strings: &[u8],
        depth: &mut u64,
        found: &mut Structure,
    ) -> Result<bool, &'static str> {
        match self.word().ok_or("no FDT_END")? {
            raw::FDT_BEGIN_NODE => {
                if *depth == 0 && found.nodes > 0 {
                    return Err("another root");
                }
                let rest = self.block.get(self.at..).unwrap_or_default();
                let len = rest.iter().position(|byte| *byte == 0).ok_or("a name without an end")?;
                self.take(len.saturating_add(1)).ok_or("a name without an end")?;
                *depth = depth.saturating_add(1);
                found.nodes = found.nodes.saturating_add(1);
            }
            raw::FDT_END_NODE => *depth = depth.checked_sub(1).ok_or("an end without its node")?,
            raw::FDT_PROP => {
                let len = self.word().ok_or("a property without an end")?;
                let name = self.word().ok_or("a property without an end")?;
                let len = usize::try_from(len).map_err(|_| "a property without an end")?;
                let value = self.take(len).ok_or("a property without an end")?;
                let name = usize::try_from(name).ok().and_then(|at| strings.get(at..));
                let name = name.ok_or("a name outside of the strings block")?;
                if *depth == 0 {
                    return Err("a property outside of all nodes");
                }
                if *depth == 1 {
                    root_property(name, value, found);
                }
            }
            raw::FDT_NOP => {}
            raw::FDT_END if *depth == 0 && found.nodes > 0 => return Ok(true),
            raw::FDT_END => return Err("FDT_END within a node"),
            _ => return Err("an unknown token"),
        }
        Ok(false)
    }

    fn word(&mut self) -> Option<u32> {
        self.take(4)?.first_chunk().map(|word| u32::from_be_bytes(*word))
    }

    /// The next `len` bytes; what follows is aligned to four.
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(len)?;
        let bytes = self.block.get(self.at..end)?;
        self.at = end.checked_next_multiple_of(4)?;
        Some(bytes)
    }
}

fn root_property(name: &[u8], value: &[u8], found: &mut Structure) {
    let text = |bytes: &[u8]| bytes.iter().copied().take_while(|byte| *byte != 0).collect();
    if name.starts_with(b"compatible\0") {
        let strings = value.split(|byte| *byte == 0).filter(|s| !s.is_empty());
        found.compatible = strings.map(<[u8]>::to_vec).collect();
    } else if name.starts_with(b"model\0") {
        found.model = Some(text(value));
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::IntoBytes as _;

    use super::*;

    fn padded(text: &[u8]) -> Vec<u8> {
        let mut bytes = text.to_vec();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn tree() -> Vec<u8> {
        let mut block = Vec::new();
        block.extend(raw::FDT_BEGIN_NODE.to_be_bytes());
        block.extend([0; 4]);
        for (name, value) in [(0_u32, &b"a,b\0brcm,c\0"[..]), (11, b"Board\0")] {
            block.extend(raw::FDT_PROP.to_be_bytes());
            block.extend((value.len() as u32).to_be_bytes());
            block.extend(name.to_be_bytes());
            block.extend(padded(value));
        }
        block.extend(raw::FDT_BEGIN_NODE.to_be_bytes());
        block.extend(padded(b"cpus\0"));
        for token in [raw::FDT_NOP, raw::FDT_END_NODE, raw::FDT_END_NODE, raw::FDT_END] {
            block.extend(token.to_be_bytes());
        }
        let strings = b"compatible\0model\0";
        let mut header = raw::Header::read_from_bytes(&[0; raw::Header::SIZE]).unwrap();
        header.magic.set(raw::Header::MAGIC);
        header.off_dt_struct.set(40);
        header.size_dt_struct.set(block.len() as u32);
        header.off_dt_strings.set(40 + block.len() as u32);
        header.size_dt_strings.set(strings.len() as u32);
        header.totalsize.set((40 + block.len() + strings.len()) as u32);
        [header.as_bytes(), &block, strings].concat()
    }

    #[test]
    fn the_root_is_described() {
        let bytes = tree();
        let header = Header::from_prefix(&bytes).unwrap();
        assert!(header.has_magic());
        let found = header.structure(&Region::from(bytes)).unwrap();
        assert_eq!((found.broken, found.nodes), (None, 2));
        assert_eq!(found.compatible, [b"a,b".to_vec(), b"brcm,c".to_vec()]);
        assert_eq!(found.model.unwrap(), b"Board");
    }

    /// Every cut gives an error or a broken structure, every flipped bit no panic.
    #[test]
    fn damage_is_an_error_or_a_fact() {
        let whole = tree();
        for len in raw::Header::SIZE..whole.len() {
            let bytes = whole[..len].to_vec();
            let header = Header::from_prefix(&bytes).unwrap();
            assert!(header.structure(&Region::from(bytes)).unwrap_err().is_defect());
        }
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let header = Header::from_prefix(&bytes).unwrap();
            let _ = header.structure(&Region::from(bytes));
        }
    }
}

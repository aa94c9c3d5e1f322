//! cpio archives in the "newc" format, as Linux takes them for an initramfs. Linux,
//! Documentation/driver-api/early-userspace/buffer-format.rst.

pub mod raw;

use std::io::{self, Read};

use zerocopy::FromBytes as _;

/// Linux refuses a longer name: `PATH_MAX`, with its NUL.
const MAX_NAME_BYTES: u64 = 4097;

/// The name of the last member.
const TRAILER: &[u8] = b"TRAILER!!!";

/// A member of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Offset of its header in the stream that the reader was given.
    pub offset: u64,
    /// `c_ino`.
    pub inode: u32,
    /// `c_mode`: type and permission bits, as `stat` has them.
    pub mode: u32,
    /// `c_nlink`.
    pub links: u32,
    /// `c_filesize`: of a hard link 0, but for its last name.
    pub size: u32,
    /// `c_name`, without its NUL.
    pub name: Vec<u8>,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A member; its content can be [read](Reader).
    Member(Member),
    /// The trailer: the archive is complete.
    Trailer,
    /// The stream does not go on as an archive does: from this byte of it on, and why.
    Broken(u64, &'static str),
}

/// Reads one archive out of a stream, and nothing after its trailer. An error is the stream's.
pub struct Reader<R> {
    source: R,
    /// Bytes taken from the source.
    position: u64,
    /// What is left of the content of the current member.
    content: u64,
}

impl<R: Read> Reader<R> {
    /// Starts at the first byte of an archive.
    pub fn new(source: R) -> Self {
        Self { source, position: 0, content: 0 }
    }

    /// How many bytes were taken from the source.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Skips what is left of the current member, and reads the header of the next. Call it no more
    /// after anything but a member.
    pub fn next_item(&mut self) -> io::Result<Item> {
        io::copy(&mut self.by_ref(), &mut io::sink())?;
        if self.content > 0 {
            return Ok(Item::Broken(self.position, "the archive ends within a file"));
        }
        if !self.align()? {
            return Ok(Item::Broken(self.position, "the archive ends within a file"));
        }
        let offset = self.position;
        let mut bytes = [0; raw::Header::SIZE];
        let len = self.fill(&mut bytes)?;
        if len == 0 {
            return Ok(Item::Broken(offset, "the archive ends without a trailer"));
        }
        let header = raw::Header::read_from_bytes(&bytes).ok().filter(|_| len == bytes.len());
        let Some(header) = header else {
            return Ok(Item::Broken(offset, "the archive ends within a header"));
        };
        if ![raw::Header::MAGIC, raw::Header::MAGIC_CRC].contains(&header.c_magic) {
            return Ok(Item::Broken(offset, "no header of a member"));
        }
        let fields = [header.c_ino, header.c_mode, header.c_nlink, header.c_filesize];
        let [Some(inode), Some(mode), Some(links), Some(size)] = fields.map(number) else {
            return Ok(Item::Broken(offset, "a number that is not hexadecimal"));
        };
        let name_len = number(header.c_namesize).map(u64::from);
        let Some(name_len) = name_len.filter(|len| (1..=MAX_NAME_BYTES).contains(len)) else {
            return Ok(Item::Broken(offset, "a name that is empty or longer than 4096 bytes"));
        };
        let mut name = Vec::new();
        let read = self.source.by_ref().take(name_len).read_to_end(&mut name)?;
        let read = u64::try_from(read).unwrap_or(u64::MAX);
        self.position = self.position.saturating_add(read);
        if read < name_len || !self.align()? {
            return Ok(Item::Broken(offset, "the archive ends within a name"));
        }
        name.truncate(name.iter().take_while(|byte| **byte != 0).count());
        if name == TRAILER {
            return Ok(Item::Trailer);
        }
        self.content = size.into();
        Ok(Item::Member(Member { offset, inode, mode, links, size, name }))
    }

    /// Skips to a multiple of four; false where the stream ends before it.
    fn align(&mut self) -> io::Result<bool> {
        let target = self.position.next_multiple_of(4);
        let mut pad = [0; 3];
        let len = usize::try_from(target.saturating_sub(self.position)).unwrap_or(0);
        let pad = pad.get_mut(..len).unwrap_or_default();
        let read = self.fill(pad)?;
        Ok(read == len)
    }

    /// Fills `buf` as far as the stream goes.
    fn fill(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0_usize;
        while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.source.read(rest) {
                Ok(0) => break,
                Ok(len) => filled = filled.saturating_add(len),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.position = self.position.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
        Ok(filled)
    }
}

/// The content of the current member.
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = usize::try_from(self.content).unwrap_or(usize::MAX).min(buf.len());
        let read = self.source.read(buf.get_mut(..len).unwrap_or_default())?;
        let taken = u64::try_from(read).unwrap_or(u64::MAX);
        self.content = self.content.saturating_sub(taken);
        self.position = self.position.saturating_add(taken);
        Ok(read)
    }
}

/// A field: eight hexadecimal digits.
fn number(field: [u8; 8]) -> Option<u32> {
    let text = field.iter().all(u8::is_ascii_hexdigit).then_some(field)?;
    u32::from_str_radix(str::from_utf8(&text).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, mode: u32, content: &str) -> Vec<u8> {
        let mut bytes = format!(
            "070701{:08x}{mode:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}",
            1, 0, 0, 1, 0, content.len(), 0, 0, 0, 0, name.len() + 1, 0
        )
        .into_bytes();
        bytes.extend(name.as_bytes());
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(content.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn archive() -> Vec<u8> {
        let mut bytes = member("bin", 0o040755, "");
        bytes.extend(member("init", 0o100755, "#!/x\n"));
        bytes.extend(member("TRAILER!!!", 0, ""));
        bytes
    }

    /// Names and contents of the files, how it ended, and where.
    type Listing = (Vec<(Vec<u8>, Vec<u8>)>, Item, u64);

    fn read(bytes: &[u8]) -> Listing {
        let mut reader = Reader::new(bytes);
        let mut members = Vec::new();
        loop {
            match reader.next_item().unwrap() {
                Item::Member(member) => {
                    let mut content = Vec::new();
                    reader.read_to_end(&mut content).unwrap();
                    members.push((member.name, content));
                }
                end => return (members, end, reader.position()),
            }
        }
    }

    #[test]
    fn members_are_read_up_to_the_trailer() {
        let mut bytes = archive();
        let len = bytes.len() as u64;
        bytes.extend(b"more");
        let (members, end, position) = read(&bytes);
        let expected = [(b"bin".to_vec(), Vec::new()), (b"init".to_vec(), b"#!/x\n".to_vec())];
        assert_eq!(members, expected);
        assert_eq!((end, position), (Item::Trailer, len));
    }

    #[test]
    fn damage_is_told() {
        let whole = archive();
        for len in 0..whole.len() - 1 {
            let (.., end, _) = read(&whole[..len]);
            assert!(matches!(end, Item::Broken(..)), "{len}: {end:?}");
        }
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            read(&bytes);
        }
        let long = String::from_utf8(archive()).unwrap().replacen("00000004", "7fffffff", 1);
        assert!(matches!(read(long.as_bytes()).1, Item::Broken(0, _)));
    }
}

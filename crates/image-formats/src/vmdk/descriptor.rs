//! The descriptor of a disk: lines of `key=value`, and what the disk is made of.

/// What a descriptor says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// Keys and values, without quotes.
    pub entries: Vec<(String, String)>,
    /// `# Extent description`: the files that the disk is made of.
    pub extents: Vec<Extent>,
}

/// `RW 20480 SPARSE "nixos.vmdk"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// `RW`, `RDONLY` or `NOACCESS`.
    pub access: String,
    /// Length in sectors, as it stands there.
    pub sectors: String,
    /// `SPARSE`, `FLAT`, ….
    pub kind: String,
    /// Name of the file, without quotes.
    pub file: String,
}

impl Descriptor {
    /// Reads a descriptor, which ends with the first zero. What is no line of it is passed over.
    pub fn parse(bytes: &[u8]) -> Self {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let text = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
        let mut descriptor = Self::default();
        for line in text.lines().map(str::trim) {
            if line.starts_with('#') {
                continue;
            }
            if let Some(extent) = extent(line) {
                descriptor.extents.push(extent);
            } else if let Some((key, value)) = line.split_once('=') {
                let value = value.trim().trim_matches('"').to_owned();
                descriptor.entries.push((key.trim().to_owned(), value));
            }
        }
        descriptor
    }

    /// The value of a key, whose case does not count.
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.entries.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
        found.map(|(_, value)| value.as_str())
    }
}

fn extent(line: &str) -> Option<Extent> {
    let mut words = line.split_whitespace();
    let access = words.next().filter(|word| ["RW", "RDONLY", "NOACCESS"].contains(word))?;
    let (sectors, kind) = (words.next()?, words.next()?);
    let file = line.split('"').nth(1).unwrap_or_default();
    Some(Extent {
        access: access.to_owned(),
        sectors: sectors.to_owned(),
        kind: kind.to_owned(),
        file: file.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_is_read() {
        let text =
            b"# Disk DescriptorFile\nversion=1\nCID=fffffffe\ncreateType=\"streamOptimized\"\n\
            RW 20480 SPARSE \"a b.vmdk\"\nddb.adapterType = \"ide\"\n\0junk=1";
        let found = Descriptor::parse(text);
        assert_eq!(found.get("createtype"), Some("streamOptimized"));
        assert_eq!(found.get("ddb.adapterType"), Some("ide"));
        assert_eq!(found.get("junk"), None);
        let [extent] = &found.extents[..] else { panic!("{found:?}") };
        assert_eq!(
            (&*extent.sectors, &*extent.kind, &*extent.file),
            ("20480", "SPARSE", "a b.vmdk")
        );
        assert_eq!(
            Descriptor::parse(b"\xff=\nRW\nRW 1"),
            Descriptor {
                entries: vec![("\u{fffd}".to_owned(), String::new())],
                extents: Vec::new(),
            }
        );
    }
}

//! Header extensions: what follows the header in the first cluster.

use zerocopy::FromBytes as _;

use super::raw::ExtensionHeader;

/// What an extension is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtensionType {
    /// 0: no more follow.
    End,
    /// 0xe2792aca: the format of the backing file, in a word.
    BackingFormat,
    /// 0x6803f857: names of features.
    FeatureNames,
    /// 0x23852875: where the bitmaps are.
    Bitmaps,
    /// 0x0537be77: where the header of LUKS is.
    Encryption,
    /// 0x44415441: the name of the external data file.
    ExternalData,
    /// Any other, which may be ignored.
    Other(u32),
}

impl From<u32> for ExtensionType {
    fn from(value: u32) -> Self {
        match value {
            0 => Self::End,
            0xe279_2aca => Self::BackingFormat,
            0x6803_f857 => Self::FeatureNames,
            0x2385_2875 => Self::Bitmaps,
            0x0537_be77 => Self::Encryption,
            0x4441_5441 => Self::ExternalData,
            other => Self::Other(other),
        }
    }
}

/// A header extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// Where it begins, in bytes from the start of the area.
    pub at: u64,
    /// What it is.
    pub kind: ExtensionType,
    /// What is in it, without the padding.
    pub data: &'a [u8],
}

/// Where the list of extensions breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtensionFault {
    /// The extension that ends beyond the area, in bytes from its start.
    pub at: u64,
}

/// The extensions in the bytes between the header and the end of the first cluster, or the name of
/// the backing file. The one that says that no more follow is not among them.
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    area: &'a [u8],
    at: usize,
}

impl<'a> Extensions<'a> {
    /// Those in this area.
    pub fn new(area: &'a [u8]) -> Self {
        Self { area, at: 0 }
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Result<Extension<'a>, ExtensionFault>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.area.get(self.at..).filter(|rest| !rest.is_empty())?;
        let start = self.at;
        let at = u64::try_from(start).unwrap_or(u64::MAX);
        let end = self.area.len();
        // Whatever follows, this is the last one.
        self.at = end;
        let Ok((header, rest)) = ExtensionHeader::read_from_prefix(rest) else {
            return Some(Err(ExtensionFault { at }));
        };
        let kind = ExtensionType::from(header.extension_type.get());
        let len = usize::try_from(header.length.get()).unwrap_or(usize::MAX);
        let Some(data) = rest.get(..len) else { return Some(Err(ExtensionFault { at })) };
        if kind == ExtensionType::End {
            return None;
        }
        let whole = ExtensionHeader::SIZE.saturating_add(len.saturating_add(7) & !7);
        self.at = start.saturating_add(whole).min(end);
        Some(Ok(Extension { at, kind, data }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_end_where_they_say() {
        let extension = |kind: u32, len: u32, data: &[u8]| {
            [&kind.to_be_bytes(), &len.to_be_bytes(), data].concat()
        };
        let name = extension(0xe279_2aca, 3, b"raw\0\0\0\0\0");
        let area = [&name, &name, &extension(0, 4, b"rest")[..]].concat();
        let read: Vec<_> = Extensions::new(&area).map(Result::unwrap).collect();
        assert_eq!(read.len(), 2);
        assert_eq!(read[1].at, 16);
        assert_eq!((read[0].kind, read[0].data), (ExtensionType::BackingFormat, &b"raw"[..]));
        // A type alone, a length beyond the area.
        fn fault(area: &[u8]) -> Option<Result<Extension<'_>, ExtensionFault>> {
            Extensions::new(area).last()
        }
        assert_eq!(fault(&name[..4]), Some(Err(ExtensionFault { at: 0 })));
        for kind in [0, 1] {
            let area = extension(kind, 9, &[0; 8]);
            assert_eq!(fault(&area), Some(Err(ExtensionFault { at: 0 })));
        }
        // The padding of the last one may be missing.
        assert_eq!(Extensions::new(&name[..11]).count(), 1);
        assert_eq!(Extensions::new(&extension(1, u32::MAX, &[])).count(), 1);
    }
}

//! The header, and the extensions that follow it.

use image_formats::{
    bytes::{ReadError, Region},
    qcow2::{
        ClusterSize, CompressionType, Extension, ExtensionType, Extensions, RefcountOrder,
        raw::{AdditionalFields, BitmapsExtension, EncryptionPointer, Header, HeaderV3},
    },
};
use image_model::Location;
use zerocopy::{FromBytes as _, FromZeros as _};

use super::{
    AUTOCLEAR, BACKING_FILE, CLUSTER_BITS, COMPRESSION_TYPE, CORRUPT, DIRTY, Disk, ENCRYPTION,
    EXTENSIONS, EXTERNAL_DATA, FEATURES, HEADER, HEADER_LENGTH, Judge, REFCOUNT_ORDER, SIZE,
    VERSION,
    claims::{Claims, Role},
};

/// The longest name of a backing file.
const MAX_NAME: u32 = 1023;

/// Version 3, as much of it as there is.
struct Fields {
    v3: HeaderV3,
    additional: AdditionalFields,
}

impl Judge<'_> {
    /// The header; `None` if nothing can be followed.
    pub(super) fn header(&mut self) -> Result<Option<Disk>, ReadError> {
        let len = self.file.len();
        let whole = self.at("qcow2 header", 0, len.min(Header::SIZE as u64));
        let short = || format!("{len} bytes, which is no header");
        let header = match Header::read(self.file) {
            Ok(header) => header,
            Err(error) if error.is_defect() => {
                self.fault(&HEADER, whole, short);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let magic = header.magic.escape_ascii();
        if !self.out.expect(&HEADER, header.magic == Header::MAGIC, || {
            (whole.clone(), format!("it begins with \"{magic}\", not \"QFI\\xfb\""))
        }) {
            return Ok(None);
        }
        let version = header.version.get();
        let at = self.at("qcow2 header", 4, 4);
        if !self
            .out
            .expect(&VERSION, matches!(version, 2 | 3), || (at, format!("{version}, not 2 or 3")))
        {
            return Ok(None);
        }
        let bits = header.cluster_bits.get();
        let cluster = ClusterSize::new(bits);
        let at = self.at("qcow2 header", 20, 4);
        self.out.expect(&CLUSTER_BITS, cluster.is_some(), || {
            (at, format!("2^{bits} bytes, not 2^9 to 2^21"))
        });
        let Some(fields) = self.version_3(version)? else {
            self.fault(&HEADER, whole, short);
            return Ok(None);
        };
        let Some(cluster) = cluster else { return Ok(None) };
        let Some(header_length) = self.header_length(version, &fields, cluster) else {
            return Ok(None);
        };
        let size = header.size.get();
        let at = self.at("qcow2 header", 24, 8);
        self.out.expect(&SIZE, size != 0 && size.is_multiple_of(512), || {
            (at, format!("{size} bytes, not some sectors of 512"))
        });
        let mut disk = Disk {
            header,
            version,
            cluster,
            refcount_order: RefcountOrder::VERSION_2,
            compression: Some(CompressionType::Deflate),
            extended: false,
            external: false,
            header_length,
            bitmaps: false,
            file_len: len,
        };
        self.backing_file(&disk)?;
        let method = header.crypt_method.get();
        let at = self.at("qcow2 header", 32, 4);
        self.out.expect(&ENCRYPTION, method == 0, || {
            let name = match method {
                1 => "AES",
                2 => "LUKS",
                _ => "nothing that is known",
            };
            (at, format!("{method}, encrypted with {name}"))
        });
        Ok(self.features(&mut disk, &fields).then_some(disk))
    }

    /// What version 3 adds, or what version 2 means by not having it; `None` if the file is too
    /// short.
    fn version_3(&self, version: u32) -> Result<Option<Fields>, ReadError> {
        let mut fields =
            Fields { v3: HeaderV3::new_zeroed(), additional: AdditionalFields::new_zeroed() };
        if version == 2 {
            fields.v3.refcount_order.set(4);
            fields.v3.header_length.set(Header::SIZE as u32);
            return Ok(Some(fields));
        }
        let read = HeaderV3::read(self.file).and_then(|v3| {
            // A field beyond the length is not there.
            let has_more = v3.header_length.get() > 104;
            let additional = has_more.then(|| AdditionalFields::read(self.file)).transpose()?;
            Ok(Fields { v3, additional: additional.unwrap_or(fields.additional) })
        });
        match read {
            Ok(fields) => Ok(Some(fields)),
            Err(error) if error.is_defect() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn header_length(
        &mut self,
        version: u32,
        fields: &Fields,
        cluster: ClusterSize,
    ) -> Option<u64> {
        let length = u64::from(fields.v3.header_length.get());
        let least = if version == 2 { 72 } else { 104 };
        let fits = length >= least && length.is_multiple_of(8) && length <= cluster.bytes();
        let at = self.at("qcow2 header", 100, 4);
        self.out.expect(&HEADER_LENGTH, fits, || {
            let most = cluster.bytes();
            (at, format!("{length}, not a multiple of 8 from {least} to {most}"))
        });
        (length >= least && length <= cluster.bytes()).then_some(length)
    }

    fn backing_file(&mut self, disk: &Disk) -> Result<(), ReadError> {
        let (place, len) =
            (disk.header.backing_file_offset.get(), disk.header.backing_file_size.get());
        let at = self.at("qcow2 header", 8, 12);
        let is_whole = place == 0;
        let name = if is_whole || len > MAX_NAME {
            Vec::new()
        } else {
            match self.file.bytes("name of a backing file", place, len.into(), MAX_NAME.into()) {
                Ok(name) => name,
                Err(error) if error.is_defect() => Vec::new(),
                Err(error) => return Err(error),
            }
        };
        self.out.expect(&BACKING_FILE, is_whole, || {
            (at, format!("only what is different from {:?}", crate::tree::display(&name)))
        });
        Ok(())
    }

    /// True if the tables can be read.
    fn features(&mut self, disk: &mut Disk, fields: &Fields) -> bool {
        let v3 = &fields.v3;
        let incompatible = v3.incompatible_features.get();
        let has = |bit: u64| incompatible & bit != 0;
        let at = self.at("qcow2 header", 72, 8);
        let out = &mut *self.out;
        out.expect(&DIRTY, !has(HeaderV3::DIRTY), || (at.clone(), "it was not closed".to_owned()));
        out.expect(&CORRUPT, !has(HeaderV3::CORRUPT), || {
            (at.clone(), "it is marked as corrupt".to_owned())
        });
        let autoclear = v3.autoclear_features.get();
        disk.external = has(HeaderV3::EXTERNAL_DATA);
        let is_raw = autoclear & HeaderV3::RAW_EXTERNAL_DATA != 0;
        out.expect(&EXTERNAL_DATA, !disk.external && !is_raw, || {
            if disk.external {
                (at.clone(), "the data are in another file".to_owned())
            } else {
                let message = "another file is said to have the data alone, and there is none";
                (field(self.file, 88), message.to_owned())
            }
        });
        let unknown = incompatible & !HeaderV3::INCOMPATIBLE;
        let known = out.expect(&FEATURES, unknown == 0, || {
            (at.clone(), format!("{unknown:#x}, of which nothing is known"))
        });
        let number = fields.additional.compression_type;
        let compression = CompressionType::of(number);
        let told = has(HeaderV3::COMPRESSION_TYPE);
        let agrees = compression.is_some() && told == (number != 0);
        out.expect(&COMPRESSION_TYPE, agrees, || {
            let feature = if told { "says that it is not deflate" } else { "says nothing" };
            (field(self.file, 104), format!("{number}, and the feature {feature}"))
        });
        disk.compression = compression.filter(|_| agrees);
        let order = v3.refcount_order.get();
        let refcount_order = RefcountOrder::new(order);
        out.expect(&REFCOUNT_ORDER, refcount_order.is_some(), || {
            (field(self.file, 96), format!("2^{order} bits, not 2^6 at most"))
        });
        disk.bitmaps = autoclear & HeaderV3::BITMAPS != 0;
        let unknown = autoclear & !(HeaderV3::BITMAPS | HeaderV3::RAW_EXTERNAL_DATA);
        if unknown != 0 {
            let message = format!("{unknown:#x}, of which nothing is known");
            out.expect(&AUTOCLEAR, false, || (field(self.file, 88), message));
        }
        disk.extended = has(HeaderV3::EXTENDED_L2);
        let bits = disk.cluster.bits();
        let fits = !disk.extended || bits >= 14;
        out.expect(&CLUSTER_BITS, fits, || {
            (field(self.file, 20), format!("2^{bits} bytes, and with subclusters 2^14 at least"))
        });
        let Some(order) = refcount_order else { return false };
        disk.refcount_order = order;
        known && fits
    }

    /// The extensions, and what the encryption and the bitmaps lead to.
    pub(super) fn extensions(&mut self, disk: &Disk, claims: &mut Claims) -> Result<(), ReadError> {
        let start = disk.header_length;
        let name = disk.header.backing_file_offset.get();
        let end = if name == 0 { disk.cluster.bytes() } else { name.min(disk.cluster.bytes()) };
        let end = end.min(disk.file_len);
        let area = self.file.bytes(
            "qcow2 header extensions",
            start.min(end),
            end.saturating_sub(start),
            disk.cluster.bytes(),
        )?;
        let mut seen = Vec::new();
        let mut bitmaps = None;
        for extension in Extensions::new(&area) {
            let here = |at: u64| self.at("qcow2 header extension", start.saturating_add(at), 8);
            let Extension { at, kind, data } = match extension {
                Ok(extension) => extension,
                Err(fault) => {
                    let at = here(fault.at);
                    claims.incomplete = true;
                    self.fault(&EXTENSIONS, at, || "it ends beyond the header".to_owned());
                    break;
                }
            };
            let at = here(at);
            // Of those that nobody knows there may be any number.
            let is_known = !matches!(kind, ExtensionType::Other(_));
            if is_known && seen.contains(&kind) {
                self.fault(&EXTENSIONS, at, || format!("{} for the second time", word(kind)));
                continue;
            }
            seen.extend(is_known.then_some(kind));
            let trouble = match kind {
                ExtensionType::Bitmaps => match BitmapsExtension::read_from_bytes(data) {
                    Ok(extension) => {
                        bitmaps = Some(extension);
                        None
                    }
                    Err(_) => Some(format!("{} bytes of bitmaps, not 24", data.len())),
                },
                ExtensionType::Encryption => match EncryptionPointer::read_from_bytes(data) {
                    Ok(pointer) if disk.header.crypt_method.get() == 2 => {
                        self.luks(disk, &pointer, claims);
                        None
                    }
                    Ok(_) => Some("a header of LUKS, and no encryption with it".to_owned()),
                    Err(_) => Some(format!("{} bytes of encryption, not 16", data.len())),
                },
                _ => None,
            };
            if let Some(trouble) = trouble {
                claims.incomplete = true;
                self.fault(&EXTENSIONS, at, || trouble);
            }
        }
        self.out.held(&EXTENSIONS, true);
        let holds = !disk.bitmaps || bitmaps.is_some();
        self.out.expect(&AUTOCLEAR, holds, || {
            (field(self.file, 88), "bitmaps are up to date, and there are none".to_owned())
        });
        if let Some(extension) = bitmaps.filter(|_| disk.bitmaps) {
            self.bitmaps(disk, &extension, claims)?;
        }
        self.out.held(&super::BITMAPS, true);
        Ok(())
    }

    fn luks(&mut self, disk: &Disk, pointer: &EncryptionPointer, claims: &mut Claims) {
        let place = (pointer.offset.get(), pointer.length.get());
        let named = ("qcow2 encryption header", Role::Encryption);
        self.table(disk, claims, &EXTENSIONS, named, place, u64::MAX);
    }
}

/// The place of a field of the header.
fn field(file: &Region, at: u64) -> Location {
    crate::container::raw_at("qcow2 header", file.absolute(at).0, 8)
}

/// What people call an extension.
fn word(kind: ExtensionType) -> &'static str {
    match kind {
        ExtensionType::End => "the end",
        ExtensionType::BackingFormat => "the format of the backing file",
        ExtensionType::FeatureNames => "the names of features",
        ExtensionType::Bitmaps => "bitmaps",
        ExtensionType::Encryption => "the header of LUKS",
        ExtensionType::ExternalData => "the name of the external data file",
        ExtensionType::Other(_) => "an unknown extension",
    }
}

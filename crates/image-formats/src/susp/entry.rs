//! One entry of a system use area.

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::units::ByteOffset;

use super::{
    raw::{Ce, Er, Header, Link, Nm, Pn, Px, PxSerial, Rr, Sl, Sp, Tf, Zf},
    times::Times,
};

/// An entry of a system use area.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Where it is in the image.
    pub at: ByteOffset,
    /// How it starts.
    pub header: Header,
    /// What follows [`header`](Self::header).
    pub body: &'a [u8],
}

/// An extension that is in use: an `ER` entry.
#[derive(Clone, Copy, Debug)]
pub struct Extension<'a> {
    /// How it starts.
    pub raw: Er,
    /// Its name: [`RRIP_1991A`](Self::RRIP_1991A) and others.
    pub id: &'a [u8],
    /// What it is for.
    pub description: &'a [u8],
    /// Where it is specified.
    pub source: &'a [u8],
}

impl Extension<'_> {
    /// Rock Ridge 1.09 and 1.10: all writers but a few write this.
    pub const RRIP_1991A: &'static [u8] = b"RRIP_1991A";
    /// The name that IEEE P1282 gives Rock Ridge.
    pub const IEEE_P1282: &'static [u8] = b"IEEE_P1282";
    /// A name that Rock Ridge 1.12 has in other printings.
    pub const IEEE_1282: &'static [u8] = b"IEEE_1282";

    /// True for Rock Ridge.
    pub fn is_rock_ridge(&self) -> bool {
        [Self::RRIP_1991A, Self::IEEE_P1282, Self::IEEE_1282].contains(&self.id)
    }
}

impl<'a> Entry<'a> {
    /// Bytes of it.
    pub fn len(&self) -> usize {
        self.body.len().saturating_add(Header::SIZE)
    }

    /// Always false: an entry has a header.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The signature, for people.
    pub fn signature(&self) -> String {
        self.header.signature.escape_ascii().to_string()
    }

    fn fields<T: FromBytes + KnownLayout + Immutable + Unaligned>(
        &self,
        signature: [u8; 2],
    ) -> Option<(T, &'a [u8])> {
        (self.header.signature == signature).then_some(())?;
        T::read_from_prefix(self.body).ok()
    }

    /// Its fields where it is a `CE`.
    pub fn ce(&self) -> Option<Ce> {
        self.fields(Header::CE).map(|(fields, _)| fields)
    }

    /// Its fields where it is an `SP`.
    pub fn sp(&self) -> Option<Sp> {
        self.fields(Header::SP).map(|(fields, _)| fields)
    }

    /// Its fields where it is an `ER`, and has all that it says.
    pub fn er(&self) -> Option<Extension<'a>> {
        let (raw, strings): (Er, _) = self.fields(Header::ER)?;
        let (id, rest) = strings.split_at_checked(raw.len_id.into())?;
        let (description, rest) = rest.split_at_checked(raw.len_des.into())?;
        let source = rest.get(..raw.len_src.into())?;
        Some(Extension { raw, id, description, source })
    }

    /// Its fields where it is a `PX`, with the serial number of the file, which old ones do not
    /// have.
    pub fn px(&self) -> Option<(Px, Option<PxSerial>)> {
        let (px, rest) = self.fields(Header::PX)?;
        Some((px, PxSerial::read_from_prefix(rest).ok().map(|(serial, _)| serial)))
    }

    /// Its fields where it is a `PN`.
    pub fn pn(&self) -> Option<Pn> {
        self.fields(Header::PN).map(|(fields, _)| fields)
    }

    /// Flags and components where it is an `SL`.
    pub fn sl(&self) -> Option<(Sl, &'a [u8])> {
        self.fields(Header::SL)
    }

    /// Flags and text where it is an `NM`.
    pub fn nm(&self) -> Option<(Nm, &'a [u8])> {
        self.fields(Header::NM)
    }

    /// Its fields where it is a `CL`.
    pub fn cl(&self) -> Option<Link> {
        self.fields(Header::CL).map(|(fields, _)| fields)
    }

    /// Its fields where it is a `PL`.
    pub fn pl(&self) -> Option<Link> {
        self.fields(Header::PL).map(|(fields, _)| fields)
    }

    /// The times where it is a `TF`.
    pub fn tf(&self) -> Option<Times<'a>> {
        let (tf, bytes): (Tf, _) = self.fields(Header::TF)?;
        Some(Times { flags: tf.flags, bytes })
    }

    /// Its fields where it is an `RR`.
    pub fn rr(&self) -> Option<Rr> {
        self.fields(Header::RR).map(|(fields, _)| fields)
    }

    /// Its fields where it is a `ZF`.
    pub fn zf(&self) -> Option<Zf> {
        self.fields(Header::ZF).map(|(fields, _)| fields)
    }
}

//! Who owns each cluster of the file, and how many lead to it.

use image_formats::qcow2::ClusterSize;

use super::{Disk, Judge, LIMITS, OVERLAP};

/// The most clusters of a file that are judged.
const MAX_CLUSTERS: u64 = 1 << 26;

/// What a cluster holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Role {
    Nothing,
    Header,
    RefcountTable,
    RefcountBlock,
    L1Table,
    SnapshotTable,
    Encryption,
    Bitmaps,
    L2Table,
    Data,
    CompressedData,
}

impl Role {
    const ALL: [Self; 11] = [
        Self::Nothing,
        Self::Header,
        Self::RefcountTable,
        Self::RefcountBlock,
        Self::L1Table,
        Self::SnapshotTable,
        Self::Encryption,
        Self::Bitmaps,
        Self::L2Table,
        Self::Data,
        Self::CompressedData,
    ];

    /// Snapshots share it with the disk.
    fn is_shared(self) -> bool {
        matches!(self, Self::L2Table | Self::Data | Self::CompressedData)
    }

    /// What people call it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Header => "the header",
            Self::RefcountTable => "the refcount table",
            Self::RefcountBlock => "a refcount block",
            Self::L1Table => "an L1 table",
            Self::SnapshotTable => "the snapshot table",
            Self::Encryption => "the header of LUKS",
            Self::Bitmaps => "bitmaps",
            Self::L2Table => "an L2 table",
            Self::Data => "data",
            Self::CompressedData => "compressed data",
        }
    }
}

/// What is known of a cluster beside its role and its claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Flag {
    /// Its refcount is one.
    One = 0x10,
    /// Its refcount cannot be read.
    Unknown = 0x20,
    /// It is an L2 table that was read.
    Read = 0x40,
    /// Two want it, and one of them must not have it.
    Disputed = 0x80,
}

/// The clusters of the file, and a few more that the last sectors of compressed data may be in.
pub(super) struct Claims {
    cluster: ClusterSize,
    /// A [`Role`], and [`Flag`]s.
    what: Vec<u8>,
    /// How many lead there; 65535 stands for more as well.
    counts: Vec<u16>,
    /// Something that leads to clusters could not be followed, so some claims are missing.
    pub(super) incomplete: bool,
}

impl Claims {
    /// How many clusters there are.
    pub(super) fn len(&self) -> u64 {
        self.what.len() as u64
    }

    /// How many entries lead to a cluster.
    pub(super) fn count(&self, cluster: u64) -> u16 {
        self.counts.get(cluster as usize).copied().unwrap_or_default()
    }

    pub(super) fn has(&self, cluster: u64, flag: Flag) -> bool {
        self.what.get(cluster as usize).is_some_and(|what| what & flag as u8 != 0)
    }

    pub(super) fn set(&mut self, cluster: u64, flag: Flag) {
        if let Some(what) = self.what.get_mut(cluster as usize) {
            *what |= flag as u8;
        }
    }

    /// No refcount can be read.
    pub(super) fn know_no_refcounts(&mut self) {
        self.what.iter_mut().for_each(|what| *what |= Flag::Unknown as u8);
    }

    pub(super) fn role(&self, cluster: u64) -> Role {
        let number = self.what.get(cluster as usize).map_or(0, |what| what & 0xf);
        Role::ALL.get(usize::from(number)).copied().unwrap_or(Role::Nothing)
    }

    /// Adds claims of a cluster of the file, or returns who has it.
    fn add(&mut self, cluster: u64, role: Role, times: u16) -> Result<(), Role> {
        let owner = self.role(cluster);
        if owner != Role::Nothing && (owner != role || !role.is_shared()) {
            self.set(cluster, Flag::Disputed);
            return Err(owner);
        }
        let index = cluster as usize;
        if let (Some(what), Some(count)) = (self.what.get_mut(index), self.counts.get_mut(index)) {
            *what = *what & 0xf0 | role as u8;
            *count = count.saturating_add(times);
        }
        Ok(())
    }
}

impl Judge<'_> {
    /// Room for all claims, with that of the header; `None` if the file is too large.
    pub(super) fn claims(&mut self, disk: &Disk) -> Option<Claims> {
        let clusters = disk.cluster.count(disk.file_len);
        let at = self.at("qcow2 file", 0, disk.file_len);
        if !self.out.expect(&LIMITS, clusters <= MAX_CLUSTERS, || {
            let size = disk.cluster.bytes();
            let message = format!("{clusters} clusters of {size} bytes, more than {MAX_CLUSTERS}");
            (at, format!("{message}: they are not judged"))
        }) {
            return None;
        }
        let len = clusters as usize + 2;
        let (what, counts) = (vec![0; len], vec![0; len]);
        let mut claims = Claims { cluster: disk.cluster, what, counts, incomplete: false };
        self.claim(&mut claims, 0, Role::Header, 1);
        Some(claims)
    }

    /// Claims a cluster as often as something leads to it. False if it is somebody else's.
    pub(super) fn claim(
        &mut self,
        claims: &mut Claims,
        cluster: u64,
        role: Role,
        times: u16,
    ) -> bool {
        let Err(owner) = claims.add(cluster, role, times) else { return true };
        claims.incomplete = true;
        let size = claims.cluster;
        self.fault(&OVERLAP, self.at("qcow2 cluster", size.offset(cluster), size.bytes()), || {
            format!("cluster {cluster}: {} where {} is", role.as_str(), owner.as_str())
        });
        false
    }

    /// Claims all clusters of so many bytes at this place, up to the first one that is somebody
    /// else's. False if there is one.
    ///
    /// Any number of tables may be said to be at one place. As a cluster is only once nobody's, and
    /// a table that meets another one ends there, all of them together take no longer than the file
    /// has clusters.
    pub(super) fn claim_all(
        &mut self,
        disk: &Disk,
        claims: &mut Claims,
        (at, len): (u64, u64),
        role: Role,
    ) -> bool {
        let first = disk.cluster.index(at);
        // Who asks has seen that it is in the file.
        (first..)
            .take(disk.cluster.count(len) as usize)
            .all(|cluster| self.claim(claims, cluster, role, 1))
    }
}

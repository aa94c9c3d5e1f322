//! The chains of files and directories, and to whom each cluster belongs: `check_file` of fsck.fat.

use image_formats::{
    bytes::ReadError,
    fat::{Cluster, Entry, Geometry, raw::DirEntry},
};

use super::{
    CHAIN_END, CROSS_LINK, CYCLE, DIRECTORY_LENGTH, DIRECTORY_SIZE, FILE_SIZE, FIRST_CLUSTER,
    Place, directories::Walk, paths::Whose, tables::entry,
};

/// The most bytes of a directory that anybody makes: 65536 slots. FAT §6.
const MAX_DIRECTORY: u64 = 2 << 20;

/// A set of clusters: a bit for each, at most 32 MiB.
pub(super) struct Clusters {
    bits: Vec<u64>,
    len: u32,
}

impl Clusters {
    pub(super) fn new(geometry: &Geometry) -> Self {
        Self { bits: vec![0; geometry.last().0 as usize / 64 + 1], len: 0 }
    }

    /// How many.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn contains(&self, Cluster(number): Cluster) -> bool {
        self.bits[number as usize / 64] >> (number % 64) & 1 == 1
    }

    fn insert(&mut self, Cluster(number): Cluster) {
        self.bits[number as usize / 64] |= 1 << (number % 64);
        self.len += 1;
    }
}

/// The clusters of a file or directory, as far as they could be followed.
#[derive(Clone, Copy, Default)]
pub(super) struct Chain {
    pub(super) clusters: u32,
    /// It has an end, and nothing on the way to it is wrong.
    sound: bool,
}

impl Walk<'_, '_> {
    /// Judges where the content of a file, a directory or a label is.
    pub(super) fn content(
        &mut self,
        short: &DirEntry,
        place: &Place<'_>,
    ) -> Result<Chain, ReadError> {
        let first = short.first_cluster(self.geometry.width);
        let size = short.file_size.get();
        let is_directory = short.is_directory();
        let empty = first == Cluster(0) && !is_directory;
        let starts = empty || self.geometry.contains(first);
        if !starts {
            let last = self.geometry.last();
            let what = if is_directory { "directory" } else { "file" };
            self.judge.fault(&FIRST_CLUSTER, place, || {
                format!(
                    "the {what} starts at cluster {first}, and there are those from 2 to {last}"
                )
            });
            (self.found.safe, self.found.whole) = (false, false);
        }
        let chain = if starts && !empty {
            self.chain(first, place.whose)?
        } else {
            Chain { clusters: 0, sound: empty }
        };
        if is_directory {
            if size != 0 {
                self.judge.fault(&DIRECTORY_SIZE, place, || format!("{size} bytes, not 0"));
            }
            self.length(&chain, place);
        } else if chain.sound {
            let need = u64::from(size).div_ceil(self.geometry.cluster_size);
            let have = chain.clusters;
            if need != u64::from(have) {
                self.judge.fault(&FILE_SIZE, place, || {
                    format!("{size} bytes need {need} clusters, and the file has {have}")
                });
            }
        }
        Ok(chain)
    }

    /// Judges how long a directory is.
    pub(super) fn length(&mut self, chain: &Chain, place: &Place<'_>) {
        let len = u64::from(chain.clusters) * self.geometry.cluster_size;
        if len > MAX_DIRECTORY {
            self.judge.fault(&DIRECTORY_LENGTH, place, || {
                format!("the directory has {len} bytes, and {MAX_DIRECTORY} are the limit")
            });
        }
    }

    /// Follows a chain, and takes its clusters. Bounded: each step takes a cluster that nobody has.
    pub(super) fn chain(&mut self, first: Cluster, whose: Whose<'_>) -> Result<Chain, ReadError> {
        let mut chain = Chain::default();
        let mut at = first;
        loop {
            let found = self.table.get(at)?;
            if self.found.used.contains(at) || matches!(found, Entry::Free | Entry::Bad) {
                let ours = self.leads_to(first, at, chain.clusters)?;
                let place = Place { whose, ..entry(self.geometry, at) };
                match found {
                    _ if ours => self.judge.fault(&CYCLE, &place, || {
                        let clusters = chain.clusters;
                        format!("the chain leads back to cluster {at}, after {clusters} clusters")
                    }),
                    Entry::Free => self.judge.fault(&CHAIN_END, &place, || {
                        format!("the chain leads to cluster {at}, which is free")
                    }),
                    Entry::Bad => self.judge.fault(&CHAIN_END, &place, || {
                        format!("the chain leads to cluster {at}, which is marked as bad")
                    }),
                    _ => self.judge.fault(&CROSS_LINK, &place, || {
                        format!("cluster {at} belongs to another file already")
                    }),
                }
                break;
            }
            self.found.used.insert(at);
            chain.clusters += 1;
            match found {
                Entry::Next(next) if self.geometry.contains(next) => at = next,
                // Else the link was reported when the table was read.
                _ => {
                    chain.sound = found == Entry::End;
                    break;
                }
            }
        }
        self.met.chains = true;
        self.found.safe &= chain.sound;
        self.found.whole &= chain.sound;
        Ok(chain)
    }

    /// True if `cluster` is one of the first `clusters` of a chain. All of these were free before,
    /// so this costs no more than to follow each chain twice.
    fn leads_to(
        &mut self,
        first: Cluster,
        cluster: Cluster,
        clusters: u32,
    ) -> Result<bool, ReadError> {
        let mut at = first;
        for _ in 0..clusters {
            if at == cluster {
                return Ok(true);
            }
            let Entry::Next(next) = self.table.get(at)? else { break };
            at = next;
        }
        Ok(false)
    }
}

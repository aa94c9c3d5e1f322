//! Collects what differs.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use image_model::{Difference, Level, Place};

use super::kinds::{Follows, Kind, TABLE_KIND};

/// How many differences of one id are listed. The rest are counted.
pub const MAX_DIFFERENCES_PER_ID: u64 = 64;

/// Number of a pair of file systems, from 1; 0 is what is around them.
pub(super) type VolumeNumber = u32;

/// What is around the file systems.
pub(super) const AROUND: VolumeNumber = 0;

/// Where differences are told from.
pub(super) struct Told<'a> {
    pub(super) volume: VolumeNumber,
    /// The structure, in people's words.
    pub(super) place: &'a str,
}

impl Told<'_> {
    /// A difference of which only the kind and the structure are known.
    pub(super) fn difference(&self, kind: &Kind, structure: &str) -> Difference {
        Difference {
            id: Cow::Borrowed(kind.id()),
            at: Place { structure: structure.to_owned(), ..Place::default() },
            a: None,
            b: None,
            sizes: None,
            bytes: None,
        }
    }
}

struct Listed {
    volume: VolumeNumber,
    kind: &'static Kind,
    difference: Difference,
}

/// What differs so far.
#[derive(Default)]
pub(super) struct Out {
    listed: Vec<Listed>,
    counts: BTreeMap<(&'static str, VolumeNumber), u64>,
    /// Which levels differ in which file systems, without what only follows.
    causes: BTreeSet<(VolumeNumber, Level)>,
}

impl Out {
    /// Adds a difference.
    pub(super) fn push(&mut self, volume: VolumeNumber, kind: &'static Kind, told: Difference) {
        self.push_with(volume, kind, || told);
    }

    /// Adds a difference that is not made where it is not listed: a path may be long.
    pub(super) fn push_with(
        &mut self,
        volume: VolumeNumber,
        kind: &'static Kind,
        told: impl FnOnce() -> Difference,
    ) {
        let count = self.counts.entry((kind.id(), volume)).or_default();
        *count = count.saturating_add(1);
        if kind.follows == Follows::Nothing {
            self.causes.insert((volume, kind.public.level));
        }
        if *count <= MAX_DIFFERENCES_PER_ID {
            self.listed.push(Listed { volume, kind, difference: told() });
        }
    }

    /// Adds what was told elsewhere.
    pub(super) fn absorb(&mut self, other: Self) {
        let mut listed: BTreeMap<(&'static str, VolumeNumber), u64> = BTreeMap::new();
        for Listed { volume, kind, difference } in other.listed {
            *listed.entry((kind.id(), volume)).or_default() += 1;
            self.push(volume, kind, difference);
        }
        for ((id, volume), count) in other.counts {
            let more = count - listed.get(&(id, volume)).copied().unwrap_or(0);
            *self.counts.entry((id, volume)).or_default() += more;
        }
        self.causes.extend(other.causes);
    }

    /// Counts differences that are not listed.
    pub(super) fn omit(&mut self, volume: VolumeNumber, kind: &Kind, more: u64) {
        if more > 0 {
            *self.counts.entry((kind.id(), volume)).or_default() += more;
        }
    }

    /// True if there is such a difference.
    pub(super) fn has(&self, volume: VolumeNumber, kind: &Kind) -> bool {
        self.counts.contains_key(&(kind.id(), volume))
    }

    /// True if nothing differs.
    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Says of the first difference of a kind that so many bytes differ because of all of them.
    pub(super) fn count_bytes(&mut self, volume: VolumeNumber, kind: &Kind, bytes: u64) {
        let of_kind =
            |listed: &&mut Listed| listed.volume == volume && listed.kind.id() == kind.id();
        if let Some(listed) = self.listed.iter_mut().find(of_kind) {
            let known = listed.difference.bytes.get_or_insert(0);
            *known = known.saturating_add(bytes);
        }
    }

    /// True if a difference of this kind is explained by another one that is told.
    fn follows(&self, volume: VolumeNumber, kind: &Kind) -> bool {
        let has = |level| self.causes.contains(&(volume, level));
        match kind.follows {
            Follows::Nothing => false,
            Follows::Files => has(Level::Files) || has(Level::Store),
            Follows::Partitions => {
                let is_one = |id: &str| id.starts_with("partition-") || id == TABLE_KIND.id();
                self.counts.keys().any(|(id, _)| is_one(id))
            }
            Follows::Anything => {
                Level::ALL.into_iter().any(has)
                    || self.counts.keys().any(|(id, of)| *of == volume && *id != kind.id())
            }
        }
    }

    /// All that is to be told, sorted by level, and how much more there is.
    pub(super) fn finish(mut self) -> (Vec<Difference>, BTreeMap<Cow<'static, str>, u64>) {
        let listed = std::mem::take(&mut self.listed);
        let mut told: Vec<Listed> =
            listed.into_iter().filter(|l| !self.follows(l.volume, l.kind)).collect();
        // Within a level what was found first comes first: by the file system, then the place.
        told.sort_by_key(|listed| (listed.kind.public.level, listed.volume));
        let kinds: BTreeSet<_> = told.iter().map(|l| (l.kind.id(), l.volume)).collect();
        let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
        for (id, volume) in kinds {
            *counts.entry(id).or_default() += self.counts.get(&(id, volume)).copied().unwrap_or(0);
        }
        let mut taken: BTreeMap<&'static str, u64> = BTreeMap::new();
        told.retain(|listed| {
            let taken = taken.entry(listed.kind.id()).or_default();
            *taken += 1;
            *taken <= MAX_DIFFERENCES_PER_ID
        });
        let omitted = counts
            .into_iter()
            .filter_map(|(id, count)| {
                let listed = taken.get(id).copied().unwrap_or(0).min(MAX_DIFFERENCES_PER_ID);
                let more = count.saturating_sub(listed);
                (more > 0).then_some((Cow::Borrowed(id), more))
            })
            .collect();
        (told.into_iter().map(|listed| listed.difference).collect(), omitted)
    }
}

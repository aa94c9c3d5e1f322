//! Directories that were too deep, and are elsewhere.

use std::collections::{HashMap, HashSet};

use image_model::Check;

use super::{Attributes, CHILD_LINK, PARENT_LINK, RELOCATED, Recorder, RockRidge, Role, Subject};

/// How many paths are remembered for messages.
const MAX_PATHS: usize = 64;

/// What all records say of relocated directories. A directory is called by its first block.
#[derive(Default)]
pub(super) struct Relocations {
    /// What tells where a directory went.
    links: Vec<Link>,
    /// Where the parent record of a directory leads back to.
    parents: HashMap<u32, u32>,
    /// The directories that are marked, with the record.
    marked: Vec<Link>,
    directories: HashSet<u32>,
    /// The paths of the first records, for messages.
    paths: HashMap<u64, String>,
}

/// A record that tells of a directory.
struct Link {
    directory: u32,
    /// The directory that the record is in.
    holder: u32,
    /// Where the record is in the volume.
    offset: u64,
    len: u8,
}

impl Relocations {
    pub(super) fn note(&mut self, subject: &Subject<'_>, attributes: &Attributes) {
        match subject.role {
            Role::Own => {
                self.directories.insert(subject.directory);
            }
            Role::Parent => {
                if let Some(parent) = attributes.parent_link {
                    self.parents.insert(subject.directory, parent);
                }
            }
            Role::Child => {
                if let Some(directory) = attributes.child_link {
                    let link = self.link(subject, directory);
                    self.links.push(link);
                } else if attributes.relocated {
                    let link = self.link(subject, subject.extent());
                    self.marked.push(link);
                }
            }
        }
    }

    fn link(&mut self, subject: &Subject<'_>, directory: u32) -> Link {
        let (offset, len) = (subject.record.offset, subject.record.raw.len);
        if self.paths.len() < MAX_PATHS {
            self.paths.insert(offset, (subject.path)());
        }
        Link { directory, holder: subject.directory, offset, len }
    }

    /// Judges them, and returns the directories that something leads to.
    pub(super) fn judge(&self, rock: &RockRidge, out: &mut Recorder) -> HashSet<u32> {
        let mut expect =
            |check: &'static Check, holds, link: &Link, message: &dyn Fn() -> String| {
                out.expect(check, holds, || {
                    let offset = rock.reader.region.absolute(link.offset).0;
                    let at = rock.location(
                        "",
                        offset,
                        link.len.into(),
                        self.paths.get(&link.offset).cloned(),
                    );
                    (at, message())
                });
            };
        let marked: HashSet<_> = self.marked.iter().map(|link| link.directory).collect();
        let mut linked = HashSet::new();
        let mut sound = HashSet::new();
        for link in &self.links {
            let Link { directory, holder, .. } = *link;
            let there = self.directories.contains(&directory);
            let first = linked.insert(directory);
            expect(&CHILD_LINK, there && first, link, &|| match there {
                true => format!("another CL leads to the directory at block {directory}"),
                false => format!("CL leads to block {directory}, and there is no directory"),
            });
            if !there {
                continue;
            }
            sound.insert(directory);
            let parent = self.parents.get(&directory).copied();
            expect(&PARENT_LINK, parent == Some(holder), link, &|| match parent {
                Some(parent) => {
                    format!("PL of the directory leads to block {parent}, and CL is in {holder}")
                }
                None => format!("the directory at block {directory} has no PL"),
            });
            expect(&RELOCATED, marked.contains(&directory), link, &|| {
                format!("no record of the directory at block {directory} has RE")
            });
        }
        // xorriso hides the directory that it collects relocated ones in by the same mark.
        let holders: HashSet<_> = self.marked.iter().map(|link| link.holder).collect();
        for link in &self.marked {
            let right = linked.contains(&link.directory) || holders.contains(&link.directory);
            expect(&RELOCATED, right, link, &|| "RE, and no CL leads to the directory".to_owned());
        }
        sound
    }
}

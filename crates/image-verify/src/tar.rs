//! Judges tar streams as WSL extracts them.

mod checks;
mod spool;
mod volume;

use std::io::{self, BufRead};

use image_formats::tar::{Anomaly, AnomalyKind, End, Item, Kind, Member, Reader};
use image_model::{ImageSpace, Location};

pub use checks::*;
pub(crate) use spool::Spool;
use spool::read_content;
pub(crate) use volume::TarFiles;
pub use volume::open;

use crate::{
    Limits, Recorder,
    container::raw_at,
    names::{self, Became, Names, Node, components, show},
    stream::RawStream,
    tree::{MAX_CONTENT, Tree},
};

/// Judges a stream of raw bytes that starts like a tar. False if it was given up before its end. An
/// error is that of the sink behind the stream, or that of `spool`, which gets what the tree's files
/// have and somebody asks for later.
pub(crate) fn judge_stream(
    raw: &mut RawStream<'_, '_>,
    limits: &Limits,
    mut tree: Option<&mut Tree>,
    spool: &mut Spool<'_>,
    out: &mut Recorder,
) -> io::Result<bool> {
    let mut reader = Reader::new(&mut *raw);
    let mut judge = Judge::new(*limits, out);
    let mut end = None;
    let mut content = Vec::new();
    while let Some(item) = reader.next_item()? {
        match item {
            Item::Member(member) => {
                if !judge.member(&member) {
                    return Ok(false);
                }
                if let Some(tree) = &mut tree {
                    let wanted = tree.add(&member);
                    let kept = spool.member(&member).then_some(&mut *spool);
                    read_content(&mut reader, wanted, &mut content, kept)?;
                    if wanted > 0 {
                        tree.content(&content);
                    }
                }
            }
            Item::Anomaly(anomaly) => judge.anomaly(&anomaly),
            Item::Global(_) => {}
            Item::End(found) => end = Some(found),
        }
    }
    drop(reader);
    if let Some(end) = end.filter(|_| raw.over_limit.is_none()) {
        judge.end(&end);
    }
    Ok(true)
}

/// Gives `tree` the contents it wants and did not keep.
pub(crate) fn supply(raw: impl BufRead, tree: &mut Tree) -> io::Result<()> {
    let mut missing = tree.missing();
    let mut reader = Reader::new(raw);
    let mut content = Vec::new();
    while let Some(item) = reader.next_item()?
        && !missing.is_empty()
    {
        let Item::Member(member) = item else { continue };
        if missing.remove(&member.header_offset.0) {
            read_content(&mut reader, MAX_CONTENT, &mut content, None)?;
            tree.supply(member.header_offset.0, &content);
        }
    }
    Ok(())
}

/// How a name starts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prefix {
    Dot,
    Slash,
    Bare,
}

impl Prefix {
    fn of(path: &[u8]) -> Self {
        match path {
            [b'/', ..] => Self::Slash,
            [b'.'] | [b'.', b'/', ..] => Self::Dot,
            _ => Self::Bare,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Dot => "with ./",
            Self::Slash => "with a slash",
            Self::Bare => "without a prefix",
        }
    }
}

struct Judge<'a> {
    out: &'a mut Recorder,
    limits: Limits,
    names: Names,
    members: u64,
    prefix: Option<Prefix>,
    /// The first name at the root that a member lies at or below; `Some(None)` where there are
    /// several.
    top: Option<Option<Vec<u8>>>,
    /// The parent of the last member, where all above it was judged and is right.
    good_parent: Vec<u8>,
}

impl<'a> Judge<'a> {
    fn new(limits: Limits, out: &'a mut Recorder) -> Self {
        Self {
            out,
            limits,
            names: Names::default(),
            members: 0,
            prefix: None,
            top: None,
            good_parent: Vec::new(),
        }
    }

    /// Judges a member. False: no more will be read.
    fn member(&mut self, member: &Member) -> bool {
        self.members += 1;
        let here = member_at(member);
        let (members, names_len) = (self.members, self.names.bytes);
        let within = members <= self.limits.members && names_len <= self.limits.names_len;
        if !self.out.expect(&MEMBER_LIMIT, within, || {
            let message = format!("member {members}, {names_len} bytes of names; reading stopped");
            (here(), message)
        }) {
            return false;
        }
        self.header(member, &here);
        if self.name(member, &here) {
            self.place(member, &here);
        }
        true
    }

    /// What the header alone tells.
    fn header(&mut self, member: &Member, here: &dyn Fn() -> Location) {
        let out = &mut *self.out;
        out.expect(&NUMBER, member.unreadable.is_empty(), || {
            (here(), format!("{} is no number", member.unreadable.join(" and ")))
        });
        let (size, stored) = (member.size, member.stored_size);
        out.expect(&NO_CONTENT, size == stored, || {
            (here(), format!("a {} of {stored} bytes, not 0", member.kind.as_str()))
        });
        let other = if let Kind::Other(flag) = member.kind { Some(flag) } else { None };
        out.expect(&TYPEFLAG, other.is_none(), || {
            let flag = [other.unwrap_or_default()];
            (here(), format!("'{}', not one of 0 to 7 or S", flag.escape_ascii()))
        });
        out.expect(&SPARSE, member.sparse.is_none(), || {
            let real = member.sparse.map_or(0, |sparse| sparse.real_size);
            (here(), format!("a file of {real} bytes without its holes"))
        });
        let device = matches!(member.kind, Kind::CharDevice | Kind::BlockDevice | Kind::Fifo);
        out.expect(&DEVICE, !device, || (here(), format!("a {}", member.kind.as_str())));
        let label = member.pax.iter().find(|(key, _)| is_security_label(key));
        out.expect(&XATTR, label.is_none(), || {
            let key = label.map_or(&b""[..], |(key, _)| key);
            (here(), format!("has {}", key.escape_ascii()))
        });
        out.expect(&HARD_LINK, member.kind != Kind::HardLink, || {
            (here(), format!("a hard link to {}, not a file", show(&member.link)))
        });
        let empty = member.kind == Kind::Symlink && member.link.is_empty();
        out.expect(&LINK_EMPTY, !empty, || (here(), "a link to nothing".to_owned()));
    }

    /// What the name alone tells. False: the name leads nowhere.
    fn name(&mut self, member: &Member, here: &dyn Fn() -> Location) -> bool {
        let out = &mut *self.out;
        let path = &member.path[..];
        if !out.expect(&NAME_EMPTY, !path.is_empty(), || (here(), "no name".to_owned())) {
            return false;
        }
        let hard_link = member.kind == Kind::HardLink;
        let prefix = Prefix::of(path);
        let absolute = prefix == Prefix::Slash || hard_link && member.link.starts_with(b"/");
        out.expect(&NAME_ABSOLUTE, !absolute, || {
            let what = if prefix == Prefix::Slash { "name" } else { "hard-link target" };
            (here(), format!("the {what} starts with a slash"))
        });
        let first = *self.prefix.get_or_insert(prefix);
        out.expect(&NAME_PREFIX, prefix == first || prefix == Prefix::Slash, || {
            let (found, first) = (prefix.as_str(), first.as_str());
            (here(), format!("a name {found}, the first one is {first}"))
        });
        let utf8 = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok();
        out.expect(&NAME_UTF8, utf8(path) && utf8(&member.link), || {
            (here(), "the name or the link is not UTF-8".to_owned())
        });
        let dots = |path: &[u8]| components(path).any(|name| name == b"..");
        if !out.expect(&NAME_DOT_DOT, !(dots(path) || hard_link && dots(&member.link)), || {
            (here(), "the name has .. in it".to_owned())
        }) {
            return false;
        }
        let longest = components(path).map(<[u8]>::len).max().unwrap_or(0);
        let component = out.expect(&NAME_COMPONENT, longest <= names::NAME_MAX, || {
            (here(), format!("a name of {longest} bytes, not at most {}", names::NAME_MAX))
        });
        let depth = components(path).count();
        let (len, max_len, max_depth) = (path.len(), names::PATH_MAX, names::DEPTH_MAX);
        let length = out.expect(&NAME_LENGTH, len < max_len && depth <= max_depth, || {
            let found = format!("a path of {len} bytes and {depth} names");
            (here(), format!("{found}, not of less than {max_len} and at most {max_depth}"))
        });
        component && length
    }

    /// What the name tells together with those before it.
    fn place(&mut self, member: &Member, here: &dyn Fn() -> Location) {
        let path = names::plain(&member.path);
        if path.is_empty() {
            self.root(member, here);
        } else {
            let top = components(&path).next().unwrap_or_default();
            match &mut self.top {
                None => self.top = Some(Some(top.to_vec())),
                Some(seen) if seen.as_deref() != Some(top) => *seen = None,
                Some(_) => {}
            }
        }
        let parent = path.iter().rposition(|b| *b == b'/').map_or(&b""[..], |at| &path[..at]);
        if !path.is_empty() && (parent.is_empty() || parent != self.good_parent) {
            if !self.parents(&path, here) {
                return;
            }
            self.good_parent = parent.to_vec();
        }
        let became = match member.kind {
            Kind::Directory => Became::Directory,
            Kind::Symlink => Became::Symlink,
            Kind::HardLink => self.hard_link_target(member, here),
            _ => Became::File,
        };
        if became != Became::Directory && (self.good_parent.starts_with(&path)) {
            self.good_parent.clear();
        }
        let before = self.names.insert(&path, became, member.header_offset.0);
        self.repeated(before, became, here);
    }

    /// Judges the paths above `path`. False: it cannot be reached.
    fn parents(&mut self, path: &[u8], here: &dyn Fn() -> Location) -> bool {
        let slashes = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
        for at in slashes {
            let parent = &path[..at];
            let node = self.names.get(parent);
            let is = |became| node.is_some_and(|node: Node| node.became == became);
            let earlier = node.map_or(0, |node| node.offset);
            let reached = self.out.expect(&THROUGH_SYMLINK, !is(Became::Symlink), || {
                (here(), format!("{} is a symbolic link since {earlier:#x}", show(parent)))
            });
            if !reached
                | !self.out.expect(&BELOW_FILE, !is(Became::File), || {
                    (here(), format!("{} is a file since {earlier:#x}", show(parent)))
                })
            {
                return false;
            }
            self.out.expect(&PARENT_MEMBER, node.is_some(), || {
                (here(), format!("{} has no member before this one", show(parent)))
            });
            if node.is_none() {
                self.names.insert(parent, Became::Implied, 0);
            }
            self.names.mark_parent(parent);
        }
        true
    }

    fn hard_link_target(&mut self, member: &Member, here: &dyn Fn() -> Location) -> Became {
        let target = self.names.get(&names::plain(&member.link)).map(|node| node.became);
        let good = matches!(target, Some(Became::File | Became::Symlink));
        self.out.expect(&HARD_LINK_TARGET, good, || {
            let found = match target {
                Some(_) => "is a directory",
                None => "is no earlier member",
            };
            (here(), format!("the target {} {found}", show(&member.link)))
        });
        if target == Some(Became::Symlink) { Became::Symlink } else { Became::File }
    }

    /// Judges a second member of a path.
    fn repeated(&mut self, before: Option<Node>, after: Became, here: &dyn Fn() -> Location) {
        let offset = before.map_or(0, |node| node.offset);
        let became = before.map(|node| node.became);
        let link_lost = became == Some(Became::Symlink) && after == Became::Directory;
        self.out.expect(&SYMLINK_REPLACED, !link_lost, || {
            (here(), format!("a directory replaces the symbolic link at {offset:#x}"))
        });
        let full = before.is_some_and(|node| node.has_children) && after != Became::Directory;
        self.out.expect(&DIRECTORY_REPLACED, !full, || {
            (here(), format!("replaces the directory at {offset:#x}, which is not empty"))
        });
        let first = matches!(became, None | Some(Became::Implied)) || link_lost || full;
        self.out
            .expect(&DUPLICATE, first, || (here(), format!("the path was at {offset:#x} before")));
    }

    fn root(&mut self, member: &Member, here: &dyn Fn() -> Location) {
        let &Member { mode, uid, gid, kind, .. } = member;
        let found = || format!("a {} {mode:04o} of {uid}:{gid}", kind.as_str());
        let usable = kind == Kind::Directory && mode & 0o005 == 0o005 && uid == 0;
        if self.out.expect(&ROOT_USABLE, usable, || {
            (here(), format!("{}, not a directory of root that others may enter", found()))
        }) {
            self.out.expect(&ROOT_MODE, mode == 0o755 && gid == 0, || {
                (here(), format!("{}, not 0755 of 0:0", found()))
            });
        }
    }

    fn anomaly(&mut self, anomaly: &Anomaly) {
        let at = |structure| (raw_at(structure, anomaly.offset.0, anomaly.len), anomaly.len);
        let (check, (at, lost), message) = match anomaly.kind {
            AnomalyKind::Checksum { stored, computed } => {
                let stored = stored.map_or("no number".to_owned(), |sum| sum.to_string());
                let message = format!("stored {stored}, computed {computed}");
                (&HEADER_CHECKSUM, at("tar header"), message)
            }
            AnomalyKind::Size => (&SIZE, at("tar header"), "the size is no number".to_owned()),
            AnomalyKind::ExtendedTooLong { size } => {
                let message = format!("an extended header of {size} bytes, not at most 1 MiB");
                (&EXTENDED_LIMIT, at("tar extended header"), message)
            }
            AnomalyKind::ExtendedRepeated { typeflag } => {
                let flag = [typeflag];
                let message = format!("a second '{}' before one member", flag.escape_ascii());
                (&EXTENDED_ORDER, at("tar extended header"), message)
            }
            AnomalyKind::Padding => {
                (&PADDING, at("tar padding"), "has other bytes than zero".to_owned())
            }
            _ => {
                let message = "a record that cannot be read".to_owned();
                (&PAX_RECORD, at("pax extended header"), message)
            }
        };
        let lost = if lost > 0 { format!("; {lost} bytes are lost") } else { String::new() };
        self.out.expect(check, false, || (at, message + &lost));
    }

    fn end(&mut self, end: &End) {
        let at = |offset: u64| raw_at("end of archive", offset, 0);
        for check in
            [&HEADER_CHECKSUM, &SIZE, &EXTENDED_LIMIT, &EXTENDED_ORDER, &PAX_RECORD, &PADDING]
        {
            // What did not fail has held for every header.
            if !self.out.has_failed(check) {
                self.out.expect(check, true, || (at(0), String::new()));
            }
        }
        self.out.expect(&EXTENDED_ORDER, end.dangling.is_none(), || {
            let offset = end.dangling.map_or(0, |offset| offset.0);
            (at(offset), "an extended header without a member".to_owned())
        });
        if self.out.expect(&TRUNCATED, end.truncated.is_none(), || {
            let (what, missing) = end.truncated.map_or(("", 0), |t| (t.what.as_str(), t.missing));
            (at(end.offset.0), format!("ends within {what}: {missing} bytes are missing"))
        }) {
            self.out.expect(&END_OF_ARCHIVE, end.zero_blocks >= 2, || {
                (at(end.offset.0), format!("{} zero blocks, not two", end.zero_blocks))
            });
        }
        self.out.expect(&AFTER_END, end.garbage.is_none(), || {
            let offset = end.garbage.map_or(0, |offset| offset.0);
            let len = end.len - offset;
            (at(offset), format!("{len} bytes from the first that is not zero to the end"))
        });
        if self.out.expect(&NOT_EMPTY, self.members > 0, || (at(0), "no members".to_owned())) {
            self.layout();
        }
    }

    /// What all names together tell.
    fn layout(&mut self) {
        let has = |path: &[u8]| self.names.get(path).is_some();
        let root = has(b"etc") || has(b"bin/sh") || has(b"bin");
        let oci = has(b"oci-layout") || has(b"index.json") || has(b"manifest.json");
        let nested = self.top.clone().flatten().filter(|top| {
            ["etc", "bin", "usr"]
                .iter()
                .any(|name| has(&[top, &b"/"[..], name.as_bytes()].concat()))
                && top != b"usr"
        });
        let at = || raw_at("archive", 0, 0);
        self.out.expect(&OCI_LAYOUT, root || !oci, || {
            (at(), "a container image with its layers, not a root file system".to_owned())
        });
        self.out.expect(&NESTED_ROOT, root || nested.is_none(), || {
            let top = show(nested.as_deref().unwrap_or_default());
            (at(), format!("the root file system is in {top}, not at the root"))
        });
    }
}

/// The place of a member.
fn member_at(member: &Member) -> impl Fn() -> Location {
    || Location {
        structure: "tar member".into(),
        space: ImageSpace::Raw,
        offset: member.header_offset.0,
        len: 512,
        path: Some(show(&member.path)),
    }
}

/// An attribute that only the machine that set it understands.
fn is_security_label(key: &[u8]) -> bool {
    let name = key.strip_prefix(b"SCHILY.xattr.").or(key.strip_prefix(b"LIBARCHIVE.xattr."));
    name.is_some_and(|name| {
        [&b"security.selinux"[..], b"security.ima", b"security.evm"]
            .iter()
            .any(|label| name.starts_with(label))
    })
}

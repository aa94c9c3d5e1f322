//! The file tree of an image, whatever holds it: built from the members of a tar stream in their
//! order, as WSL's `bsdtar -x -p --xattrs --numeric-owner` would build it on a disk, or from the
//! directories of a file system.
//!
//! Of a tar it keeps what checks ask for and nothing else: about 200 bytes a member, what kind of
//! program an executable is, and the content of the few files that an [`Interests`] names. A stream
//! can not be asked again, and a symlink may lead to a file that already passed: such files are in
//! [`Tree::missing`], and a second pass over the stream [`supplies`](Tree::supply) them.

mod layers;
mod node;
mod resolve;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use image_formats::tar::{Kind as MemberKind, Member};
use image_model::{ImageSpace, Location};

use node::interpreter;
pub use node::{Kind, Metadata, Node, NodeId, Program};
pub use resolve::{MAX_HOPS, Resolved, Unresolved};

/// The most of one file that is kept.
pub const MAX_CONTENT: u64 = 1 << 20;

/// The most that is kept of files that may turn out to be wanted, all together.
pub const MAX_SPECULATIVE: u64 = 16 << 20;

/// The most nodes a tree holds, directories without a member of their own included, and the most
/// hard links. Members that come later are not in the tree, and [`Tree::is_complete`] says so.
pub const MAX_NODES: usize = 1 << 21;

/// The most bytes of names and link targets that a tree holds. It ends the tree as well.
pub const MAX_TEXT: usize = 256 << 20;

/// Linux's `PATH_MAX`: nobody can open a longer path.
pub(crate) const MAX_PATH: usize = 4096;

/// Linux's `NAME_MAX`.
const MAX_NAME: usize = 255;

/// The folder in which Nix's optimizer gives each file of the store another name, which says nothing
/// of what it is: any other counts as the first one.
const POOL: &[u8] = b".links";

/// How many paths are wanted at most: an image can make the list grow with each symlink.
const MAX_WANTED: usize = 4096;

/// How much of a program tells what it is.
const PROGRAM_HEAD: u64 = 4096;

/// How many different interpreters of programs are remembered.
const MAX_INTERPRETERS: usize = 4096;

/// Which contents somebody asks for.
#[derive(Debug)]
pub struct Interests {
    /// Paths whose content is wanted, through symlinks.
    pub paths: &'static [&'static str],
    /// True for a file that a symlink may lead to later: its path and its size.
    pub speculative: fn(&[u8], u64) -> bool,
    /// The paths that become wanted because of the content of a wanted path.
    pub named_in: fn(&str, &[u8]) -> Vec<Vec<u8>>,
}

impl Interests {
    /// Only the tree.
    pub const NONE: Self =
        Self { paths: &[], speculative: |_, _| false, named_in: |_, _| Vec::new() };
}

/// The file tree of an image.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    contents: HashMap<NodeId, Box<[u8]>>,
    /// ELF interpreters, each with the first program that names it.
    interpreters: BTreeMap<Box<[u8]>, NodeId>,
    interests: &'static Interests,
    /// Absolute paths, of symlinks and of what they lead to.
    wanted: BTreeSet<Vec<u8>>,
    /// The member whose content is expected next.
    pending: Option<(NodeId, Pending)>,
    speculative: u64,
    text: usize,
    /// Names that are not the first ones of their files.
    links: usize,
    complete: bool,
    structure: Structure,
}

/// What says that a file is there: the name of the structure, and its size in bytes.
#[derive(Clone, Debug)]
struct Structure {
    name: Cow<'static, str>,
    len: u64,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    whole: bool,
    program: bool,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new(&Interests::NONE)
    }
}

impl Tree {
    /// The root, which is there even if no member says so.
    pub const ROOT: NodeId = NodeId(0);

    /// An empty tree.
    pub fn new(interests: &'static Interests) -> Self {
        let root = Node::implied(Self::ROOT, Arc::from(&b""[..]));
        Self {
            nodes: vec![root],
            contents: HashMap::new(),
            interpreters: BTreeMap::new(),
            interests,
            wanted: interests.paths.iter().map(|path| path.as_bytes().to_vec()).collect(),
            pending: None,
            speculative: 0,
            text: 0,
            links: 0,
            complete: true,
            structure: Structure { name: Cow::Borrowed("tar header"), len: 512 },
        }
    }

    /// The empty tree of a file system. `structure` is what says that a file is there, such as
    /// `partition 2, ext4 inode`, and `len` its size in bytes.
    pub fn of_volume(structure: String, len: u64) -> Self {
        let structure = Structure { name: Cow::Owned(structure), len };
        Self { structure, ..Self::new(&Interests::NONE) }
    }

    /// Says of the root what its file system says of it.
    pub fn set_root(&mut self, metadata: Metadata) {
        let root = &mut self.nodes[0];
        *root = Node { kind: std::mem::replace(&mut root.kind, Kind::Special), ..metadata.into() };
    }

    /// Adds a file to a directory, or nothing where the tree is full, the parent is no directory,
    /// or has that name already.
    pub fn add_child(&mut self, parent: NodeId, name: &[u8], metadata: Metadata) -> Option<NodeId> {
        if let Kind::Symlink(target) = &metadata.kind {
            self.text += target.len();
        }
        self.may_add(parent, name)?;
        self.push(Node { parent, name: Arc::from(name), ..metadata.into() })
    }

    /// Adds another name for a file that is there: a hard link.
    pub fn add_name(&mut self, parent: NodeId, name: &[u8], target: NodeId) -> Option<()> {
        self.may_add(parent, name)?;
        self.insert_link(parent, name, target)
    }

    fn may_add(&self, parent: NodeId, name: &[u8]) -> Option<()> {
        let Kind::Directory(children) = &self.node(parent).kind else { return None };
        (!children.contains_key(name)).then_some(())
    }

    /// Adds a member, and tells how many bytes of its content the tree wants to see: all of
    /// those, or none, are then given to [`content`](Self::content).
    ///
    /// A member that bsdtar refuses is not added: `..` in its name, a symlink or file where a
    /// directory is due, a hard link to nothing, a file in place of a directory that has files.
    pub fn add(&mut self, member: &Member) -> u64 {
        self.pending = None;
        self.add_member(member).unwrap_or(0)
    }

    fn add_member(&mut self, member: &Member) -> Option<u64> {
        if member.path.len() > MAX_PATH || member.link.len() > MAX_PATH {
            return None;
        }
        let names = components(&member.path)?;
        let kind = match member.kind {
            MemberKind::HardLink => {
                let target = self.descend(&components(&member.link)?)?;
                return self.link(&names, target).and(None);
            }
            MemberKind::Directory => Kind::Directory(BTreeMap::new()),
            MemberKind::Symlink => Kind::Symlink(member.link.clone().into()),
            MemberKind::File | MemberKind::Other(_) => Kind::File(None),
            MemberKind::CharDevice | MemberKind::BlockDevice | MemberKind::Fifo => Kind::Special,
        };
        let mut node = Node {
            kind,
            mode: member.mode,
            uid: member.uid,
            gid: member.gid,
            mtime: member.mtime,
            size: member.sparse.map_or(member.size, |sparse| sparse.real_size),
            offset: Some(member.header_offset.0),
            parent: Self::ROOT,
            name: Arc::from(&b""[..]),
        };
        let Some((name, parents)) = names.split_last() else {
            // The root itself: only a directory can stand for it.
            let root = &mut self.nodes[0];
            if let Kind::Directory(children) = &mut root.kind
                && matches!(node.kind, Kind::Directory(_))
            {
                node.kind = Kind::Directory(std::mem::take(children));
                *root = node;
            }
            return None;
        };
        let parent = self.make_directories(parents)?;
        if let Some(old) = self.child(parent, name)
            && let Kind::Directory(children) = &mut self.nodes[old.0 as usize].kind
        {
            if matches!(node.kind, Kind::Directory(_)) {
                node.kind = Kind::Directory(std::mem::take(children));
                (node.parent, node.name) = (parent, Arc::clone(&self.node(old).name));
                self.nodes[old.0 as usize] = node;
                return None;
            }
            if !children.is_empty() {
                return None;
            }
        }
        (node.parent, node.name) = (parent, Arc::from(*name));
        self.text += member.link.len();
        let id = self.push(node)?;
        Some(self.wants(id, member))
    }

    /// How much of the content of a new node is worth keeping.
    fn wants(&mut self, id: NodeId, member: &Member) -> u64 {
        let path = self.path(id);
        let node = self.node(id);
        let size = node.size;
        match &node.kind {
            Kind::Symlink(_) => {
                self.follow_wanted(&path);
                0
            }
            Kind::File(_) if member.sparse.is_none() && size == member.size => {
                let program = node.mode & 0o111 != 0;
                let speculative = (self.interests.speculative)(&path, size)
                    && self.speculative.saturating_add(size) <= MAX_SPECULATIVE;
                let whole = size <= MAX_CONTENT && (self.wanted.contains(&path) || speculative);
                self.pending = Some((id, Pending { whole, program }));
                match (whole, program) {
                    (true, _) => {
                        self.speculative += if speculative { size } else { 0 };
                        size
                    }
                    (false, true) => PROGRAM_HEAD.min(size),
                    (false, false) => 0,
                }
            }
            _ => 0,
        }
    }

    /// ELF interpreters of the programs in the image, each with the first program that names it.
    pub fn interpreters(&self) -> impl Iterator<Item = (&[u8], NodeId)> {
        self.interpreters.iter().map(|(path, id)| (&**path, *id))
    }

    /// Takes the content of the member that was just added: as much as [`add`](Self::add) asked.
    pub fn content(&mut self, bytes: &[u8]) {
        let Some((id, Pending { whole, program })) = self.pending.take() else { return };
        if program && let Kind::File(found) = &mut self.nodes[id.0 as usize].kind {
            *found = Some(Program::of(bytes));
            if let Some(path) = interpreter(bytes)
                && self.interpreters.len() < MAX_INTERPRETERS
            {
                self.interpreters.entry(path.into()).or_insert(id);
            }
        }
        if whole {
            self.keep(id, bytes);
        }
    }

    fn keep(&mut self, id: NodeId, bytes: &[u8]) {
        self.contents.insert(id, bytes.into());
        for name in self.interests.paths {
            if self.resolve(name.as_bytes()).is_ok_and(|found| found.node == id) {
                for path in (self.interests.named_in)(name, bytes) {
                    self.want(&path);
                }
            }
        }
    }

    /// Wanted files that are in the image and whose content was not kept: the offset of the
    /// header of each, to be [supplied](Self::supply). That may make others wanted.
    pub fn missing(&self) -> BTreeSet<u64> {
        let unkept = |path: &Vec<u8>| {
            let id = self.resolve(path).ok()?.node;
            let node = self.node(id);
            let wanted = matches!(node.kind, Kind::File(_))
                && node.size <= MAX_CONTENT
                && !self.contents.contains_key(&id);
            wanted.then_some(node.offset).flatten()
        };
        self.wanted.iter().filter_map(unkept).collect()
    }

    /// Takes the whole content of the member whose header is at `offset`.
    pub fn supply(&mut self, offset: u64, bytes: &[u8]) {
        let found = self.nodes.iter().position(|node| node.offset == Some(offset));
        if let Some(index) = found.and_then(|index| u32::try_from(index).ok()) {
            self.keep(NodeId(index), bytes);
        }
    }

    /// False if the image has more than the tree can hold.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// How many nodes there are, the root included.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// True if there is nothing but the root.
    pub fn is_empty(&self) -> bool {
        self.nodes.len() == 1
    }

    /// Sum of the sizes of all regular files.
    pub fn total_size(&self) -> u64 {
        let files = self.nodes.iter().filter(|node| matches!(node.kind, Kind::File(_)));
        files.fold(0, |sum, node| sum.saturating_add(node.size))
    }

    /// The node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// The content of a file, where it was kept.
    pub fn kept(&self, id: NodeId) -> Option<&[u8]> {
        self.contents.get(&id).map(|bytes| &**bytes)
    }

    /// What is in a directory, by name; nothing for what is no directory.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = (&[u8], NodeId)> {
        let children = match &self.node(id).kind {
            Kind::Directory(children) => Some(children),
            _ => None,
        };
        children.into_iter().flatten().map(|(name, id)| (&**name, *id))
    }

    /// Everything below a directory, parents first, each directory in the order of its names.
    pub fn below(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        let mut stack: Vec<NodeId> = self.reversed(id);
        std::iter::from_fn(move || {
            let next = stack.pop()?;
            stack.extend(self.reversed(next));
            Some(next)
        })
    }

    fn reversed(&self, id: NodeId) -> Vec<NodeId> {
        let mut children: Vec<_> = self.children(id).map(|(_, id)| id).collect();
        children.reverse();
        children
    }

    /// The directory that the first of its names is in; `None` for the root.
    pub(crate) fn parent(&self, id: NodeId) -> Option<NodeId> {
        (id != Self::ROOT).then(|| self.node(id).parent)
    }

    /// The first of its names.
    pub(crate) fn name(&self, id: NodeId) -> &[u8] {
        &self.node(id).name
    }

    /// The absolute path of a node: the first of its names, where it has several.
    pub fn path(&self, id: NodeId) -> Vec<u8> {
        let mut names = Vec::new();
        let mut at = id;
        // Bounded: a directory is always made before those in it, and a file has nobody in it.
        while at != Self::ROOT {
            let node = self.node(at);
            names.push(&node.name);
            at = node.parent;
        }
        if names.is_empty() {
            return b"/".to_vec();
        }
        names.iter().rev().flat_map(|name| [&b"/"[..], name].concat()).collect()
    }

    /// Where a finding about this node is.
    pub fn location(&self, id: NodeId) -> Location {
        Location {
            structure: self.structure.name.clone(),
            space: ImageSpace::Raw,
            offset: self.node(id).offset.unwrap_or(0),
            len: if self.node(id).offset.is_some() { self.structure.len } else { 0 },
            path: Some(display(&self.path(id))),
        }
    }

    /// The directory at `names`, made with its parents where it is not there. bsdtar makes them
    /// with what the mask leaves of 0777.
    fn make_directories(&mut self, names: &[&[u8]]) -> Option<NodeId> {
        let mut at = Self::ROOT;
        for name in names {
            at = match self.child(at, name) {
                Some(id) => id,
                None => self.push(Node::implied(at, Arc::from(*name)))?,
            };
            if !matches!(self.node(at).kind, Kind::Directory(_)) {
                return None;
            }
        }
        Some(at)
    }

    fn descend(&self, names: &[&[u8]]) -> Option<NodeId> {
        names.iter().try_fold(Self::ROOT, |at, name| self.child(at, name))
    }

    fn link(&mut self, names: &[&[u8]], target: NodeId) -> Option<()> {
        let (name, parents) = names.split_last()?;
        let parent = self.make_directories(parents)?;
        if matches!(self.node(target).kind, Kind::Directory(_)) {
            return None;
        }
        if let Some(old) = self.child(parent, name)
            && self.children(old).next().is_some()
        {
            return None;
        }
        self.insert_link(parent, name, target)
    }

    /// Puts a file that is there into a directory, where there is room.
    fn insert_link(&mut self, parent: NodeId, name: &[u8], target: NodeId) -> Option<()> {
        self.text += name.len();
        if self.links >= MAX_NODES || self.text > MAX_TEXT {
            self.complete = false;
            return None;
        }
        self.links += 1;
        let name: Arc<[u8]> = Arc::from(name);
        self.insert(parent, Arc::clone(&name), target);
        let first = self.node(target).parent;
        if *self.node(first).name == *POOL && *self.node(parent).name != *POOL {
            let node = &mut self.nodes[target.0 as usize];
            (node.parent, node.name) = (parent, name);
        }
        Some(())
    }

    fn child(&self, directory: NodeId, name: &[u8]) -> Option<NodeId> {
        match &self.node(directory).kind {
            Kind::Directory(children) => children.get(name).copied(),
            _ => None,
        }
    }

    fn push(&mut self, node: Node) -> Option<NodeId> {
        self.text += node.name.len();
        if self.nodes.len() >= MAX_NODES || self.text > MAX_TEXT {
            self.complete = false;
            return None;
        }
        let id = NodeId(u32::try_from(self.nodes.len()).ok()?);
        self.insert(node.parent, Arc::clone(&node.name), id);
        self.nodes.push(node);
        Some(id)
    }

    fn insert(&mut self, parent: NodeId, name: Arc<[u8]>, id: NodeId) {
        if let Kind::Directory(children) = &mut self.nodes[parent.0 as usize].kind {
            children.insert(name, id);
        }
    }

    /// A symlink at `path` is new: what is wanted through it is wanted where it leads.
    fn follow_wanted(&mut self, path: &[u8]) {
        let below =
            self.wanted.range(path.to_vec()..).take_while(|wanted| wanted.starts_with(path));
        let through: Vec<_> = below
            .filter(|wanted| matches!(wanted.get(path.len()), None | Some(b'/')))
            .cloned()
            .collect();
        through.iter().for_each(|wanted| self.want(wanted));
    }

    fn want(&mut self, path: &[u8]) {
        let led = match self.resolve(path) {
            Ok(found) => self.path(found.node),
            Err(Unresolved::NotFound { path, .. }) => path,
            Err(_) => return,
        };
        for path in [path.to_vec(), led] {
            if self.wanted.len() < MAX_WANTED && path.len() <= MAX_PATH {
                self.wanted.insert(path);
            }
        }
    }
}

/// The names in the path of a member; `None` where it has `..` or a name nobody can make.
fn components(path: &[u8]) -> Option<Vec<&[u8]>> {
    let names = path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b"."));
    names.map(|name| (name != b".." && name.len() <= MAX_NAME).then_some(name)).collect()
}

/// A path, or other text from an image, for people: what is not printable is escaped.
pub fn display(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
        }
        text.push_str(&chunk.invalid().escape_ascii().to_string());
    }
    text
}

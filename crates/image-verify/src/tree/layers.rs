//! Layers of a container: each is put over those below, and may take away what they have.

use image_formats::tar::{Kind as MemberKind, Member};

use super::{Kind, NodeId, Tree, components};

/// How often the path of one member is led elsewhere by links of its own layer.
const MAX_LED: usize = 8;

/// How often that happens in a layer.
const MAX_LED_ALL: u32 = 1 << 10;

/// A layer that is put over others.
#[derive(Debug)]
pub(crate) struct Layer {
    /// The first file of it: what has a higher number is its own as well.
    first: NodeId,
    /// How often links of it were followed.
    led: u32,
}

impl Tree {
    /// Starts a layer.
    pub(crate) fn start_layer(&self) -> Layer {
        Layer { first: NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)), led: 0 }
    }

    /// Takes away what is at a path, and all below it. False: nothing is there.
    pub(crate) fn remove(&mut self, path: &[u8]) -> bool {
        let Some(names) = components(path) else { return false };
        let Some((name, parents)) = names.split_last() else { return false };
        let Some(parent) = self.descend(parents) else { return false };
        self.take(parent, name).is_some()
    }

    /// Takes away all that is in a directory.
    pub(crate) fn clear(&mut self, path: &[u8]) {
        let found = components(path).and_then(|names| self.descend(&names));
        let node = found.and_then(|id| self.nodes.get_mut(id.0 as usize));
        if let Some(Kind::Directory(children)) = node.map(|node| &mut node.kind) {
            children.clear();
        }
    }

    fn take(&mut self, parent: NodeId, name: &[u8]) -> Option<NodeId> {
        match &mut self.nodes.get_mut(parent.0 as usize)?.kind {
            Kind::Directory(children) => children.remove(name),
            _ => None,
        }
    }

    /// Adds a member of a layer: what is in its way goes, be it of this layer or of those below.
    /// Tells, as [`add`](Self::add) does, how much of its content is wanted, and whether a symbolic
    /// link of a layer below had to go for a directory.
    pub(crate) fn add_over(&mut self, member: &mut Member, layer: &mut Layer) -> (u64, bool) {
        let mut replaced = false;
        for _ in 0..MAX_LED {
            match self.make_way(member, layer.first) {
                Way::Free(link) => {
                    replaced |= link;
                    break;
                }
                Way::Led(_) if layer.led >= MAX_LED_ALL => {
                    self.complete = false;
                    return (0, replaced);
                }
                Way::Led(path) => {
                    layer.led += 1;
                    member.path = path;
                }
            }
        }
        (self.add(member), replaced)
    }

    fn make_way(&mut self, member: &Member, first: NodeId) -> Way {
        let Some(names) = components(&member.path) else { return Way::Free(false) };
        let (mut at, mut replaced) = (Self::ROOT, false);
        for (index, name) in names.iter().enumerate() {
            let Some(next) = self.child(at, name) else { break };
            let is_last = index + 1 == names.len();
            let stays = match &self.node(next).kind {
                Kind::Directory(_) => !is_last || member.kind == MemberKind::Directory,
                Kind::Symlink(_) if !is_last && next >= first => {
                    // A layer is unpacked in one go, and its own links are followed.
                    let led = self.follow(next).ok().map(|found| self.path(found.node));
                    if let Some(led) = led {
                        let rest = names[index + 1..].join(&b'/');
                        return Way::Led([&led, &b"/"[..], &rest].concat());
                    }
                    false
                }
                Kind::Symlink(_) => {
                    let needs_directory = !is_last || member.kind == MemberKind::Directory;
                    replaced |= needs_directory && next < first;
                    false
                }
                Kind::File(_) | Kind::Special => false,
            };
            if !stays {
                self.take(at, name);
                break;
            }
            at = next;
        }
        Way::Free(replaced)
    }
}

/// What is in the way of a member.
enum Way {
    /// Nothing any more; and whether that was a link of a layer below.
    Free(bool),
    /// A link of the same layer: it leads to this path.
    Led(Vec<u8>),
}

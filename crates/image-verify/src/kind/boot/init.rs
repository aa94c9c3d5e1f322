//! The first program of a system.

use image_formats::elf;

use super::Processor;
use crate::{
    tree::{Kind, NodeId, Unresolved, display},
    volume::Volume,
};

/// How much of a program tells what it is.
const HEAD: u64 = 4096;

/// The executable file that a path leads to; or, in words, why there is none.
pub(crate) fn program(root: &Volume, path: &[u8]) -> Result<NodeId, String> {
    let found = root.tree.resolve(path).map_err(|error| match error {
        Unresolved::NotFound { path: missing, .. } if missing == path => "not there".to_owned(),
        Unresolved::NotFound { path, .. } => format!("leads to {}, not there", display(&path)),
        Unresolved::NotADirectory(_) => "leads through a file".to_owned(),
        Unresolved::Loop(_) => "a loop of symlinks".to_owned(),
    })?;
    executable(root, found.node)
}

/// The file, if it can be executed; or, in words, why not.
pub(crate) fn executable(root: &Volume, id: NodeId) -> Result<NodeId, String> {
    let node = root.tree.node(id);
    match &node.kind {
        Kind::File(_) if node.mode & 0o111 == 0 => {
            Err(format!("mode {:04o}, not executable", node.mode))
        }
        Kind::File(_) if node.size == 0 => Err("empty".to_owned()),
        Kind::File(_) => Ok(id),
        other => Err(format!("a {}, not a file", other.as_str())),
    }
}

/// What runs a script; `None` for what is no script.
pub(crate) fn script(root: &Volume, id: NodeId) -> Option<Vec<u8>> {
    let head = root.head(id, HEAD).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let word = line.split(u8::is_ascii_whitespace).find(|word| !word.is_empty())?;
    Some(word.to_vec())
}

/// Whether a program is for this processor; or, in words, what it is instead. `name` is what people
/// call it.
pub(crate) fn is_for(
    processor: Processor,
    root: &Volume,
    id: NodeId,
    name: &str,
) -> Result<(), String> {
    let head = root.head(id, HEAD).unwrap_or_default();
    let header = elf::Header::from_prefix(&head).filter(|_| head.starts_with(b"\x7fELF"));
    match header {
        Some(header) if !header.is_elf64_le() => {
            Err(format!("{name} is for 32 bits, not for {processor}"))
        }
        Some(header) if header.machine() == processor.elf() => Ok(()),
        Some(header) => Err(format!("{name} is for {}, not for {processor}", header.machine())),
        None => Err(format!("{name} is neither a script nor an ELF program")),
    }
}

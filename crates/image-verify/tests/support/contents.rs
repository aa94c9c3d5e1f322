//! What is in the files of a volume, as a thread reads it.

use std::collections::BTreeMap;

use image_verify::{
    tree::{Kind, Tree},
    volume::Volume,
};

/// The regular files, by all of their paths, with their contents or why these cannot be read.
pub(crate) fn contents(volume: &Volume) -> BTreeMap<Vec<u8>, Result<Vec<u8>, String>> {
    let tree = &volume.tree;
    let mut reader = volume.files.contents().reader();
    let mut found = BTreeMap::new();
    // By names, so that all names of a hard link are there.
    let mut waiting = vec![(Tree::ROOT, Vec::new())];
    while let Some((directory, path)) = waiting.pop() {
        for (name, id) in tree.children(directory) {
            let path = [&path[..], b"/", name].concat();
            match &tree.node(id).kind {
                Kind::Directory(_) => waiting.push((id, path)),
                Kind::File(_) => {
                    let mut content = Vec::new();
                    let read = reader.read(tree, id, &mut |piece| content.extend(piece));
                    let content = match read {
                        Ok(()) => {
                            assert_eq!(content.len() as u64, tree.node(id).size, "{path:?}");
                            Ok(content)
                        }
                        Err(error) => Err(match std::error::Error::source(&error) {
                            Some(cause) => format!("{error}: {cause}"),
                            None => error.to_string(),
                        }),
                    };
                    found.insert(path, content);
                }
                _ => {}
            }
        }
    }
    found
}

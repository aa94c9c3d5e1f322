//! Archives: the order of their members, and where everything is.

use std::collections::BTreeSet;

use image_formats::{bytes::Region, tar::raw::BLOCK};

use super::{
    fields::{
        Show::{Bytes, Text},
        field,
    },
    kinds::*,
    map::{Map, Table, What},
    out::{Out, Told, VolumeNumber},
};
use crate::{
    tree::{Kind, NodeId, Tree, display},
    volume::Volume,
};

/// The header of a member.
static HEADER: Table = Table {
    fields: &[
        field(100, 8, "mode", &FILE_MODE, Text),
        field(108, 16, "uid and gid", &FILE_OWNER, Text),
        field(124, 12, "size", &FILE_CONTENT, Text),
        field(136, 12, "mtime", &FILE_MTIME, Text),
        field(156, 1, "typeflag", &FILE_TYPE, Bytes),
        field(157, 100, "linkname", &FILE_TARGET, Text),
    ],
    rest: &TAR_HEADER,
    other: &TAR_HEADER,
};

/// The members of which the tree has the headers, in their order.
fn members(tree: &Tree) -> Vec<(u64, NodeId)> {
    let all = std::iter::once(Tree::ROOT).chain(tree.below(Tree::ROOT));
    let mut members: Vec<_> = all.filter_map(|id| Some((tree.node(id).offset?, id))).collect();
    members.sort_unstable();
    members.dedup();
    members
}

/// Compares the order of the members that both archives have.
pub(super) fn order(
    a: &Volume,
    b: &Volume,
    common: &[(NodeId, NodeId)],
    (volume, name): (VolumeNumber, &str),
    out: &mut Out,
) {
    let of_a: BTreeSet<NodeId> = common.iter().map(|(a, _)| *a).collect();
    let to_a: std::collections::BTreeMap<NodeId, NodeId> =
        common.iter().map(|(a, b)| (*b, *a)).collect();
    let order_a = members(&a.tree).into_iter().filter(|(_, id)| of_a.contains(id));
    let order_b = members(&b.tree).into_iter().filter_map(|(at, id)| Some((at, *to_a.get(&id)?)));
    let different = order_a.zip(order_b).find(|((_, a), (_, b))| a != b);
    if let Some(((at_a, id_a), (at_b, id_b))) = different {
        let told = Told { volume, place: name };
        let mut difference = told.difference(&TAR_ORDER, &format!("{name}, order of members"));
        difference.a = Some(display(&a.tree.path(id_a)));
        difference.b = Some(display(&a.tree.path(id_b)));
        difference.at.space = Some(image_model::ImageSpace::Raw);
        (difference.at.a, difference.at.b) = (Some(at_a), Some(at_b));
        out.push(volume, &TAR_ORDER, difference);
    }
}

/// The headers and contents of all members.
pub(super) fn map(
    region: &Region,
    opened: &Volume,
    volume: VolumeNumber,
    name: &str,
    map: &mut Map,
) {
    let block = BLOCK as u64;
    let members = members(&opened.tree);
    let end = members.last().map_or(0, |(at, id)| {
        let node = opened.tree.node(*id);
        let size = if matches!(node.kind, Kind::File(_)) { node.size } else { 0 };
        at.saturating_add(block).saturating_add(size.next_multiple_of(block))
    });
    let mut below = map.layer(volume);
    let headers = below.name(format!("{name}, headers of members"));
    below.add(0, end.min(region.len()), What::Kind(&TAR_HEADER), headers);
    let after = below.name(format!("{name}, after the last member"));
    below.add(end, region.len().saturating_sub(end), What::Kind(&TAR_PADDING), after);
    below.finish();
    let mut layer = map.layer(volume);
    let contents = layer.name(format!("{name}, contents of files"));
    let padding = layer.name(format!("{name}, ends of members"));
    for (at, id) in members {
        let what = What::Fields { table: &HEADER, stride: BLOCK as u32, node: Some(id) };
        layer.add(at, block, what, headers);
        let node = opened.tree.node(id);
        if matches!(node.kind, Kind::File(_)) {
            let start = at.saturating_add(block);
            layer.add(start, node.size, What::Content { node: id, from: 0 }, contents);
            let rest = node.size.next_multiple_of(block) - node.size;
            let end = start.saturating_add(node.size);
            layer.add(end, rest, What::Kind(&TAR_PADDING), padding);
        }
    }
    layer.finish();
}

//! The resize inode, which holds the blocks that are kept for more group descriptors.

use image_formats::{
    bytes::ReadError,
    ext4::{Block, Descriptor, Geometry, GroupIndex, Ino, Inode, compat},
};

use super::{checks::*, groups::Judge, structure};

/// `EXT2_DIND_BLOCK`: where `i_block` has the block that leads to blocks of pointers.
const DOUBLE: usize = 13;

/// `S_IFREG`, of which e2fsck wants the bit.
const REGULAR: u16 = 0o100_000;

/// Judges it as e2fsck does before its first pass, where a mistake is told and then forgotten.
pub(super) fn verify(judge: &mut Judge, descriptors: &[Descriptor]) -> Result<(), ReadError> {
    let geometry = judge.geometry;
    let Some(descriptor) = descriptors.first() else { return Ok(()) };
    let (_, index) = geometry.place(Ino::RESIZE);
    let within = u64::from(index) * u64::from(geometry.inode_size);
    let at = geometry.offset(descriptor.inode_table()) + within;
    let mut bytes = vec![0; usize::from(geometry.inode_size)];
    judge.region.fill("ext4 resize inode", at, &mut bytes)?;
    let wrong = if judge.superblock.compat(compat::RESIZE_INODE) {
        resize_inode(judge, at, &Inode::new(&bytes))?
    } else {
        let inode = Inode::new(&bytes);
        let first = pointers(&inode).position(|block| block != 0);
        first.map(|index| {
            (at + I_BLOCK + 4 * index as u64, "has blocks, and there is no resize_inode".to_owned())
        })
    };
    judge.out.expect(&RESIZE_INODE, wrong.is_none(), || {
        let (at, message) = wrong.unwrap_or_default();
        let name = format!("{}, ext4 {}", judge.name, Ino::RESIZE);
        (structure(judge.region, name, at, 0), message)
    });
    Ok(())
}

/// +0x28 `i_block`.
const I_BLOCK: u64 = 0x28;

fn pointers(inode: &Inode) -> impl Iterator<Item = u32> {
    inode.raw.i_block.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes))
}

/// What is wrong with it, and where.
fn resize_inode(judge: &Judge, at: u64, inode: &Inode) -> Result<Option<(u64, String)>, ReadError> {
    let geometry = judge.geometry;
    let raw = &inode.raw;
    if raw.i_mode.get() & REGULAR == 0 {
        return Ok(Some((at, format!("mode {:#o}, not a regular file", raw.i_mode))));
    }
    if raw.i_links_count.get() == 0 {
        return Ok(Some((at + 0x1a, "0 links".to_owned())));
    }
    let other = pointers(inode).enumerate().find(|(index, block)| *index != DOUBLE && *block != 0);
    if let Some((index, block)) = other {
        let message = format!("i_block[{index}] is {block}, not 0");
        return Ok(Some((at + I_BLOCK + 4 * index as u64, message)));
    }
    let double = Block(pointers(inode).nth(DOUBLE).unwrap_or_default().into());
    let low = Block(u64::from(geometry.first_data_block).max(1));
    if double < low || double.0 >= geometry.blocks_count {
        let message = format!("i_block[{DOUBLE}] is {double}, which is not in the file system");
        return Ok(Some((at + I_BLOCK + 4 * DOUBLE as u64, message)));
    }
    reserved(judge, geometry, double)
}

/// Follows the pointers to the blocks that are kept in group 0, and what is in these: the blocks
/// that are kept in the other groups.
fn reserved(
    judge: &Judge,
    geometry: &Geometry,
    double: Block,
) -> Result<Option<(u64, String)>, ReadError> {
    let per_block = geometry.block_size / 4;
    let copies: Vec<_> = (1..geometry.group_count)
        .map(GroupIndex)
        .filter(|group| geometry.has_superblock(*group))
        .take(per_block as usize)
        .collect();
    let mut pointers = vec![0; geometry.block_size as usize];
    judge.region.fill("ext4 resize inode", geometry.offset(double), &mut pointers)?;
    let mut within = vec![0; copies.len() * 4];
    let kept = u32::from(judge.superblock.raw.s_reserved_gdt_blocks.get());
    let first = geometry.descriptor_block(0).0;
    for number in (geometry.descriptor_blocks()..).take(kept as usize) {
        let expected = Block(first + u64::from(number));
        let slot = number % per_block;
        let at = geometry.offset(double) + u64::from(slot) * 4;
        let found = pointer(&pointers, slot as usize);
        if found != expected.0 as u32 {
            return Ok(Some((at, format!("block {found}, not {}", expected.0))));
        }
        if expected.0 >= geometry.blocks_count {
            return Ok(Some((at, format!("block {found}, which is not in the file system"))));
        }
        let at = geometry.offset(expected);
        judge.region.fill("ext4 resize inode", at, &mut within)?;
        for (index, group) in copies.iter().enumerate() {
            let before = u64::from(group.0) * u64::from(geometry.blocks_per_group);
            let expected = Block(expected.0.saturating_add(before));
            let found = pointer(&within, index);
            if found != expected.0 as u32 {
                let at = at + 4 * index as u64;
                return Ok(Some((at, format!("block {found}, not {}, of {group}", expected.0))));
            }
        }
    }
    Ok(None)
}

fn pointer(bytes: &[u8], index: usize) -> u32 {
    let found = bytes.get(index * 4..).and_then(|rest| rest.first_chunk());
    found.map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

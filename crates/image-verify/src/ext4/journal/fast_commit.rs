//! What Linux finds when it replays fast commits: `ext4_fc_replay_scan` of fs/ext4/fast_commit.c.
//!
//! Each adds to what the log had when it ended. Those of an older log may still be there.

use image_formats::{
    bytes::ReadError,
    ext4::checksum,
    jbd2::{FastCommitTag, fast_commit_tags},
};

use super::log::{Fault, Read};

/// `EXT4_NAME_LEN`.
const MAX_NAME: usize = 255;

/// Judges the fast commits in the blocks `area` of a journal, which continue the transactions before
/// `sequence`. `None` where Linux replays them, or finds none.
pub(super) fn judge(
    read: &mut Read<'_>,
    area: std::ops::Range<u64>,
    sequence: u32,
    block: &mut [u8],
    inode_size: u16,
) -> Result<Option<Fault>, ReadError> {
    let mut sum = 0;
    // One fast commit was complete: what follows may be older.
    let mut complete = false;
    let first = area.start;
    for at in area {
        if !read(at, block)? {
            break;
        }
        let mut tags = fast_commit_tags(block).peekable();
        if at == first && tags.peek().is_none_or(|tag| tag.tag != FastCommitTag::HEAD) {
            return Ok(None);
        }
        for tag in tags {
            let fault = |message: String| (!complete).then(|| Fault::new(at, message));
            if !has_length(&tag, inode_size) {
                let (kind, len) = (tag.tag, tag.len);
                return Ok(fault(format!("tag {kind} with {len} bytes, before any tail")));
            }
            match tag.tag {
                FastCommitTag::HEAD => {
                    let Some(head) = tag.head() else { return Ok(None) };
                    if head.fc_features.get() != 0 {
                        let features = head.fc_features;
                        let message = format!("unknown features {features:#x}");
                        return Ok(Some(Fault::new(at, message)));
                    }
                    if head.fc_tid.get() != sequence {
                        return Ok(None);
                    }
                    sum = checksum::crc32c(sum, tag.bytes);
                }
                FastCommitTag::TAIL => {
                    let Some(tail) = tag.tail() else { return Ok(None) };
                    let computed = checksum::crc32c(sum, tag.before_checksum());
                    let (tid, stored) = (tail.fc_tid.get(), tail.fc_crc.get());
                    if tid != sequence || stored != computed {
                        let message = format!(
                            "tail of transaction {tid}, not {sequence}; stored {stored:#010x}, \
                             computed {computed:#010x}"
                        );
                        return Ok(fault(message));
                    }
                    complete = true;
                    sum = 0;
                }
                _ => sum = checksum::crc32c(sum, tag.bytes),
            }
        }
    }
    Ok(None)
}

/// `ext4_fc_value_len_isvalid`.
fn has_length(tag: &FastCommitTag<'_>, inode_size: u16) -> bool {
    let len = tag.len;
    let whole = tag.value.len() == len;
    whole
        && match tag.tag {
            FastCommitTag::ADD_RANGE => len == 16,
            FastCommitTag::DEL_RANGE => len == 12,
            FastCommitTag::CREAT | FastCommitTag::LINK | FastCommitTag::UNLINK => {
                (9..=8 + MAX_NAME).contains(&len)
            }
            FastCommitTag::INODE => (4 + 128..=4 + usize::from(inode_size)).contains(&len),
            FastCommitTag::PAD => true,
            FastCommitTag::TAIL => len >= 8,
            FastCommitTag::HEAD => len == 8,
            _ => false,
        }
}

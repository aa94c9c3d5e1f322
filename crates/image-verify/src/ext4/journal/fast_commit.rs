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

#[cfg(test)]
mod tests {
    use super::*;

    /// A block of tags, each with its value; the checksums of tails are made.
    fn block(tags: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut sum = 0;
        for (tag, value) in tags {
            let at = bytes.len();
            bytes.extend(tag.to_le_bytes());
            bytes.extend((value.len() as u16).to_le_bytes());
            bytes.extend(*value);
            if *tag == FastCommitTag::TAIL {
                let end = checksum::crc32c(sum, &bytes[at..at + 8]).to_le_bytes();
                bytes[at + 8..at + 12].copy_from_slice(&end);
                sum = 0;
            } else {
                sum = checksum::crc32c(sum, &bytes[at..]);
            }
        }
        let rest = 1024 - 4 - bytes.len();
        bytes.extend(FastCommitTag::PAD.to_le_bytes());
        bytes.extend((rest as u16).to_le_bytes());
        bytes.resize(1024, 0);
        bytes
    }

    fn verdict(blocks: &[Vec<u8>]) -> Option<String> {
        let mut read = |at: u64, bytes: &mut [u8]| {
            let block = blocks.get(at as usize - 5);
            bytes.copy_from_slice(block.map_or(&[0; 1024], |block| &block[..]));
            Ok(true)
        };
        let fault = judge(&mut read, 5..9, 7, &mut [0; 1024], 256).unwrap();
        fault.map(|fault| fault.message)
    }

    const HEAD: (u16, &[u8]) = (FastCommitTag::HEAD, &[0, 0, 0, 0, 7, 0, 0, 0]);
    const TAIL: (u16, &[u8]) = (FastCommitTag::TAIL, &[7, 0, 0, 0, 0, 0, 0, 0]);
    const LINK: (u16, &[u8]) = (FastCommitTag::LINK, &[2, 0, 0, 0, 12, 0, 0, 0, b'a']);

    #[test]
    fn what_is_older_than_the_log_is_no_fault() {
        assert_eq!(verdict(&[]), None);
        let old = (FastCommitTag::HEAD, &[0, 0, 0, 0, 6, 0, 0, 0][..]);
        assert_eq!(verdict(&[block(&[old, LINK])]), None);
        assert_eq!(verdict(&[block(&[HEAD, LINK, TAIL])]), None);
        // The second is torn, or of another transaction: then there is one.
        let mut torn = block(&[LINK, TAIL]);
        torn[20] ^= 1;
        assert_eq!(verdict(&[block(&[HEAD, LINK, TAIL]), torn.clone()]), None);
    }

    #[test]
    fn a_first_one_that_is_not_complete_is_a_fault() {
        let mut torn = block(&[HEAD, LINK, TAIL]);
        torn[16] ^= 1;
        assert!(verdict(&[torn]).unwrap().starts_with("tail of transaction 7, not 7"));
        // Without a tail, zeros follow: no tag has the number 0.
        assert_eq!(
            verdict(&[block(&[HEAD, LINK])]).unwrap(),
            "tag 0 with 0 bytes, before any tail"
        );
        let features = (FastCommitTag::HEAD, &[1, 0, 0, 0, 7, 0, 0, 0][..]);
        assert_eq!(verdict(&[block(&[features])]).unwrap(), "unknown features 0x1");
        let long = (FastCommitTag::LINK, &[0; 264][..]);
        assert_eq!(
            verdict(&[block(&[HEAD, long])]).unwrap(),
            "tag 4 with 264 bytes, before any tail"
        );
    }
}

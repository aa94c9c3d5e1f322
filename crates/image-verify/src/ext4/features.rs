//! Features that need or exclude each other, and what the superblock keeps for single ones.

use std::mem::offset_of;

use image_formats::ext4::{compat, incompat, raw, ro_compat};

use super::{checks::*, superblock::Judge};

macro_rules! field {
    ($field:ident) => {
        offset_of!(raw::Superblock, $field)
    };
}

/// `EXT4_ENC_UTF8_12_1`, the only encoding there is.
const UTF8_12_1: u16 = 1;

/// The last of `dx_hash_…` that a directory may have: 6 is siphash.
const LAST_HASH: u8 = 6;

impl Judge<'_> {
    /// Judges what belongs to features.
    pub(super) fn features(&mut self) {
        self.needs();
        self.pairs();
        self.extra_size();
        let superblock = self.superblock;
        let raw = &superblock.raw;
        let flex = raw.s_log_groups_per_flex;
        self.expect(&FLEX_SIZE, flex <= 31, field!(s_log_groups_per_flex), || {
            format!("s_log_groups_per_flex {flex}, and 31 is the most")
        });
        if superblock.incompat(incompat::CASEFOLD) {
            let encoding = raw.s_encoding.get();
            self.expect(&ENCODING, encoding == UTF8_12_1, field!(s_encoding), || {
                format!("s_encoding {encoding}, not {UTF8_12_1}, UTF-8 12.1")
            });
        }
        if superblock.incompat(incompat::ENCRYPT) {
            let level = raw.s_encryption_level;
            self.expect(&ENCRYPTION, level == 0, field!(s_encryption_level), || {
                format!("s_encryption_level {level}, not 0")
            });
        }
        if superblock.compat(compat::DIR_INDEX) {
            let hash = raw.s_def_hash_version;
            self.expect(&HASH_VERSION, hash <= LAST_HASH, field!(s_def_hash_version), || {
                format!("s_def_hash_version {hash}, and {LAST_HASH} is the most")
            });
        }
    }

    /// What does not work alone.
    fn needs(&mut self) {
        let superblock = self.superblock;
        let bigalloc = superblock.ro_compat(ro_compat::BIGALLOC);
        let extents = superblock.incompat(incompat::EXTENTS);
        self.expect(&FEATURE_NEEDS, !bigalloc || extents, field!(s_feature_incompat), || {
            "bigalloc without extent".to_owned()
        });
    }

    /// What e2fsck wants to change, and can live with.
    fn pairs(&mut self) {
        let superblock = self.superblock;
        let raw = &superblock.raw;
        let metadata_csum = superblock.ro_compat(ro_compat::METADATA_CSUM);
        let both = metadata_csum && superblock.ro_compat(ro_compat::GDT_CSUM);
        self.expect(&FEATURE_PAIRS, !both, field!(s_feature_ro_compat), || {
            "metadata_csum and uninit_bg, of which the first replaces the second".to_owned()
        });
        let seed = superblock.incompat(incompat::CSUM_SEED);
        self.expect(&FEATURE_PAIRS, !seed || metadata_csum, field!(s_feature_incompat), || {
            "metadata_csum_seed without metadata_csum".to_owned()
        });
        let wide = superblock.incompat(incompat::BITS_64);
        let extents = superblock.incompat(incompat::EXTENTS);
        self.expect(&FEATURE_PAIRS, !wide || extents, field!(s_feature_incompat), || {
            "64bit without extent, so that no file reaches beyond 32 bits".to_owned()
        });
        let resize = superblock.compat(compat::RESIZE_INODE);
        let meta = superblock.incompat(incompat::META_BG);
        self.expect(&FEATURE_PAIRS, !resize || !meta, field!(s_feature_compat), || {
            "resize_inode and meta_bg, which grow in different ways".to_owned()
        });
        let kept = raw.s_reserved_gdt_blocks.get();
        self.expect(&FEATURE_PAIRS, resize || kept == 0, field!(s_reserved_gdt_blocks), || {
            format!("s_reserved_gdt_blocks {kept}, not 0: there is no resize_inode")
        });
        let any = [raw.s_feature_compat, raw.s_feature_incompat, raw.s_feature_ro_compat]
            .iter()
            .any(|features| features.get() != 0);
        self.expect(&FEATURE_PAIRS, superblock.is_dynamic() || !any, field!(s_rev_level), || {
            "revision 0 with features, which came with revision 1".to_owned()
        });
    }

    /// How much of an inode is beyond its first 128 bytes.
    fn extra_size(&mut self) {
        let raw = &self.superblock.raw;
        let room = self.superblock.inode_size().saturating_sub(128);
        if room == 0 {
            return;
        }
        let fields = [
            ("s_min_extra_isize", raw.s_min_extra_isize.get(), field!(s_min_extra_isize)),
            ("s_want_extra_isize", raw.s_want_extra_isize.get(), field!(s_want_extra_isize)),
        ];
        let used = self.superblock.ro_compat(ro_compat::EXTRA_ISIZE);
        for (name, size, field) in fields {
            self.expect(&EXTRA_SIZE, !used || size <= room, field, || {
                format!("{name} {size}, and {room} is the most")
            });
            // `i_extra_isize` and `i_checksum_hi` take 4 bytes.
            let fields = size >= 4 && size.is_multiple_of(4);
            let even = size == 0 || fields && size <= room || used && size > room;
            self.expect(&EXTRA_SIZE_ODD, even, field, || {
                format!("{name} {size}, not 0 or a multiple of 4, {room} at most")
            });
        }
    }
}

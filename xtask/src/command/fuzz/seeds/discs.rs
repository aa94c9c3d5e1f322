//! First inputs for the checkers of discs: small ones that have all that a disc boots with.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use super::{Kitchen, in_folder};
use crate::failure::Failure;

/// Options of `xorriso -as mkisofs`. The first is what nixpkgs makes for a PC, the second for
/// AArch64.
const XORRISO: &[&str] = &[
    "-iso-level 3 -volid SEED -full-iso9660-filenames -joliet -b isolinux/boot.img -c .boot.cat \
     -no-emul-boot -boot-load-size 4 -boot-info-table -isohybrid-mbr syslinux.bin \
     -eltorito-alt-boot -e boot/efi.img -no-emul-boot -isohybrid-gpt-basdat -r tree",
    "-iso-level 3 -volid SEED -joliet -e boot/efi.img -no-emul-boot -r tree",
    "-iso-level 1 -volid PLAIN tree",
    "-iso-level 4 -volid LEVEL4 -joliet-long -r tree",
    "-volid SEED -r -partition_offset 16 --grub2-mbr grub.bin -b isolinux/boot.img \
     -c .boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table --grub2-boot-info \
     -append_partition 2 0xef tree/boot/efi.img -appended_part_as_gpt -eltorito-alt-boot \
     -e --interval:appended_partition_2:all:: -no-emul-boot tree",
    "-volid APPLE -r -hfsplus -apm-block-size 2048 tree/dir",
    "-volid FLOPPY -graft-points -b floppy.img -c boot.cat -r floppy.img=floppy.img /=tree/dir",
];

/// Options of `genisoimage`.
const GENISOIMAGE: &[&str] = &[
    "-V OLD -R -J -T tree",
    "-V DEEP -r -l -b isolinux/boot.img -c boot.cat -no-emul-boot -boot-info-table tree",
    "-V BRIDGE -r -udf tree/dir",
];

impl Kitchen<'_> {
    pub(super) fn discs(&self) -> Result<(), Failure> {
        let xorriso = self.tool("xorriso", "xorriso")?;
        let genisoimage = self.tool("genisoimage", "genisoimage")?;
        self.bootable().map_err(in_folder(self.work))?;
        self.efi()?;
        self.store()?;
        let all = [(&xorriso, XORRISO), (&genisoimage, GENISOIMAGE)];
        for (tool, (maker, recipes)) in all.into_iter().enumerate() {
            for (number, options) in recipes.iter().enumerate() {
                let name = format!("disc-{tool}-{number}");
                let first: &[&str] = if tool == 0 { &["-as", "mkisofs"] } else { &[] };
                let mut args = [first, &["-quiet", "-o", &*name]].concat();
                args.extend(options.split_whitespace());
                self.run(maker, &args)?;
                self.pack(&self.work.join(&name), &name)?;
            }
        }
        Ok(())
    }

    /// What firmware and boot loaders look for, as short as it may be.
    fn bootable(&self) -> io::Result<()> {
        let tree = self.work.join("tree");
        for dir in ["isolinux", "boot/grub", "EFI/BOOT", "dir/deep/deeper/3/4/5/6/7/8/9"] {
            fs::create_dir_all(tree.join(dir))?;
        }
        fs::write(tree.join("dir/deep/deeper/3/4/5/6/7/8/9/file"), "deep\n")?;
        fs::write(tree.join(format!("dir/{}", "n".repeat(250))), "a long name\n")?;
        let mut image = vec![0; 3000];
        image[64..68].copy_from_slice(&[0xfb, 0xc0, 0x78, 0x70]);
        fs::write(tree.join("isolinux/boot.img"), image)?;
        let paths = "/boot//bzImage init=/nix/store/a-system/init root=LABEL=SEED";
        let (kernel, words) = paths.split_once(' ').expect("there is one");
        fs::write(
            tree.join("isolinux/isolinux.cfg"),
            format!(
                "DEFAULT boot\nLABEL boot\nMENU LABEL Seed\nLINUX {kernel}\nAPPEND {words}\n\
                 INITRD /boot/initrd\n"
            ),
        )?;
        let menu =
            format!("menuentry 'Seed' {{\n  linux {kernel} {words}\n  initrd /boot/initrd\n}}\n");
        for config in ["boot/grub/loopback.cfg", "boot/grub/grub.cfg", "EFI/BOOT/grub.cfg"] {
            fs::write(tree.join(config), &menu)?;
        }
        fs::write(tree.join("EFI/BOOT/BOOTX64.EFI"), pe(0x8664))?;
        let mut kernel = vec![0; 1024];
        kernel[510..512].copy_from_slice(&[0x55, 0xaa]);
        kernel[0x202..0x208].copy_from_slice(b"HdrS\x0f\x02");
        fs::write(tree.join("boot/bzImage"), kernel)?;
        let end = "070701".to_owned() + &"0".repeat(88) + "0000000b00000000" + "TRAILER!!!\0";
        fs::write(tree.join("boot/initrd"), end)?;
        // Boot code is known by its messages.
        for (name, message) in
            [("syslinux.bin", &b"isolinux.bin missing"[..]), ("grub.bin", b"GRUB \0Geom\0")]
        {
            let mut code = [0; 432];
            code[100..100 + message.len()].copy_from_slice(message);
            fs::write(self.work.join(name), code)?;
        }
        File::create(self.work.join("floppy.img"))?.set_len(1440 << 10)
    }

    /// A FAT with programs for UEFI.
    fn efi(&self) -> Result<(), Failure> {
        let image = "tree/boot/efi.img";
        let mkfs = self.tool("mkfs.fat", "dosfstools")?;
        let args = ["-F", "12", "--invariant", "-i", "12345678", "-n", "EFIBOOT", "-C"];
        self.run(&mkfs, &[&args[..], &[image, "96"]].concat())?;
        let arm = self.work.join("BOOTAA64.EFI");
        fs::write(&arm, pe(0xaa64)).map_err(in_folder(&arm))?;
        let mcopy = self.tool("mcopy", "mtools")?;
        self.run(&mcopy, &["-s", "-m", "-i", image, "tree/EFI", "::/"])?;
        self.run(&mcopy, &["-m", "-i", image, "BOOTAA64.EFI", "::/EFI/BOOT/"])
    }

    /// The store that the system is in.
    fn store(&self) -> Result<(), Failure> {
        let fill = |dir: &Path| {
            fs::create_dir_all(dir.join("a-system"))?;
            fs::write(dir.join("a-system/init"), "#!\n")?;
            fs::write(dir.join("nix-path-registration"), "/nix/store/a-system\n\n0\n")
        };
        let dir = self.work.join("store");
        fill(&dir).map_err(in_folder(&dir))?;
        let mksquashfs = self.tool("mksquashfs", "squashfs-tools")?;
        let args =
            "store tree/nix-store.squashfs -no-progress -quiet -noI -noD -noF -noX -no-xattrs";
        self.run(&mksquashfs, &args.split(' ').collect::<Vec<_>>())
    }
}

/// The headers of a program for this machine.
fn pe(machine: u16) -> Vec<u8> {
    let mut program = vec![0; 512];
    program[..2].copy_from_slice(b"MZ");
    program[0x3c] = 0x40;
    program[0x40..0x44].copy_from_slice(b"PE\0\0");
    program[0x44..0x46].copy_from_slice(&machine.to_le_bytes());
    // The size of the optional header, which is of 64 bits and for an application of UEFI.
    program[0x54] = 0xf0;
    program[0x58..0x5a].copy_from_slice(&[0x0b, 0x02]);
    program[0x58 + 68] = 10;
    program
}

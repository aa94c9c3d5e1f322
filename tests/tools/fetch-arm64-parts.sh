#!/bin/sh
# Puts what SD cards and discs for aarch64 are made of into a folder, out of Debian's packages:
#
#     tests/tools/fetch-arm64-parts.sh target/arm64-parts
#
#     busybox            static, for initrd and system
#     kernel/            Image, version, dtbs/broadcom/*.dtb
#     modules/VERSION/   what an initrd needs to find its root on virtio, on a Pi's SD card, on a disc
#                        and on a USB stick
#     firmware/          bootcode.bin, start*.elf, fixup*.dat of the Raspberry Pi
#     u-boot/            rpi_3.bin, rpi_4.bin, rpi_arm64.bin
#     efi/               systemd-bootaa64.efi
#     grub/arm64-efi/    the modules of GRUB
#     packages           which packages and versions these are
#
# Nothing is installed; what is there is not fetched again. 67 MB to fetch, 65 MB to keep. Needs
# Debian and the package busybox-static. $MIRROR overrides the mirror.
set -eu

# shellcheck source=tests/tools/debian-parts.sh
. "$(dirname "$0")/debian-parts.sh"
begin "${1:?usage: fetch-arm64-parts.sh DIR}"
need busybox busybox-static

kernel=$(newest_kernel linux-image-arm64:arm64)
version=${kernel#linux-image-}
unpack "$kernel:arm64" busybox-static:arm64 grub-efi-arm64-bin:arm64 raspi-firmware \
    systemd-boot-efi:arm64 u-boot-rpi:arm64

cd "$work/root"
mkdir -p "$parts/kernel/dtbs/broadcom" "$parts/firmware" "$parts/u-boot" "$parts/efi" \
    "$parts/grub/arm64-efi"
cp bin/busybox "$parts/"
cp "boot/vmlinuz-$version" "$parts/kernel/Image"
echo "$version" >"$parts/kernel/version"
cp "usr/lib/linux-image-$version"/broadcom/bcm2[78]*.dtb "$parts/kernel/dtbs/broadcom/"
cp usr/lib/raspi-firmware/bootcode.bin usr/lib/raspi-firmware/start*.elf \
    usr/lib/raspi-firmware/fixup*.dat "$parts/firmware/"
for board in rpi_3 rpi_4 rpi_arm64; do
    cp usr/lib/u-boot/$board/u-boot.bin "$parts/u-boot/$board.bin"
done
cp usr/lib/systemd/boot/efi/systemd-bootaa64.efi "$parts/efi/"
cp usr/lib/grub/arm64-efi/kernel.img usr/lib/grub/arm64-efi/*.mod usr/lib/grub/arm64-efi/*.lst \
    "$parts/grub/arm64-efi/"
take_modules "$version" crc32c_generic ext4 virtio_pci virtio_mmio virtio_blk bcm2835 sdhci-iproc \
    isofs squashfs loop overlay sr_mod sd_mod virtio_scsi xhci-pci usb-storage uas
publish

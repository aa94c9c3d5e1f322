#!/bin/sh
# Puts what discs for x86-64 are made of into a folder, out of Debian's packages:
#
#     tests/tools/fetch-x86-parts.sh target/x86-parts
#
#     busybox            static, for initrd and system
#     kernel/            bzImage, version
#     modules/VERSION/   what an initrd needs to find its root on a disc, a disk and a USB stick
#     refind/            refind_x64.efi
#     packages           which packages and versions these are
#
# GRUB and ISOLINUX come from the machine, where tests/setup.sh puts them. Nothing is installed; what
# is there is not fetched again. 75 MB to fetch, 15 MB to keep. Needs Debian and the package
# busybox-static. $MIRROR overrides the mirror.
set -eu

# shellcheck source=tests/tools/debian-parts.sh
. "$(dirname "$0")/debian-parts.sh"
begin "${1:?usage: fetch-x86-parts.sh DIR}"
need busybox busybox-static

# The one for clouds is a third of it, and has no USB.
kernel=$(newest_kernel linux-image-amd64:amd64)
version=${kernel#linux-image-}
unpack "$kernel:amd64" busybox-static:amd64 refind:amd64

cd "$work/root"
mkdir -p "$parts/kernel" "$parts/refind"
cp bin/busybox "$parts/"
cp "boot/vmlinuz-$version" "$parts/kernel/bzImage"
echo "$version" >"$parts/kernel/version"
cp usr/share/refind/refind/refind_x64.efi "$parts/refind/"
take_modules "$version" isofs squashfs loop overlay sr_mod sd_mod ata_piix ahci virtio_pci \
    virtio_blk virtio_scsi ehci-pci uhci-hcd xhci-pci usb-storage uas
publish

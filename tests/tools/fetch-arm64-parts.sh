#!/bin/sh
# Puts what an SD card for aarch64 is made of into a folder, out of Debian's packages:
#
#     tests/tools/fetch-arm64-parts.sh target/arm64-parts
#
#     busybox            static, for initrd and system
#     kernel/            Image, version, dtbs/broadcom/*.dtb
#     modules/VERSION/   what an initrd needs to find its root on virtio and on a Pi's SD card
#     firmware/          bootcode.bin, start*.elf, fixup*.dat of the Raspberry Pi
#     u-boot/            rpi_3.bin, rpi_4.bin, rpi_arm64.bin
#     efi/               systemd-bootaa64.efi
#     packages           which packages and versions these are
#
# Nothing is installed; what is there is not fetched again. 65 MB to fetch, 60 MB to keep. Needs
# Debian and the package busybox-static. $MIRROR overrides the mirror.
set -eu

usage='usage: fetch-arm64-parts.sh DIR'
dir=${1:?$usage}
tools=$(cd "$(dirname "$0")" && pwd)
# Another version of this script may want other parts.
recipe=$(cksum <"$tools/fetch-arm64-parts.sh")
if [ -e "$dir/recipe" ] && [ "$(cat "$dir/recipe")" = "$recipe" ]; then
    exit 0
fi
[ -x /bin/busybox ] || {
    echo '/bin/busybox is missing: apt-get install busybox-static' >&2
    exit 1
}

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
work=$(mktemp -d "$dir.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

APT_CONFIG=$("$tools/apt-conf.sh" "$work/apt")
export APT_CONFIG
# The package that follows the newest kernel depends on the one that has it.
kernel=$(apt-cache show --no-all-versions linux-image-arm64:arm64 |
    sed -nE 's/^Depends: (linux-image-[^ ]+).*/\1/p')
mkdir "$work/debs" "$work/root" "$work/parts"
(
    cd "$work/debs"
    apt-get download -q "$kernel:arm64" busybox-static:arm64 raspi-firmware \
        systemd-boot-efi:arm64 u-boot-rpi:arm64 >&2
)
for deb in "$work"/debs/*.deb; do
    dpkg-deb -x "$deb" "$work/root"
    # shellcheck disable=SC2016 # dpkg-deb replaces them
    dpkg-deb --show --showformat '${Package} ${Version}\n' "$deb"
done >"$work/parts/packages"

cd "$work/root"
# Later releases have no /bin and /lib of their own.
for name in bin lib; do
    [ -d $name ] || ln -s usr/$name $name
done
version=${kernel#linux-image-}
mkdir -p "$work/parts/kernel/dtbs/broadcom" "$work/parts/firmware" "$work/parts/u-boot" \
    "$work/parts/efi"
cp bin/busybox "$work/parts/"
cp "boot/vmlinuz-$version" "$work/parts/kernel/Image"
echo "$version" >"$work/parts/kernel/version"
cp "usr/lib/linux-image-$version"/broadcom/bcm2[78]*.dtb "$work/parts/kernel/dtbs/broadcom/"
cp usr/lib/raspi-firmware/bootcode.bin usr/lib/raspi-firmware/start*.elf \
    usr/lib/raspi-firmware/fixup*.dat "$work/parts/firmware/"
for board in rpi_3 rpi_4 rpi_arm64; do
    cp usr/lib/u-boot/$board/u-boot.bin "$work/parts/u-boot/$board.bin"
done
cp usr/lib/systemd/boot/efi/systemd-bootaa64.efi "$work/parts/efi/"

# Of 290 MB of modules, these and what they need. One that is not there is a part of the kernel.
busybox depmod -b "$work/root" "$version"
modules=$work/parts/modules/$version
for module in crc32c_generic ext4 virtio_pci virtio_mmio virtio_blk bcm2835 sdhci-iproc; do
    sed -nE "s|^([^:]*/$module\.ko[.a-z]*):(.*)|\1 \2|p" "lib/modules/$version/modules.dep"
done | tr -s ' ' '\n' | sort -u | while read -r file; do
    mkdir -p "$modules/$(dirname "$file")"
    cp "lib/modules/$version/$file" "$modules/$file"
done
ln -s . "$work/parts/lib"
busybox depmod -b "$work/parts" "$version"
rm "$work/parts/lib"

echo "$recipe" >"$work/parts/recipe"
rm -rf "$dir"
mv "$work/parts" "$dir"

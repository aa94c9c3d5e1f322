#!/bin/sh
# Puts images of discs, and file systems that discs hold, into a folder, which other people made:
#
#     tests/tools/fetch-discs.sh target/discs
#
#     debian/                *.iso: discs that boot, as Debian ships them; grub-rescue-floppy.img
#     libarchive/            *.iso: what bsdtar is tested with
#     cdfs/                  *.iso: those of a reader in Rust
#     squashfs/              *.sqfs: those of a reader in Python, one for each compressor
#     packages               which packages and versions these are
#
# Nothing is installed; what is there is not fetched again. 10 MB to fetch, 75 MB to keep. Needs
# Debian and the packages dpkg-dev and python3-pip, and cargo. $MIRROR overrides the mirror of Debian.
set -eu

# shellcheck source=tests/tools/debian-parts.sh
. "$(dirname "$0")/debian-parts.sh"
begin "${1:?usage: fetch-discs.sh DIR}"
need dpkg-source dpkg-dev
need pip3 python3-pip
need gzip gzip
need python3 python3

mkdir "$work/sources" "$work/sdists"
mkdir "$parts/debian" "$parts/libarchive" "$parts/cdfs" "$parts/squashfs"

(
    cd "$work/sources"
    # Of the release and not of its backports: bsdtar is the release's as well.
    apt-get source -q "libarchive/$suite" >&2
    sed -nE 's/^(Source|Version): //p' ./*.dsc | paste -d ' ' - - >"$parts/packages"
)
# Each is compressed by compress(1), and written in letters.
for letters in "$work"/sources/libarchive-*/libarchive/test/*.iso.Z.uu; do
    name=$(basename "$letters" .Z.uu)
    python3 -c 'import binascii, sys
lines = sys.stdin.buffer.read().split(b"\n")
first = next(n for n, line in enumerate(lines) if line.startswith(b"begin "))
last = lines.index(b"end")
for line in lines[first + 1 : last]:
    sys.stdout.buffer.write(binascii.a2b_uu(line))' <"$letters" |
        gzip -d -c >"$parts/libarchive/$name"
done

unpack grub-rescue-pc ipxe memtest86+
# The image for sticks is the one for discs, by another name.
find "$work/root/usr/lib" \( -name '*.iso' -o -name '*.img' \) -type f \
    -exec cp {} "$parts/debian/" \;

unpack_crate cdfs 0.2.3
cp "$work"/sources/cdfs-0.2.3/images/*.iso "$parts/cdfs/"

# Only the source distribution has the tests.
pip3 download --quiet --no-deps --no-binary dissect.squashfs \
    --dest "$work/sdists" dissect.squashfs==1.12 >&2
tar -C "$work/sdists" -x -z -f "$work"/sdists/*.tar.gz --no-same-owner
cp "$work"/sdists/dissect_squashfs-1.12/tests/_data/*.sqfs "$parts/squashfs/"
echo 'dissect_squashfs 1.12' >>"$parts/packages"
publish

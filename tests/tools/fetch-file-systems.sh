#!/bin/sh
# Puts file systems that other people made for their tests into a folder, good and broken ones:
#
#     tests/tools/fetch-file-systems.sh target/file-systems
#
#     e2fsprogs/tests/       e2fsck's own tests: a folder each, with image.gz or image.bz2
#     e2fsprogs/blkid/       *.img.bz2, what libblkid of e2fsprogs has to recognize
#     util-linux/            *.img.xz: what libblkid of util-linux has to
#     dosfstools/            check-*.xxd and *.fsck, fsck.fat's own; label-*.xxd, mkfs-*.xxd and others
#     forensics/             fs.ext2.xz, fs.ext4.xz, fs.vfat.xz, fs.multiple.xz: file systems in use
#     dissect/               *.bin, *.bin.gz: those of readers that were written in Python
#     packages               which packages and versions these are
#
# Nothing is installed; what is there is not fetched again. 140 MB to fetch, 150 MB to keep. Needs
# Debian and the packages dpkg-dev and python3-pip. $MIRROR overrides the mirror of Debian.
set -eu

# shellcheck source=tests/tools/debian-parts.sh
. "$(dirname "$0")/debian-parts.sh"
begin "${1:?usage: fetch-file-systems.sh DIR}"
need dpkg-source dpkg-dev
need pip3 python3-pip

mkdir "$work/sources" "$work/sdists"
(
    cd "$work/sources"
    # Of the release and not of its backports: e2fsck is the release's as well.
    apt-get source -q "e2fsprogs/$suite" "util-linux/$suite" "dosfstools/$suite" >&2
    sed -nE 's/^(Source|Version): //p' ./*.dsc | paste -d ' ' - - >"$parts/packages"
)
mkdir "$parts/e2fsprogs"
cp -r "$work"/sources/e2fsprogs-*/tests "$parts/e2fsprogs/tests"
cp -r "$work"/sources/e2fsprogs-*/lib/blkid/tests "$parts/e2fsprogs/blkid"
cp -r "$work"/sources/util-linux-*/tests/ts/blkid/images-fs "$parts/util-linux"
cp -r "$work"/sources/dosfstools-*/tests "$parts/dosfstools"

unpack forensics-samples-ext2 forensics-samples-ext4 forensics-samples-multiple \
    forensics-samples-vfat
cp -r "$work/root/usr/share/forensics-samples" "$parts/forensics"

# Only the source distributions have the tests.
pip3 download --quiet --no-deps --no-binary dissect.extfs,dissect.fat --dest "$work/sdists" \
    dissect.extfs==3.15 dissect.fat==3.13 >&2
mkdir "$parts/dissect"
for sdist in "$work"/sdists/*.tar.gz; do
    tar -C "$work/sdists" -x -z -f "$sdist" --no-same-owner
    name=$(basename "$sdist" .tar.gz)
    cp "$work/sdists/$name"/tests/data/*.bin* "$parts/dissect/"
    echo "$name" | sed 's/-/ /'
done >>"$parts/packages"
publish

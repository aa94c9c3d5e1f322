#!/bin/sh
# Puts disks of virtual machines into a folder, which other people's programs made:
#
#     tests/tools/fetch-vm-disks.sh target/vm-disks
#
#     vhd/                   *.vhd.bz2: of Virtual PC, Hyper-V and Disk2vhd, which QEMU is tested with
#     qcow2/                 *.qcow2: those of a reader in Rust
#     packages               which packages and versions these are
#
# Nothing is installed; what is there is not fetched again. 24 MB to fetch, 1 MB to keep. Needs Debian
# and the package dpkg-dev, and cargo. $MIRROR overrides the mirror of Debian.
set -eu

# shellcheck source=tests/tools/debian-parts.sh
. "$(dirname "$0")/debian-parts.sh"
begin "${1:?usage: fetch-vm-disks.sh DIR}"
need dpkg-source dpkg-dev

mkdir "$work/sources" "$parts/vhd" "$parts/qcow2"

(
    cd "$work/sources"
    # Of the release: its backports are replaced by later ones, and then their sources are gone. All
    # have the same disks.
    apt-get source -q --download-only "qemu/$suite" >&2
    sed -nE 's/^(Source|Version): //p' ./*.dsc | paste -d ' ' - - >"$parts/packages"
    tar -x -f qemu_*.orig.tar.xz --no-same-owner --strip-components 4 -C "$parts/vhd" \
        --wildcards '*/tests/qemu-iotests/sample_images/*.vhd.bz2'
)

unpack_crate qcow2 0.1.2
cp "$work"/sources/qcow2-0.1.2/tests/*.qcow2 "$parts/qcow2/"
publish

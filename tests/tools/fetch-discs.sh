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

usage='usage: fetch-discs.sh DIR'
dir=${1:?$usage}
tools=$(cd "$(dirname "$0")" && pwd)
# Another version of this script may want other parts.
recipe=$(cksum <"$tools/fetch-discs.sh")
if [ -e "$dir/recipe" ] && [ "$(cat "$dir/recipe")" = "$recipe" ]; then
    exit 0
fi
for need in dpkg-source:dpkg-dev pip3:python3-pip gzip:gzip python3:python3; do
    command -v "${need%:*}" >/dev/null || {
        echo "${need%:*} is not in PATH: apt-get install ${need#*:}" >&2
        exit 1
    }
done

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
work=$(mktemp -d "$dir.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

APT_CONFIG=$("$tools/apt-conf.sh" "$work/apt")
export APT_CONFIG
# Of the release and not of its backports: bsdtar is the release's as well.
# shellcheck disable=SC1091 # a file of the machine
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
mkdir "$work/sources" "$work/debs" "$work/root" "$work/sdists" "$work/parts"
parts=$work/parts
mkdir "$parts/debian" "$parts/libarchive" "$parts/cdfs" "$parts/squashfs"

(
    cd "$work/sources"
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

(cd "$work/debs" && apt-get download -q grub-rescue-pc ipxe memtest86+ >&2)
for deb in "$work"/debs/*.deb; do
    dpkg-deb -x "$deb" "$work/root"
    # shellcheck disable=SC2016 # dpkg-deb replaces them
    dpkg-deb --show --showformat '${Package} ${Version}\n' "$deb"
done >>"$parts/packages"
# The image for sticks is the one for discs, by another name.
find "$work/root/usr/lib" \( -name '*.iso' -o -name '*.img' \) -type f \
    -exec cp {} "$parts/debian/" \;

# Cargo has no command that only fetches one; this one does it in passing.
cargo info --quiet cdfs@0.2.3 >/dev/null
crate=$(find "${CARGO_HOME:-$HOME/.cargo}/registry/cache" -name cdfs-0.2.3.crate | head -n 1)
[ -n "$crate" ] || {
    echo 'cargo did not keep cdfs-0.2.3.crate' >&2
    exit 1
}
tar -C "$work/sources" -x -z -f "$crate" --no-same-owner
cp "$work"/sources/cdfs-0.2.3/images/*.iso "$parts/cdfs/"
echo 'cdfs 0.2.3' >>"$parts/packages"

# Only the source distribution has the tests.
pip3 download --quiet --no-deps --no-binary dissect.squashfs \
    --dest "$work/sdists" dissect.squashfs==1.12 >&2
tar -C "$work/sdists" -x -z -f "$work"/sdists/*.tar.gz --no-same-owner
cp "$work"/sdists/dissect_squashfs-1.12/tests/_data/*.sqfs "$parts/squashfs/"
echo 'dissect_squashfs 1.12' >>"$parts/packages"

echo "$recipe" >"$parts/recipe"
rm -rf "$dir"
mv "$parts" "$dir"

#!/bin/bash
# Lays the closure of tests/fixtures/closure-flake into an image of each kind that has a Nix store,
# by the builders of the other fixtures, and prints the folder that they are in:
#
#     tests/tools/closure-images.sh
#
#     good.wsl               a root file system for WSL: with the database that `nix copy` makes, as
#                            `nixos-install` does
#     good.img               an SD card: ext4, with nix-path-registration
#     good.iso               an ISO image: SquashFS, with nix-path-registration
#
# They are built once, and again when a fixture or the parts change: in 20 s, 250 MB. Needs what
# tests/setup.sh installs.
set -o errexit -o nounset -o pipefail

# Who is not root is it in a user namespace.
[ $EUID -eq 0 ] || exec unshare --map-root-user --map-auto "$0"

tools=$(cd "$(dirname "$0")" && pwd)
target=$(cd "$tools/../.." && pwd)/target
fixtures=$(cd "$tools/../fixtures" && pwd)

closure=$("$tools/build-closure.sh")
for parts in x86-parts arm64-parts; do
    [ -e "$target/$parts/recipe" ] || {
        echo "$target/$parts is not there: run tests/setup.sh" >&2
        exit 1
    }
done
key=$(cat "$fixtures"/{wsl,sd,iso}-flake/* "$target"/*-parts/{recipe,packages} "$0" | cksum | tr ' ' -)
key=$(basename "$closure")-$key
images=$target/closure-images
mkdir -p "$images"
exec 9>"$images/lock"
flock 9
if [ -e "$images/$key" ]; then
    echo "$images/$key"
    exit
fi
find "$images" -mindepth 1 -maxdepth 1 -type d -exec rm -r {} +
work=$(mktemp -d)
# A builder as that of NixOS-WSL insists on it.
chmod 755 "$work"
trap 'chmod -R u+w "$work" && rm -r "$work"' EXIT
trap 'exit 1' INT TERM
mkdir "$work/new"

# What a folder of the flakes says of its images.
label=26.05.20260714.9f0c42f
export NIX_BUILD_CORES=2 TMPDIR=$work extra=$closure/root label
export flavor=good

card() {
    export base=closure out=$work/card parts=$target/arm64-parts
    cp "$fixtures/sd-flake/build-card.sh" "$fixtures/wsl-flake/store.sh" "$work"
    bash "$work/build-card.sh"
    zstd -dq "$out/sd-image/$base.img.zst" -o "$work/new/good.img"
}

disc() {
    export base=closure out=$work/disc parts=$target/x86-parts arch=x86_64 volume=nixos-26.05-x86_64
    export stage=scripted level=1 bios=1 efi=1 usb=1 compress=
    cp "$fixtures/iso-flake/build-disc.sh" "$fixtures/wsl-flake/store.sh" "$work"
    bash "$work/build-disc.sh"
    mv "$out/iso/$base.iso" "$work/new/good.iso"
}

tarball() {
    local out=$work/wsl root=$work/root
    mkdir -p "$out/libexec" "$root"
    cp /bin/busybox "$fixtures/wsl-flake/store.sh" "$out/libexec"
    sed -e "s|@out@|$out|g" -e "s|@flavor@|$flavor|g" "$fixtures/wsl-flake/tarball-builder.sh" \
        >"$out/builder"
    bash "$out/builder" "$work/system.tar.gz"
    tar -C "$root" -x -p -f "$work/system.tar.gz" --numeric-owner
    (
        unset NIX_REMOTE NIX_STORE_DIR NIX_STATE_DIR NIX_LOG_DIR
        export NIX_USER_CONF_FILES=/dev/null XDG_CACHE_HOME=$work/cache
        nix --extra-experimental-features nix-command --option build-users-group '' \
            --option gc-reserved-space 0 --store "local?root=$closure/root" \
            copy --no-check-sigs --to "local?root=$root" "$(cat "$closure/closure")"
    )
    tar -C "$root" -c --sort=name --mtime=@1 --numeric-owner --hard-dereference . |
        pigz >"$work/new/good.wsl"
}

card >&2
disc >&2
tarball >&2
mv "$work/new" "$images/$key.new"
mv "$images/$key.new" "$images/$key"
echo "$images/$key"

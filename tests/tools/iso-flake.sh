#!/bin/sh
# Puts the flake of ISO images and the parts they are made of into a folder, for `path:` flake
# references:
#
#     tests/tools/iso-flake.sh DIR
#     nix build path:DIR#nixosConfigurations.iso.config.system.build.images.iso
#
# Nix copies the folder at each evaluation: 60 MB.
set -eu

usage='usage: iso-flake.sh DIR'
dir=${1:?$usage}
tests=$(cd "$(dirname "$0")/.." && pwd)
target=$tests/../target
for parts in x86-parts arm64-parts; do
    [ -e "$target/$parts/recipe" ] || {
        echo "$target/$parts is not there: run tests/setup.sh" >&2
        exit 1
    }
done
mkdir "$dir"
cp "$tests"/fixtures/iso-flake/* "$tests/fixtures/wsl-flake/store.sh" "$dir"
mkdir "$dir/parts" "$dir/parts/aarch64" "$dir/parts/aarch64/kernel"
cp -rH "$target/x86-parts" "$dir/parts/x86_64"
# No card is made of these.
cp -rH "$target"/arm64-parts/busybox "$target"/arm64-parts/grub "$target"/arm64-parts/modules \
    "$dir/parts/aarch64"
cp "$target"/arm64-parts/kernel/Image "$target"/arm64-parts/kernel/version \
    "$dir/parts/aarch64/kernel"

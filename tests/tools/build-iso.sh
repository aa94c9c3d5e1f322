#!/bin/sh
# Builds an ISO image of tests/fixtures/iso-flake with the machine's Nix, and prints the file:
#
#     tests/tools/build-iso.sh iso
#     tests/tools/build-iso.sh iso iso-installer
#
# HOST is one of its `nixosConfigurations` that have `images`; VARIANT is `iso` if it is not said. An
# image is built once, and again when the fixture or the parts change. Takes about 5 s; several may
# run at once.
set -eu

usage='usage: build-iso.sh HOST [VARIANT]'
host=${1:?$usage}
variant=${2:-iso}
tools=$(cd "$(dirname "$0")" && pwd)
target=$(cd "$tools/../.." && pwd)/target
fixture=$tools/../fixtures/iso-flake

for parts in x86-parts arm64-parts; do
    [ -e "$target/$parts/recipe" ] || {
        echo "$target/$parts is not there: run tests/setup.sh" >&2
        exit 1
    }
done
key=$(cat "$fixture"/* "$fixture/../wsl-flake/store.sh" "$target"/*-parts/recipe "$target"/*-parts/packages |
    cksum | tr ' ' -)
isos=$target/isos
name=$host
[ "$variant" = iso ] || name=$host-$variant
mkdir -p "$isos/$key"
exec 9>"$isos/lock"
flock 9
image=$(find "$isos/$key" -name "$name.iso" -o -name "$name.iso.zst")
if [ -z "$image" ]; then
    find "$isos" -mindepth 1 -maxdepth 1 -type d ! -name "$key" -exec rm -r {} +
    # Nix takes no store that is in a flake, nor one behind a symlink.
    work=$(mktemp -d)
    trap 'chmod -R u+w "$work" && rm -r "$work"' EXIT
    trap 'exit 1' INT TERM
    "$tools/iso-flake.sh" "$work/flake"
    environment=$("$tools/nix-env.sh" "$work/nix")
    eval "$environment"
    attribute=nixosConfigurations.$host.config.system.build.images.$variant
    set -- --extra-experimental-features 'nix-command flakes'
    nix build "$@" --print-build-logs --out-link "$work/result" "path:$work/flake#$attribute" >&2 9>&-
    file=$(find "$work/result/iso" -name '*.iso*')
    image=$isos/$key/$name.iso${file##*.iso}
    cp --no-preserve=mode "$file" "$isos/$key/new"
    mv "$isos/$key/new" "$image"
fi
echo "$image"

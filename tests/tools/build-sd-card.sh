#!/bin/sh
# Builds a card of tests/fixtures/sd-flake with the machine's Nix, and prints the compressed file:
#
#     tests/tools/build-sd-card.sh sd
#
# HOST is one of its `nixosConfigurations` that have `images.sd-card`. A card is built once, and again
# when the fixture or the parts change. Takes about 5 s; several may run at once.
set -eu

usage='usage: build-sd-card.sh HOST'
host=${1:?$usage}
tools=$(cd "$(dirname "$0")" && pwd)
target=$(cd "$tools/../.." && pwd)/target
fixture=$tools/../fixtures/sd-flake

[ -e "$target/arm64-parts/recipe" ] || {
    echo "$target/arm64-parts is not there: run tests/setup.sh" >&2
    exit 1
}
key=$(cat "$fixture"/* "$fixture/../wsl-flake/store.sh" "$target/arm64-parts/recipe" \
    "$target/arm64-parts/packages" | cksum | tr ' ' -)
card=$target/sd-cards/$key/$host.img.zst
mkdir -p "$target/sd-cards/$key"
exec 9>"$target/sd-cards/lock"
flock 9
if [ ! -e "$card" ]; then
    find "$target/sd-cards" -mindepth 1 -maxdepth 1 -type d ! -name "$key" -exec rm -r {} +
    # Nix takes no store that is in a flake, nor one behind a symlink.
    work=$(mktemp -d)
    trap 'chmod -R u+w "$work" && rm -r "$work"' EXIT
    trap 'exit 1' INT TERM
    "$tools/sd-flake.sh" "$work/flake"
    environment=$("$tools/nix-env.sh" "$work/nix")
    eval "$environment"
    attribute=nixosConfigurations.$host.config.system.build.images.sd-card
    set -- --extra-experimental-features 'nix-command flakes'
    nix build "$@" --print-build-logs --out-link "$work/result" "path:$work/flake#$attribute" >&2 9>&-
    file=$(nix eval "$@" --raw "path:$work/flake#$attribute.passthru.filePath" 9>&-)
    cp --no-preserve=mode "$work/result/$file" "$card.new"
    mv "$card.new" "$card"
fi
echo "$card"

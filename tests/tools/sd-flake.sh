#!/bin/sh
# Puts the flake of SD cards and the parts it is made of into a folder, for `path:` flake references:
#
#     tests/tools/sd-flake.sh DIR
#     nix build path:DIR#nixosConfigurations.sd.config.system.build.images.sd-card
#
# Nix copies the folder at each evaluation: 60 MB.
set -eu

usage='usage: sd-flake.sh DIR'
dir=${1:?$usage}
tests=$(cd "$(dirname "$0")/.." && pwd)
parts=$tests/../target/arm64-parts
[ -e "$parts/recipe" ] || {
    echo "$parts is not there: run tests/setup.sh" >&2
    exit 1
}
mkdir "$dir"
cp "$tests"/fixtures/sd-flake/* "$tests/fixtures/wsl-flake/store.sh" "$dir"
cp -rH "$parts" "$dir/parts"

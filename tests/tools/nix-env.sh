#!/bin/sh
# Makes a place where Nix builds without root, without a daemon and without network, and prints the
# environment for it:
#
#     eval "$(tests/tools/nix-env.sh ~/.cache/image-factory-nix)"
#
# Everything that Nix writes is below the folder. It must lie outside every flake: Nix copies a
# flake's folder as a whole. Its store is not /nix/store, so nothing comes from binary caches: it is
# for the flake in tests/fixtures, and not for real systems. To remove it: chmod -R u+w, rm -r.
set -eu

usage='usage: nix-env.sh DIR'
dir=${1:?$usage}
mkdir -p "$dir/etc"
# Nix takes no path with a symlink in it for a store.
dir=$(cd "$dir" && pwd -P)

cat >"$dir/etc/nix.conf" <<'CONF'
# The fixture is built with the programs of the machine.
sandbox = false
build-users-group =
substituters =
CONF

for line in NIX_CONF_DIR=etc NIX_STORE_DIR=store NIX_STATE_DIR=var NIX_LOG_DIR=log \
    XDG_CACHE_HOME=cache; do
    printf "export %s='%s/%s'\n" "${line%%=*}" "$dir" "${line#*=}"
done
# Settings of the user do not count.
echo "export NIX_USER_CONF_FILES='/dev/null'"
echo "export NIX_REMOTE=''"

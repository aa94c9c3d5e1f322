#!/bin/sh
# Builds the closure of tests/fixtures/closure-flake with the machine's Nix, and prints the folder that
# it is in:
#
#     tests/tools/build-closure.sh
#
#     root/                  a root of its own: nix/store with the closure alone, and the database that
#                            `nix copy` makes, as `nixos-install` has it
#     registration           what `nix-store --dump-db` says of it
#     closure                the path that refers to all the others
#
# It is built once, and again when the fixture changes: in 5 s, 160 MB. Needs busybox-static, gcc,
# nix-bin and openssl.
set -eu

tools=$(cd "$(dirname "$0")" && pwd)
target=$(cd "$tools/../.." && pwd)/target
fixture=$tools/../fixtures/closure-flake

key=$(cat "$fixture"/* "$tools/build-closure.sh" /bin/busybox | cksum | tr ' ' -)
closure=$target/closures/$key
mkdir -p "$target/closures"
exec 9>"$target/closures/lock"
flock 9
if [ ! -e "$closure" ]; then
    find "$target/closures" -mindepth 1 -maxdepth 1 -type d -exec chmod -R u+w {} + -exec rm -r {} +
    # Nix takes no store that is in a flake, nor one behind a symlink.
    work=$(mktemp -d)
    work=$(cd "$work" && pwd -P)
    trap 'chmod -R u+w "$work" && rm -r "$work"' EXIT
    trap 'exit 1' INT TERM
    mkdir -p "$work/flake/parts" "$work/etc" "$work/new"
    cp "$fixture"/* "$work/flake"
    cat >"$work/etc/nix.conf" <<'CONF'
build-users-group =
experimental-features = nix-command flakes
flake-registry =
fsync-metadata = false
gc-reserved-space = 0
sandbox = true
sandbox-fallback = false
sandbox-paths = /bin/sh=/bin/busybox
substituters =
CONF
    unset NIX_REMOTE NIX_STORE_DIR NIX_STATE_DIR NIX_LOG_DIR
    export NIX_CONF_DIR="$work/etc" NIX_USER_CONF_FILES=/dev/null XDG_CACHE_HOME="$work/cache"
    system=$(uname -m)-linux
    here() {
        command=$1
        shift
        "$command" --store "$work/nix" "$@" 9>&-
    }

    # 64 MiB that nothing compresses, the same each time.
    head -c 67108864 /dev/zero | openssl enc -aes-128-ctr \
        -K 00000000000000000000000000000000 -iv 00000000000000000000000000000000 \
        >"$work/flake/parts/noise"
    # A program of the machine's C library, which here is a store path.
    loader=$(readelf -l "$(command -v sh)" | sed -n 's/.*interpreter: \(.*\)]/\1/p')
    cp -L "$loader" "$work/flake/parts/loader"
    cp -L "$(gcc -print-file-name=libc.so.6)" "$work/flake/parts/libc"
    libc=$(here nix eval --raw "path:$work/flake#closures.$system.libc.outPath")
    gcc -O2 -o "$work/flake/parts/hello" "$fixture/hello.c" \
        "-Wl,--dynamic-linker,$libc/lib/loader,-rpath,$libc/lib,--enable-new-dtags"

    path=$(here nix build --no-link --json "path:$work/flake#closures.$system.closure" |
        sed 's/.*"out":"\([^"]*\)".*/\1/')
    here nix copy --no-check-sigs --to "local?root=$work/new/root" "$path" >&2
    nix-store --store "$work/new/root" --query --requisites "$path" |
        xargs nix-store --store "$work/new/root" --dump-db >"$work/new/registration"
    echo "$path" >"$work/new/closure"
    mv "$work/new" "$closure.new"
    mv "$closure.new" "$closure"
fi
echo "$closure"

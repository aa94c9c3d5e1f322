#!/bin/sh
# Installs what the tests call, on Debian 12 or later, as root; and puts two more versions of Nix
# into target/nix-versions. Safe to run again.
set -eu

cd "$(dirname "$0")/.."

packages='
    busybox-static
    gcc
    gzip
    libarchive-tools
    libc6-dev
    mmdebstrap
    nix-bin
    openssl
    pigz
    tar
    uidmap
    util-linux
    xz-utils
    zstd
'

missing=
for package in $packages; do
    dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null |
        grep -qx installed || missing="$missing $package"
done
if [ -n "$missing" ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    # shellcheck disable=SC2086 # a list of words
    apt-get install -q -y --no-install-recommends $missing
fi

tests/tools/fetch-nix.sh target/nix-versions

#!/bin/sh
# Puts the Nix of two later Debian releases into folders of their own, beside the system's Nix:
#
#     tests/tools/fetch-nix.sh target/nix-versions
#
# makes target/nix-versions/nix-2.26 and nix-2.34 (each named by the version that was found), small
# programs that behave like `nix`. Nothing is installed; what is there is not fetched again.
# Needs Debian and the package mmdebstrap, without root also uidmap. $MIRROR overrides the mirror.
set -eu

usage='usage: fetch-nix.sh DIR'
dir=${1:?$usage}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

command -v mmdebstrap >/dev/null || {
    echo 'mmdebstrap is not in PATH: apt-get install mmdebstrap' >&2
    exit 1
}

# The mirror that this machine already uses, in whichever file and format it is written.
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
    grep -m 1 '/debian/$' || true)}
[ -n "$mirror" ] || {
    echo 'no Debian mirror among the apt sources: set MIRROR' >&2
    exit 1
}

for suite in trixie forky; do
    root=$dir/$suite
    if [ -e "$root.ready" ]; then
        continue
    fi
    # A run that was interrupted leaves a folder without its mark.
    rm -rf "$root" "$root.tar"
    mkdir "$root"
    # By way of a tar, so that without root the files belong to us, and not to the user namespace
    # that mmdebstrap works in.
    mmdebstrap --quiet --variant=minbase --include=nix-bin \
        --aptopt='Acquire::Check-Valid-Until "false"' "$suite" "$root.tar" "$mirror"
    tar -C "$root" -x -f "$root.tar" --no-same-owner --exclude='./dev/*'
    rm "$root.tar"

    # The programs are started by their own loader with their own libraries, so the C library of
    # the machine does not matter, and there is no chroot: they see the files that we see. The build
    # hook is off because Nix would look for it beside the loader.
    loader=$(ls "$root"/usr/lib*/ld-linux*.so.* | head -n 1)
    libraries=$(dirname "$(ls "$root"/usr/lib/*/libc.so.6 | head -n 1)")
    wrapper=$root.wrapper
    cat >"$wrapper" <<WRAPPER
#!/bin/sh
exec "$loader" --library-path "$libraries" "$root/usr/bin/nix" --option build-hook '' "\$@"
WRAPPER
    chmod +x "$wrapper"
    # `nix (Nix) 2.34.1` → `2.34`
    version=$("$wrapper" --version | sed -E 's/.* ([0-9]+\.[0-9]+)[^ ]*$/\1/')
    mv "$wrapper" "$dir/nix-$version"
    touch "$root.ready"
done

ls "$dir"/nix-*

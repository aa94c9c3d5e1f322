# What scripts begin and end with that take packages of Debian apart. They read this file:
#
#     . "$(dirname "$0")/debian-parts.sh"
#     begin target/x86-parts          # leaves if they are there
#     need busybox busybox-static     # a program, and what it is in
#     unpack busybox-static:amd64     # to $work/root, and their names to $parts/packages
#     cp "$work/root/bin/busybox" "$parts/"
#     publish                         # $parts becomes target/x86-parts
#
# Nothing is installed. $MIRROR overrides the mirror.
# shellcheck shell=sh

tools=$(cd "$(dirname "$0")" && pwd)

# Leaves the script if the folder has what it makes. Otherwise there is $work, $parts in it, and apt
# sees packages of all architectures, and sources; $suite is the release without its backports.
begin() {
    dir=$1
    # Another version of the script may want other parts.
    recipe=$(cat "$tools/$(basename "$0")" "$tools/debian-parts.sh" | cksum)
    if [ -e "$dir/recipe" ] && [ "$(cat "$dir/recipe")" = "$recipe" ]; then
        exit 0
    fi
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    work=$(mktemp -d "$dir.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' INT TERM
    APT_CONFIG=$("$tools/apt-conf.sh" "$work/apt")
    export APT_CONFIG
    # shellcheck disable=SC1091,SC2034 # a file of the machine; the scripts use it
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    parts=$work/parts
    mkdir "$parts" "$work/root"
}

# Leaves the script if a program is not there.
need() {
    command -v "$1" >/dev/null || {
        echo "$1 is not in PATH: apt-get install $2" >&2
        exit 1
    }
}

# The kernel that a package like linux-image-amd64:amd64 depends on: the newest.
newest_kernel() {
    apt-cache show --no-all-versions "$1" | sed -nE 's/^Depends: (linux-image-[^ ]+).*/\1/p'
}

# Unpacks packages.
unpack() {
    mkdir "$work/debs"
    (cd "$work/debs" && apt-get download -q "$@" >&2)
    for deb in "$work"/debs/*.deb; do
        dpkg-deb -x "$deb" "$work/root"
        # shellcheck disable=SC2016 # dpkg-deb replaces them
        dpkg-deb --show --showformat '${Package} ${Version}\n' "$deb"
    done >>"$parts/packages"
    rm -r "$work/debs"
    # Later releases have no /bin and /lib of their own.
    for name in bin lib; do
        [ -d "$work/root/$name" ] || ln -s "usr/$name" "$work/root/$name"
    done
}

# unpack_crate NAME VERSION: to $work/sources. Cargo has no command that only fetches one; `info` does
# it in passing.
unpack_crate() {
    cargo info --quiet "$1@$2" >/dev/null
    crate=$(find "${CARGO_HOME:-$HOME/.cargo}/registry/cache" -name "$1-$2.crate" | head -n 1)
    [ -n "$crate" ] || {
        echo "cargo did not keep $1-$2.crate" >&2
        exit 1
    }
    tar -C "$work/sources" -x -z -f "$crate" --no-same-owner
    echo "$1 $2" >>"$parts/packages"
}

# take_modules VERSION NAME…: of 290 MB of modules, these and what they need. One that is not there is
# a part of the kernel.
take_modules() {
    version=$1
    shift
    modules=$parts/modules/$version
    busybox depmod -b "$work/root" "$version"
    for module; do
        sed -nE "s|^([^:]*/$module\.ko[.a-z]*):(.*)|\1 \2|p" \
            "$work/root/lib/modules/$version/modules.dep"
    done | tr -s ' ' '\n' | sort -u | while read -r file; do
        mkdir -p "$modules/$(dirname "$file")"
        cp "$work/root/lib/modules/$version/$file" "$modules/$file"
    done
    ln -s . "$parts/lib"
    busybox depmod -b "$parts" "$version"
    rm "$parts/lib"
}

# Puts the parts where they belong, whole.
publish() {
    echo "$recipe" >"$parts/recipe"
    rm -rf "$dir"
    mv "$parts" "$dir"
}

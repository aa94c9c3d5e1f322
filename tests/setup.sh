#!/bin/sh
# Installs what the tests call, on Debian 12 or later, as root; puts two more versions of Nix into
# target/nix-versions, what SD cards and discs are made of into target/arm64-parts and
# target/x86-parts, file systems, discs and disks of virtual machines that other people made into
# target/file-systems, target/discs and target/vm-disks, schemas of bills of material into
# target/schemas, and servers that releases are published to into target/release-parts. Safe to run
# again.
set -eu

cd "$(dirname "$0")/.."

packages='
    bmap-tools
    busybox-static
    chromium
    cpio
    curl
    device-tree-compiler
    docker-registry
    dosfstools
    dpkg-dev
    e2fsprogs
    fakeroot
    faketime
    fdisk
    file
    fonts-dejavu-core
    g++
    gcc
    gdisk
    genisoimage
    gh
    git
    gnupg
    gpgv
    grub-common
    grub-efi-amd64-bin
    gzip
    isolinux
    libarchive-tools
    libc6-dev
    librsvg2-bin
    minisign
    mmdebstrap
    mtools
    nix-bin
    openssh-client
    openssl
    ovmf
    p7zip-full
    pigz
    python3-jsonschema
    python3-pip
    qemu-efi-aarch64
    skopeo
    squashfs-tools
    syslinux-common
    systemd
    tar
    u-boot-qemu
    uidmap
    umoci
    unzip
    util-linux
    xorriso
    xz-utils
    zstd
'

# apt waits for another one that installs, and dies of one that updates its lists: that is waited for
# here, for ten minutes.
apt='apt-get -q -o DPkg::Lock::Timeout=600'
update() {
    tries=60
    until said=$(LC_ALL=C $apt update 2>&1); do
        echo "$said" >&2
        case $said in
            *'Could not get lock'*) tries=$((tries - 1)) ;;
            *) return 1 ;;
        esac
        [ "$tries" -gt 0 ] || return 1
        sleep 10
    done
}

installed() {
    dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed
}

missing=
for package in $packages; do
    installed "$package" || missing="$missing $package"
done
if [ -n "$missing" ]; then
    export DEBIAN_FRONTEND=noninteractive
    update
    # shellcheck disable=SC2086 # a list of words
    $apt install -y --no-install-recommends $missing
fi

# Debian 12 has QEMU 7.2, which does not go together with a qemu-utils of its backports. Those may
# not be among the sources of the machine, and need not come to be. All packages of QEMU have one
# version.
if ! installed qemu-system-arm || ! installed qemu-system-x86 || ! installed qemu-utils; then
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC1091 # a file of the machine
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    [ "$suite" != bookworm ] || suite=bookworm-backports
    sources=$(mktemp -d)
    trap 'rm -rf "$sources"' EXIT
    config=$(tests/tools/apt-conf.sh "$sources")
    APT_CONFIG=$config $apt install -y --no-install-recommends -t "$suite" \
        qemu-system-arm qemu-system-x86 qemu-utils
fi

tests/tools/fetch-nix.sh target/nix-versions
tests/tools/fetch-arm64-parts.sh target/arm64-parts
tests/tools/fetch-x86-parts.sh target/x86-parts
tests/tools/fetch-file-systems.sh target/file-systems
tests/tools/fetch-discs.sh target/discs
tests/tools/fetch-vm-disks.sh target/vm-disks
tests/tools/fetch-schemas.sh target/schemas
tests/tools/fetch-release-parts.sh target/release-parts

#!/bin/bash
# Takes the file tree out of an image that tests/tools/closure-images.sh made, and puts another one
# into a copy of it:
#
#     tests/tools/store-tree.sh unpack good.img TREE
#     tests/tools/store-tree.sh pack good.img TREE other.img
#
# by the tools that such images are made with: tar and gzip for *.wsl, debugfs and mkfs.ext4 for *.img,
# unsquashfs, mksquashfs and xorriso for *.iso. In TREE lies nix/store, whatever the image is, and
# nix-path-registration beside nix, where it has one.
set -o errexit -o nounset -o pipefail

usage='usage: store-tree.sh unpack IMAGE TREE | pack IMAGE TREE NEW'
action=${1:?$usage}
image=${2:?$usage}
tree=${3:?$usage}

# Who is not root is it in a user namespace.
[ $EUID -eq 0 ] || exec unshare --map-root-user --map-auto "$0" "$@"
export PATH=$PATH:/usr/sbin:/sbin

# Where the partition with the root begins, and how long it is, in sectors.
root_of_card() {
    sfdisk --dump "$image" | sed -nE 's/.*start= *([0-9]+), size= *([0-9]+), type=83.*/\1 \2/p'
}

case $action-$image in
unpack-*.wsl)
    mkdir "$tree"
    tar -C "$tree" -x -z -p -f "$image" --numeric-owner
    ;;
unpack-*.img)
    read -r start _ < <(root_of_card)
    mkdir "$tree"
    debugfs -R "rdump / $tree" "$image?offset=$((start * 512))" 2>&1 | grep -v '^debugfs ' >&2 || :
    rmdir "$tree/lost+found"
    ;;
unpack-*.iso)
    mkdir -p "$tree/nix"
    xorriso -report_about WARNING -osirrox on -indev "$image" \
        -extract /nix-store.squashfs "$tree.squashfs" >&2
    unsquashfs -quiet -no-progress -d "$tree/nix/store" "$tree.squashfs" >&2
    rm "$tree.squashfs"
    mv "$tree/nix/store/nix-path-registration" "$tree"
    ;;
pack-*.wsl)
    tar -C "$tree" -c --sort=name --mtime=@1 --numeric-owner --hard-dereference . | gzip -1 >"$4"
    ;;
pack-*.img)
    read -r start size < <(root_of_card)
    cp "$image" "$4"
    # As old as the other two make it.
    find "$tree/nix/store" -exec touch --no-dereference --date=@1 {} +
    truncate -s $((size * 512)) "$4.root"
    mkfs.ext4 -q -L NIXOS_SD -U 44444444-4444-4444-8888-888888888888 -d "$tree" "$4.root"
    dd if="$4.root" of="$4" bs=1M oflag=seek_bytes seek=$((start * 512)) conv=notrunc,sparse \
        status=none
    rm "$4.root"
    ;;
pack-*.iso)
    SOURCE_DATE_EPOCH=0 mksquashfs "$tree/nix-path-registration" "$tree"/nix/store/* "$4.squashfs" \
        -no-hardlinks -keep-as-directory -all-root -b 1048576 -comp zstd -Xcompression-level 1 \
        -root-mode 0755 -quiet -no-progress >&2
    xorriso -report_about WARNING -indev "$image" -outdev "stdio:$4" -boot_image any replay \
        -map "$4.squashfs" /nix-store.squashfs -end >&2
    rm "$4.squashfs"
    ;;
*)
    echo "$usage" >&2
    exit 1
    ;;
esac

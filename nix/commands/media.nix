# Commands for finished images: start one in a virtual machine, or write one to a card or a stick.
{ pkgs, ... }:
let
  inherit (pkgs) lib;
  platform = pkgs.stdenv.hostPlatform;
  # What x86 has in one file, code and variables, is two on Arm; the code alone starts as well.
  firmware =
    if platform.isAarch64 then "${pkgs.OVMF.fd}/FV/QEMU_EFI.fd" else pkgs.OVMF.mergedFirmware;
  machine = lib.optionalString platform.isAarch64 "-machine virt -cpu max";
in
lib.optionalAttrs platform.isLinux {
  boot = {
    description = "Start an image by UEFI in a virtual machine that writes nothing to it: -- FILE";
    runtimeInputs = [ pkgs.qemu ];
    text = ''
      if [[ $# -eq 0 ]]; then
        echo 'usage: boot FILE.iso|FILE.qcow2|FILE.img [OPTION OF QEMU…]' >&2
        exit 2
      fi
      # In a value of QEMU's, a comma is written twice.
      file="file=''${1//,/,,}"
      case $1 in
        *.iso)
          image=(-device virtio-scsi-pci -device "scsi-cd,drive=disc")
          image+=(-drive "$file,if=none,id=disc,media=cdrom,format=raw,readonly=on")
          ;;
        *.qcow2) image=(-drive "$file,if=virtio,format=qcow2,snapshot=on") ;;
        *) image=(-drive "$file,if=virtio,format=raw,snapshot=on") ;;
      esac
      shift
      exec qemu-system-${platform.qemuArch} ${machine} -accel kvm -accel tcg -m 2048 \
        -bios ${firmware} -nic user,model=virtio "''${image[@]}" "$@"
    '';
  };

  write = {
    description = "Check the sum of an image, and write it to a card or a stick: -- FILE DEVICE";
    runtimeInputs = with pkgs; [
      bmaptool
      coreutils
      # What bmaptool starts for images that are compressed.
      gzip
      xz
      zstd
    ];
    text = ''
      if [[ $# -ne 2 || ! -b $2 ]]; then
        echo 'usage: write FILE DEVICE, a whole disk such as /dev/sdX, which loses what it has' >&2
        exit 2
      fi
      (cd "$(dirname "$1")" && sha256sum --check "$(basename "$1").sha256")
      # Without a map beside it, of what is not free, all of it is written.
      map=()
      [[ -e ''${1%.*}.bmap ]] || map=(--nobmap)
      exec bmaptool copy "''${map[@]}" "$1" "$2"
    '';
  };
}

# What a system on an SD card has in common with the image that it was: the boot loader, drivers and
# the root. With it, `nixos-rebuild` works on the board, where the image's own module is not
# imported.
{
  boot.loader.grub.enable = false;
  boot.loader.generic-extlinux-compatible.enable = true;
  hardware.enableAllHardware = true;
  fileSystems."/" = {
    device = "/dev/disk/by-label/NIXOS_SD";
    fsType = "ext4";
  };
}

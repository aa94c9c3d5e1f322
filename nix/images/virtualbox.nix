# NixOS as an appliance for VirtualBox: a file that its menu imports.
{ ... }:
{
  system = "x86_64-linux";
  variant = "virtualbox";
  modules = [
    ./base.nix
    ./login.nix
    {
      # As the image has them, so that `nixos-rebuild` works in the machine.
      boot.growPartition = true;
      boot.loader.grub.device = "/dev/sda";
      fileSystems."/" = {
        device = "/dev/disk/by-label/nixos";
        autoResize = true;
        fsType = "ext4";
      };
      virtualisation.virtualbox.guest.enable = true;
    }
  ];
}

# NixOS as a disk for QEMU, KVM and what is built on them, as libvirt and Proxmox. It starts by
# UEFI, grows to the size that its disk is given, and has a console on the first serial port.
{ ... }:
{
  system = "x86_64-linux";
  variant = "qemu-efi";
  modules = [
    ./base.nix
    ./login.nix
    (
      { modulesPath, ... }:
      {
        # Without it there is no driver for the disk in the initrd.
        imports = [ "${modulesPath}/profiles/qemu-guest.nix" ];

        boot = {
          growPartition = true;
          kernelParams = [
            "console=tty0"
            "console=ttyS0"
          ];
          loader.systemd-boot.enable = true;
        };
        # As the image has them, so that `nixos-rebuild` works in the machine.
        fileSystems = {
          "/" = {
            device = "/dev/disk/by-label/nixos";
            autoResize = true;
            fsType = "ext4";
          };
          "/boot" = {
            device = "/dev/disk/by-label/ESP";
            fsType = "vfat";
          };
        };
        services.qemuGuest.enable = true;
      }
    )
  ];
}

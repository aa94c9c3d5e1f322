# What the server is, beside its disk and its packages.
{ config, lib, ... }:
let
  keys = lib.splitString "\n" (lib.readFile ./authorized_keys);
  isKey = line: line != "" && !lib.hasPrefix "#" line;
in
{
  boot = {
    loader.systemd-boot.enable = true;
    loader.efi.canTouchEfiVariables = true;
    # Controllers that its disk may be at, on most machines, real and virtual.
    initrd.availableKernelModules = [
      "ahci"
      "nvme"
      "sd_mod"
      "usb_storage"
      "virtio_blk"
      "virtio_pci"
      "virtio_scsi"
      "xhci_pci"
    ];
  };

  services.openssh = {
    enable = true;
    settings = {
      PasswordAuthentication = false;
      PermitRootLogin = "prohibit-password";
    };
  };
  users.users.root.openssh.authorizedKeys.keys = lib.filter isKey keys;
  warnings =
    lib.optional (config.users.users.root.openssh.authorizedKeys.keys == [ ])
      "${config.networking.hostName}: nobody can log in; put your public key into nix/hosts/server/authorized_keys";

  nix = {
    settings.experimental-features = [
      "nix-command"
      "flakes"
    ];
    gc = {
      automatic = true;
      options = "--delete-older-than 30d";
    };
  };

  # The manual has the options of whoever evaluates the system, and colmena has some of its own:
  # without it, all ways to deploy it build the same.
  documentation.nixos.enable = false;

  # The release that it was installed with; it stays when nixpkgs moves on.
  system.stateVersion = "26.05";
}

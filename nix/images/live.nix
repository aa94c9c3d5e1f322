# For systems that are never installed: the image brings its own root and its own boot loader. This
# stands in for both where the configuration is evaluated without an image.
{ lib, ... }:
{
  boot.loader.grub.enable = lib.mkDefault false;
  fileSystems."/" = lib.mkDefault {
    device = "none";
    fsType = "tmpfs";
  };
}

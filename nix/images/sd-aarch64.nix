# NixOS on an SD card, for the Raspberry Pi 3 and 4 and boards that U-Boot or UEFI starts.
{ ... }:
{
  system = "aarch64-linux";
  variant = "sd-card";
  modules = [
    ./base.nix
    ./login.nix
    ./sd-card.nix
  ];
}

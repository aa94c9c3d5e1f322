# What all images share.
{ lib, ... }:
{
  # The machine can rebuild itself from a flake.
  nix.settings.experimental-features = [
    "nix-command"
    "flakes"
  ];
  # The manual is on the web, and takes a minute to make. The installers have it all the same.
  documentation.nixos.enable = lib.mkDefault false;
  # Cards and installers know ZFS. A pool that another machine has in use is not taken from it.
  boot.zfs.forceImportRoot = false;
  # The release that the state of a new machine begins with; it stays when nixpkgs moves on. Stronger
  # than the default that installers bring, which moves.
  system.stateVersion = lib.mkOverride 900 "26.05";
}

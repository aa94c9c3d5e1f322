# What all images share: a user to begin with, and a Nix that knows flakes.
{ lib, ... }:
{
  # Nix can then rebuild the system from a flake on the machine itself.
  nix.settings.experimental-features = [
    "nix-command"
    "flakes"
  ];
  # The release that the state of a new machine begins with. It stays when nixpkgs moves on.
  system.stateVersion = lib.mkDefault "26.05";
}

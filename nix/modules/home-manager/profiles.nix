# Package profiles in a home. Where the home is that of a NixOS user and nixpkgs is not this
# flake's, the group `robotics` needs the overlay `overlays.default` there.
{
  config,
  lib,
  pkgs,
  ...
}:
{
  imports = [ ../profiles.nix ];

  # As one package: of two that have the same file the first wins, as in the PATH of a system, and
  # what a module of home-manager installs wins over both.
  home.packages = [
    (lib.lowPrio (
      pkgs.buildEnv {
        name = "image-factory-profiles";
        paths = config.imageFactory.packages;
        ignoreCollisions = true;
      }
    ))
  ];
}

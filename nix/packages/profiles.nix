# Each group and each bundle as one package, for machines whose packages nobody declares:
# `nix profile install ./nix#profile-essential`.
{ lib, pkgs, ... }:
let
  groups = import ./groups;
  bundles = import ./bundles.nix;

  profile =
    name: members:
    pkgs.buildEnv {
      name = "profile-${name}";
      paths = lib.concatMap (member: groups.${member} pkgs) members;
      # As NixOS does for its own: a file that two packages have is that of the first, and a
      # warning.
      ignoreCollisions = true;
      meta.description = "The packages of ${lib.concatStringsSep ", " members}";
    };
  members = lib.mapAttrs (name: _: [ name ]) groups // bundles;
in
{
  packages = lib.mapAttrs' (
    name: list: lib.nameValuePair "profile-${name}" (profile name list)
  ) members;
}

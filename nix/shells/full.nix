# The default shell with the packages of the bundle `full`: what the machines have on which one
# would work otherwise.
{ pkgs, shells, ... }:
let
  groups = import ../packages/groups;
  bundles = import ../packages/bundles.nix;
in
pkgs.mkShell {
  name = "image-factory-full";
  inputsFrom = [ shells.default ];
  packages = builtins.concatMap (name: groups.${name} pkgs) bundles.full;
}

# The configurations of the machines in fleet.nix, for `nixos-rebuild --flake ./nix#NAME`. Examples,
# to be replaced by yours.
{
  inputs,
  lib,
  self,
  ...
}:
let
  configuration = host: self.lib.mkSystem (removeAttrs host [ "deployment" ]);
in
{
  flake.nixosConfigurations = lib.mapAttrs (_: configuration) (
    import ./fleet.nix { inherit inputs; }
  );
}

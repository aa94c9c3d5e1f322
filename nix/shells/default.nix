# The development shells: each file is one, a function of nixpkgs and of the shells that it
# contains.
{ inputs, ... }:
{
  perSystem =
    {
      lib,
      pkgs,
      self',
      system,
      ...
    }:
    let
      available = import ../packages/available.nix pkgs;
      shell = file: import file { inherit available pkgs shells; };
      shells = self'.devShells;
    in
    {
      devShells = {
        default = shell ./workspace.nix;
        full = shell ./full.nix;
        identity = shell ./identity.nix;
      }
      // lib.optionalAttrs pkgs.stdenv.hostPlatform.isLinux {
        ci = shell ./ci.nix;
        factory = shell ./factory.nix;
        cuda = import ./cuda.nix { inherit inputs system; };
      };
    };
}

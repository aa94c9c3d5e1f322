# The functions that make every configuration, home and image of this flake. For other flakes they
# are its output `lib`; the folders beside this one take them from there as well.
{ inputs, self, ... }:
{
  imports = [ ./per-system.nix ];

  flake.lib = {
    # `nix flake check` warns of outputs that it does not know, so some look for them here.
    inherit (self) homeManagerModules;
    mkHome = import ./mk-home.nix { inherit inputs self; };
    mkImage = import ./mk-image.nix { inherit self; };
    mkPkgs = import ./mk-pkgs.nix { inherit inputs self; };
    mkSystem = import ./mk-system.nix { inherit inputs self; };
    systemModules = import ./system-modules.nix { inherit self; };
  };
}

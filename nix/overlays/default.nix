# The overlay of this flake. It adds names and changes none, so what nixpkgs has stays what its
# binary cache has.
{ inputs, ... }:
{
  flake.overlays.default = final: _: {
    rosPackages = import ./ros.nix { inherit (inputs) nix-ros-overlay; } final;
  };
}

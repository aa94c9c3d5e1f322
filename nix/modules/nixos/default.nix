# The NixOS module of this flake: package profiles, what an image says of itself, and an image of the
# kind `docker`.
{ self, ... }:
{
  flake.nixosModules.default = {
    # With a key it may be imported twice.
    key = "image-factory/nix/modules/nixos";
    imports = [
      ./docker.nix
      ./metadata.nix
      ./profiles.nix
    ];
    nixpkgs.overlays = [ self.overlays.default ];
  };
}

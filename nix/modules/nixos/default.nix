# The NixOS module of this flake: package profiles, what an image says of itself, and an image of
# the kind `docker`.
{ self, ... }:
{
  flake.nixosModules.default =
    { config, ... }:
    {
      # With a key it may be imported twice.
      key = "image-factory/nix/modules/nixos";
      imports = [
        ../profiles.nix
        ./docker.nix
        ./metadata.nix
      ];
      environment.systemPackages = config.imageFactory.packages;
      nixpkgs.overlays = [ self.overlays.default ];
    };
}

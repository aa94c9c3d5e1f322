# The module of nix-darwin: package profiles on macOS, and a builder for images, which are Linux.
{ self, ... }:
{
  flake.darwinModules.default =
    { config, ... }:
    {
      # With a key it may be imported twice.
      key = "image-factory/nix/modules/darwin";
      imports = [
        ../profiles.nix
        ./builder.nix
      ];
      environment.systemPackages = config.imageFactory.packages;
      nix.settings.experimental-features = [
        "nix-command"
        "flakes"
      ];
      nixpkgs.overlays = [ self.overlays.default ];
    };
}

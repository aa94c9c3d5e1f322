# A fleet of your own, on top of the image factory. It begins with two images; machines are added in
# the same way, by `mkSystem`.
{
  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

    # Where yours comes from.
    image-factory.url = "git+https://git.example.org/image-factory?dir=nix";
    image-factory.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    { self, image-factory, ... }:
    let
      inherit (image-factory.lib) mkImage;
      images = {
        wsl = mkImage {
          name = "wsl";
          system = "x86_64-linux";
          attribute = "tarballBuilder";
          # The image then names the commit of this flake, and not that of the factory.
          source = self;
          modules = [
            image-factory.nixosModules.image-base
            image-factory.inputs.nixos-wsl.nixosModules.default
            ./wsl.nix
          ];
        };
        card = mkImage {
          name = "card";
          system = "aarch64-linux";
          variant = "sd-card";
          source = self;
          modules = [
            image-factory.nixosModules.image-base
            image-factory.nixosModules.image-sd-card
            ./card.nix
          ];
        };
      };
    in
    {
      nixosConfigurations = builtins.mapAttrs (_: image: image.configuration) images;

      # `nix run .#image -- wsl`, and the other commands of the factory; not those for what is not
      # here: an image `docker`, a hive of colmena, and nodes of deploy-rs.
      apps = builtins.mapAttrs (
        _: apps:
        removeAttrs apps [
          "colmena"
          "deploy"
          "devcontainer"
        ]
      ) image-factory.apps;
    };
}

# The packages of this flake: the image factory, and the profiles. Images are in ../images.
{
  perSystem =
    { config, pkgs, ... }:
    {
      imports = [ ./profiles.nix ];
      packages = {
        default = config.packages.image-factory;
        image-factory = pkgs.callPackage ./image-factory.nix { };
      };
    };
}

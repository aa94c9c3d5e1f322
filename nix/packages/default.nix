# The packages of this flake: the image factory, and the profiles. Images are in ../images.
{
  perSystem =
    { pkgs, ... }:
    {
      imports = [ ./profiles.nix ];
      packages.image-factory = pkgs.callPackage ./image-factory.nix { };
    };
}

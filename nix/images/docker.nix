# A container with the packages of the profiles, for `docker run`, as a base of other images, and as
# a dev container. The variant is one of this flake: modules/nixos/docker-image.nix.
{ ... }:
{
  system = "x86_64-linux";
  variant = "docker";
  modules = [
    ./base.nix
    {
      # It has the kernel and the root of whoever runs it.
      boot.isContainer = true;
    }
  ];
}

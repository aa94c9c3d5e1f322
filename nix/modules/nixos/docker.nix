# The image variant `docker`, which nixpkgs does not have: `config.system.build.images.docker`.
{
  image.modules.docker = ./docker-image.nix;
}

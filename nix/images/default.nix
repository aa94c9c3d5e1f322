# The images of this flake: each file says what one of them is, and `images/<name>.toml` in the root
# of the repository how it is finished, checked and published.
{
  inputs,
  lib,
  self,
  ...
}:
let
  files = {
    amazon = ./amazon.nix;
    docker = ./docker.nix;
    iso = ./iso.nix;
    iso-installer = ./iso-installer.nix;
    sd-aarch64 = ./sd-aarch64.nix;
    sd-aarch64-installer = ./sd-aarch64-installer.nix;
    virtualbox = ./virtualbox.nix;
    vm = ./vm.nix;
    wsl = ./wsl.nix;
  };
  images = lib.mapAttrs (
    name: file: self.lib.mkImage (import file { inherit inputs; } // { inherit name; })
  ) files;
in
{
  # For `nixos-rebuild --flake`, and for the factory.
  flake.nixosConfigurations = lib.mapAttrs (_: image: image.configuration) images;

  # What several of them share, for images of other flakes.
  flake.nixosModules = {
    image-base = ./base.nix;
    image-installer = ./installer.nix;
    image-live = ./live.nix;
    image-login = ./login.nix;
    image-sd-card = ./sd-card.nix;
  };

  # `nix build .#images.wsl`, whatever system it is for.
  flake.images = lib.mapAttrs (_: image: image.derivation) images;

  perSystem =
    { system, ... }:
    let
      own = lib.filterAttrs (_: image: image.system == system) images;
      package = name: image: lib.nameValuePair "image-${name}" image.derivation;
    in
    {
      packages = lib.mapAttrs' package own;
    };
}

# The hive of colmena: `nix run ./nix#colmena -- apply --on HOST`, or `--on @TAG`.
{
  inputs,
  lib,
  self,
  ...
}:
let
  hosts = import ./hosts.nix { inherit inputs lib; };

  # colmena evaluates NixOS by itself, to have options of its own beside those of the host.
  node =
    name: host:
    let
      inherit (self.nixosConfigurations.${name}) config;
    in
    {
      imports = self.lib.systemModules (removeAttrs host [ "deployment" ]);
      deployment = {
        inherit (host.deployment) tags;
        targetHost = host.deployment.address;
        targetUser = host.deployment.user;
      };
      # Which nixpkgs it is, colmena does not say.
      nixpkgs.flake = {
        inherit (config.nixpkgs.flake) source;
      };
      system.nixos = {
        inherit (config.system.nixos) revision versionSuffix;
      };
    };
in
{
  flake.colmenaHive = inputs.colmena.lib.makeHive (
    {
      # Only its path counts: a host says itself which system it is.
      meta.nixpkgs = inputs.nixpkgs.legacyPackages.x86_64-linux;
    }
    // lib.mapAttrs node hosts
  );
}

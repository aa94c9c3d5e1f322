# The hive of colmena: `nix run ./nix#colmena -- apply --on HOST`. A node is found by the name of its
# host, so addresses and users belong into ~/.ssh/config, or into `deployment` in the host's modules.
{ inputs, self, ... }:
let
  hosts = import ./hosts.nix { inherit self; };

  # colmena evaluates NixOS by itself, with its own options beside those of the host. It does not know
  # which nixpkgs it is, so the host says so.
  node = host: {
    imports = host._module.args.modules;
    system.nixos = {
      inherit (host.config.system.nixos) revision versionSuffix;
    };
  };
in
{
  flake.colmenaHive = inputs.colmena.lib.makeHive (
    {
      # Only its path counts: the system is that of the host.
      meta.nixpkgs = inputs.nixpkgs.legacyPackages.x86_64-linux;
    }
    // builtins.mapAttrs (_: node) hosts
  );
}

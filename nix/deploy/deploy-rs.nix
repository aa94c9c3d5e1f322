# The nodes of deploy-rs: `nix run ./nix#deploy -- HOST`. The machine itself goes back to what it had
# if it does not hear from the one that deploys within half a minute.
{ inputs, self, ... }:
let
  hosts = import ./hosts.nix { inherit self; };

  node =
    name: host:
    let
      inherit (host.pkgs.stdenv.hostPlatform) system;
    in
    {
      hostname = name;
      profiles.system = {
        path = inputs.deploy-rs.lib.${system}.activate.nixos host;
        user = "root";
      };
    };
in
{
  flake.deploy.nodes = builtins.mapAttrs node hosts;
}

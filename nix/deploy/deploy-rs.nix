# The nodes of deploy-rs: `nix run ./nix#deploy -- HOST`. A machine that was cut off by what it was
# given goes back to what it had, by itself and within half a minute.
{
  inputs,
  lib,
  self,
  ...
}:
let
  hosts = import ./hosts.nix { inherit inputs lib; };

  node = name: host: {
    hostname = host.deployment.address;
    sshUser = host.deployment.user;
    profiles.system = {
      path = inputs.deploy-rs.lib.${host.system}.activate.nixos self.nixosConfigurations.${name};
      user = "root";
    };
  };
in
{
  flake.deploy.nodes = lib.mapAttrs node hosts;
}

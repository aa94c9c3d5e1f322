# A server with one disk. `nix run ./nix#install -- server root@ADDRESS` puts it onto a machine that
# runs any Linux; from then on it is updated over SSH.
{ inputs }:
{
  system = "x86_64-linux";
  profiles = [
    "essential"
    "infrastructure"
  ];
  deployment = {
    address = "server.example.org";
    user = "root";
    tags = [ "server" ];
  };
  modules = [
    inputs.disko.nixosModules.default
    ./disk.nix
    ./system.nix
  ];
}

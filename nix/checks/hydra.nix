# The jobs of Hydra: all that is built on Linux, the systems of the hosts, and what each check says.
# Jobs that need others wait for them, so an image is verified while others are still being built.
{ lib, self, ... }:
let
  hosts = import ../deploy/hosts.nix { inherit self; };
  onLinux = lib.filterAttrs (system: _: lib.hasSuffix "-linux" system);
in
{
  flake.hydraJobs = {
    checks = onLinux self.checks;
    hosts = lib.mapAttrs (_: host: host.config.system.build.toplevel) hosts;
    packages = onLinux self.packages;
    shells = onLinux self.devShells;
  };
}

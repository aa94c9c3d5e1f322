# The jobs of Hydra: all that is built on Linux, the systems of the hosts, and what each check says.
# Jobs that need others wait for them, so an image is verified while others are still being built.
{
  inputs,
  lib,
  self,
  ...
}:
let
  fleet = import ../hosts/fleet.nix { inherit inputs; };
  toplevel = name: _: self.nixosConfigurations.${name}.config.system.build.toplevel;
  onLinux = lib.filterAttrs (system: _: lib.hasSuffix "-linux" system);
in
{
  flake.hydraJobs = {
    checks = onLinux self.checks;
    hosts = lib.mapAttrs toplevel fleet;
    packages = onLinux self.packages;
    shells = onLinux self.devShells;
  };
}

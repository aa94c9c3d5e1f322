# The jobs of Hydra: all that is built on Linux, and what each check says of it. Jobs that need others
# wait for them, so images are verified while others are still being built.
{ lib, self, ... }:
let
  onLinux = lib.filterAttrs (system: _: lib.hasSuffix "-linux" system);
in
{
  flake.hydraJobs = {
    checks = onLinux self.checks;
    packages = onLinux self.packages;
    shells = onLinux self.devShells;
  };
}

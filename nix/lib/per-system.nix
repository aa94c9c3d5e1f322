# `pkgs` of perSystem, which is what shells, commands, packages and checks are made of.
{ self, ... }:
{
  perSystem =
    { system, ... }:
    {
      _module.args.pkgs = self.lib.mkPkgs system;
    };
}

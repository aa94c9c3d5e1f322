# The modules of one system: what all systems share, and then its own. Whoever evaluates NixOS in a
# way of its own, as colmena does, takes this list instead of `mkSystem`.
{ self }:
{
  name,
  system,
  modules,
  # Names of package groups and bundles; null leaves the default of the module, or that of
  # `modules`.
  profiles ? null,
  # The flake whose commit the system is made from: `self` of yours, where that is not this one.
  source ? self,
}:
let
  shared =
    { lib, ... }:
    {
      imports = [ self.nixosModules.default ];
      # Weaker than mkDefault, which some clouds use to take the name away: they give one later.
      networking.hostName = lib.mkOverride 1200 name;
      nixpkgs.hostPlatform = lib.mkDefault system;
      imageFactory = {
        commit = lib.mkDefault (source.rev or source.dirtyRev or "unknown");
        profiles = lib.mkIf (profiles != null) profiles;
      };
    };
in
[ shared ] ++ modules

# The home of a user of a machine without NixOS: macOS, or another Linux. On NixOS, it is a matter
# of the host, by the NixOS module of home-manager.
{ inputs, self }:
{
  user,
  system,
  modules ? [ ],
}:
let
  pkgs = self.lib.mkPkgs system;
  homes = if pkgs.stdenv.hostPlatform.isDarwin then "/Users" else "/home";
in
inputs.home-manager.lib.homeManagerConfiguration {
  inherit pkgs;
  modules = [
    self.homeManagerModules.default
    (
      { lib, ... }:
      {
        home.username = user;
        home.homeDirectory = lib.mkDefault "${homes}/${user}";
      }
    )
  ]
  ++ modules;
}

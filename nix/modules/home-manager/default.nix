# The modules of home-manager, for homes on any machine, and the homes of this flake. No module asks
# for the configuration of the system around it: a home is the same on NixOS and elsewhere.
{ self, ... }:
{
  imports = [ ./homes.nix ];

  flake.homeManagerModules = {
    default = {
      imports = [
        self.homeManagerModules.git
        self.homeManagerModules.profiles
        self.homeManagerModules.shell
      ];
    };
    git = ./git.nix;
    profiles = ./profiles.nix;
    shell = ./shell.nix;
  };
}

# Homes for machines whose system is not ours, macOS and other Linux distributions:
# `home-manager switch --flake ./nix#dev@x86_64-linux`. A home of your own takes another user from
# `lib.mkHome`; on NixOS it belongs to the host.
{ config, self, ... }:
let
  home =
    system:
    self.lib.mkHome {
      user = "dev";
      inherit system;
      modules = [
        (
          { pkgs, ... }:
          {
            home.stateVersion = "26.05";
            imageFactory.profiles = [ "full" ];
            programs.home-manager.enable = true;
            # Other distributions look for locales, menus and man pages elsewhere.
            targets.genericLinux.enable = pkgs.stdenv.hostPlatform.isLinux;
          }
        )
      ];
    };
in
{
  flake.homeConfigurations = builtins.listToAttrs (
    map (system: {
      name = "dev@${system}";
      value = home system;
    }) config.systems
  );
}

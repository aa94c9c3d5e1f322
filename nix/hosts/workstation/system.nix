# What the workstation is: the user, and the home of the user, which is the same as on other
# systems.
{ inputs }:
let
  user = "nixos";
in
{
  wsl = {
    enable = true;
    defaultUser = user;
  };

  home-manager = {
    useGlobalPkgs = true;
    users.${user} = {
      imports = [ inputs.self.homeManagerModules.default ];
      # The packages are those of the system.
      imageFactory.profiles = [ ];
      home.stateVersion = "26.05";
    };
  };

  nix.settings.experimental-features = [
    "nix-command"
    "flakes"
  ];

  # The release that it was installed with; it stays when nixpkgs moves on.
  system.stateVersion = "26.05";
}

# How to get in where nobody else provides an account: at the console as `nixos`, without a password
# until `passwd` sets one, which sudo asks for. Over the network there is no way in before somebody
# leaves a key.
{ lib, ... }:
{
  users.users.nixos = {
    isNormalUser = true;
    extraGroups = [ "wheel" ];
    initialHashedPassword = "";
  };
  services.getty.helpLine = ''

    Log in as `nixos`. `passwd` sets a password; sudo asks for it.
  '';
  services.openssh = {
    enable = true;
    settings = {
      PasswordAuthentication = lib.mkDefault false;
      PermitRootLogin = lib.mkDefault "no";
    };
  };
}

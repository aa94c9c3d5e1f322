# What is in the image for WSL.
{ pkgs, ... }:
{
  # Names of package groups and bundles. There are more, and `imageFactory.groups` takes your own.
  imageFactory.profiles = [
    "essential"
    "mine"
  ];
  imageFactory.groups.mine = [ pkgs.hello ];

  wsl = {
    enable = true;
    defaultUser = "nixos";
  };
}

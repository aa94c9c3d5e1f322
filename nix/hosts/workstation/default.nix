# A NixOS in the Windows Subsystem for Linux that somebody works with. It begins as the image `wsl`,
# and then rebuilds itself: `sudo nixos-rebuild switch --flake ./nix#workstation`.
{ inputs }:
{
  system = "x86_64-linux";
  profiles = [
    "essential"
    "development"
  ];
  deployment = null;
  modules = [
    inputs.nixos-wsl.nixosModules.default
    inputs.home-manager.nixosModules.default
    (import ./system.nix { inherit inputs; })
  ];
}

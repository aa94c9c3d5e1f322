# NixOS for the Windows Subsystem for Linux. The image is a program that makes the archive: it
# installs NixOS into a folder, which needs root, so Nix cannot do it.
{ inputs }:
{
  system = "x86_64-linux";
  attribute = "tarballBuilder";
  modules = [
    ./base.nix
    inputs.nixos-wsl.nixosModules.default
    {
      wsl = {
        enable = true;
        defaultUser = "nixos";
      };
    }
  ];
}

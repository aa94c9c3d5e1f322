# The NixOS installer on an SD card. It logs in by itself, and has the tools that install NixOS onto
# another disk.
{ ... }:
{
  system = "aarch64-linux";
  variant = "sd-card";
  modules = [
    ./base.nix
    ./sd-card.nix
    (
      { modulesPath, ... }:
      {
        imports = [
          "${modulesPath}/profiles/installation-device.nix"
          ./installer.nix
        ];
      }
    )
  ];
}

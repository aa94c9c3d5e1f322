# NixOS for Amazon EC2: a disk to import as a snapshot. The account is root, by the key that the
# instance is given.
{ ... }:
{
  system = "x86_64-linux";
  variant = "amazon";
  modules = [
    ./base.nix
    (
      { modulesPath, ... }:
      {
        # What an instance imports to rebuild itself; the image itself imports it as well.
        imports = [ "${modulesPath}/virtualisation/amazon-image.nix" ];
      }
    )
  ];
}

# The NixOS installer on a disc or a USB stick. Accounts, network and tools come with the variant.
{ ... }:
{
  system = "x86_64-linux";
  variant = "iso-installer";
  modules = [
    ./base.nix
    ./live.nix
    {
      # The options of the installer are those of the variant, so they are set there.
      image.modules.iso-installer = {
        imports = [ ./installer.nix ];
        # A part of the label. With the same one on two sticks, the system may find the wrong one.
        isoImage.edition = "installer";
      };
    }
  ];
}

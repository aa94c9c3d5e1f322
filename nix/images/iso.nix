# NixOS that runs from a disc or a USB stick, and forgets everything when it is switched off.
{ ... }:
{
  system = "x86_64-linux";
  variant = "iso";
  modules = [
    ./base.nix
    ./live.nix
    ./login.nix
    {
      # By itself this variant starts by BIOS and from discs only.
      image.modules.iso.isoImage = {
        makeEfiBootable = true;
        makeUsbBootable = true;
        # A part of the label. With the same one on two sticks, the system may find the wrong one.
        edition = "live";
      };
    }
  ];
}

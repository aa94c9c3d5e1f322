# What both installers share, beside nixpkgs' own profile for installers.
{
  # Flakes find the nixpkgs that the installer is made of in its registry, and with it
  # `nixos-install --flake` needs no channel. A channel would be a second copy of all of nixpkgs, in
  # the image and for each evaluation.
  system.installer.channel.enable = false;
  # What it would copy to the new system is the configuration of the installer.
  installer.cloneConfig = false;
}

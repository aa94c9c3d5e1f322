# The ways to bring a host up to date: colmena for many at a time, deploy-rs for one that must not
# get lost. Both deploy what `nixos-rebuild` builds of the same host, to the byte where it is without
# the manual.
{
  imports = [
    ./colmena.nix
    ./deploy-rs.nix
  ];
}

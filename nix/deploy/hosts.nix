# The hosts that are deployed from elsewhere: those of the fleet that say how they are reached.
{ inputs, lib }:
lib.filterAttrs (_: host: host.deployment != null) (import ../hosts/fleet.nix { inherit inputs; })

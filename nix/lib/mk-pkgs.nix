# nixpkgs for a system, with the overlay of this flake: what shells, commands and homes are made of.
# NixOS configurations do not use it. They get the overlay by the module, and keep their own
# `nixpkgs.config`.
{ inputs, self }:
system:
import inputs.nixpkgs {
  inherit system;
  overlays = [ self.overlays.default ];
}

# nixpkgs as it lies in the store, with an overlay or, where that is null, without.
#
# The folder of this file has links to all of nixpkgs but for the files that are made here. It is the
# input in the place of nixpkgs: Nix up to 2.34 copies an input of the kind `path` into the store again
# for each evaluation, even if it is there, and nixpkgs has forty thousand files.
{
  self,
  base,
  overlay,
}:
let
  original = (import (base + "/flake.nix")).outputs {
    self = original // self.sourceInfo // { outPath = base; };
  };

  changed = {
    legacyPackages = builtins.mapAttrs (_: packages: packages.extend overlay) original.legacyPackages;

    lib = original.lib.extend (
      _: lib: {
        nixosSystem =
          args:
          lib.nixosSystem (args // { modules = args.modules ++ [ { nixpkgs.overlays = [ overlay ]; } ]; });
      }
    );
  };
in
if overlay == null then original else original // changed

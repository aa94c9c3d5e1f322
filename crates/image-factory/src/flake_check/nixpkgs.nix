# nixpkgs with an overlay, and everything else as it is: for checkouts in which the source of a
# package is missing.
#
# The folder of this file has links to all of nixpkgs but for the files that are made here.
{ base, overlay }:
{
  isStandIn = base.isStandIn or false;

  legacyPackages = builtins.mapAttrs (_: packages: packages.extend overlay) base.legacyPackages;

  lib = base.lib.extend (
    _: lib: {
      nixosSystem =
        args:
        lib.nixosSystem (args // { modules = args.modules ++ [ { nixpkgs.overlays = [ overlay ]; } ]; });
    }
  );

  inherit (base) nixosModules;
}

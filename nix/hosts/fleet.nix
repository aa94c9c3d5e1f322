# The machines of the fleet, by name. Whatever has to do with machines reads this list: their
# configurations, `colmenaHive` and `deploy`. A host is what `mkSystem` takes, and `deployment`: how
# it is reached, or null for one that only rebuilds itself.
{ inputs }:
builtins.mapAttrs (name: folder: { inherit name; } // import folder { inherit inputs; }) {
  server = ./server;
  workstation = ./workstation;
}

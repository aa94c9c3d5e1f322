# The definitions of the images of one system: what `images/<name>.toml` says of each image that
# this flake has.
{ lib, self }:
system:
let
  read = name: _: builtins.fromTOML (builtins.readFile (../../images + "/${name}.toml"));
in
lib.filterAttrs (_: definition: definition.system == system) (lib.mapAttrs read self.images)

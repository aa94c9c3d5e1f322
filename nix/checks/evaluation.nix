# Does each image evaluate, and to one for the system that its definition names? Nothing of the
# image is built for it.
{ lib, self, ... }:
let
  definitions = import ./definitions.nix { inherit lib self; };
in
{
  perSystem =
    { pkgs, system, ... }:
    let
      check =
        name: definition:
        let
          configured = self.nixosConfigurations.${name}.pkgs.stdenv.hostPlatform.system;
        in
        lib.nameValuePair "evaluation-${name}" (
          assert lib.assertMsg (
            configured == definition.system
          ) "images/${name}.toml is for ${definition.system}, its configuration for ${configured}";
          pkgs.writeText "evaluation-${name}" (
            # Without its context, the derivation is a text and no input.
            builtins.unsafeDiscardStringContext self.images.${name}.drvPath
          )
        );
    in
    {
      checks = lib.mapAttrs' check (definitions system);
    };
}

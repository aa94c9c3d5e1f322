# Is each image what its definition promises? The image is built, and `image-factory verify` reads
# it to the last byte. The report is the output.
#
# It is the image of the lock of this flake; of one that has a lock of its own, the factory verifies
# what it builds. So it does with the archive for WSL, which is missing here: its builder wants
# root, and does not run in Nix.
{ lib, self, ... }:
let
  definitions = import ./definitions.nix { inherit lib self; };
  isBuiltByNix = _: definition: definition.build.driver == "nix-image";

  # Where the factory finds `images/<name>.toml`.
  root = lib.fileset.toSource {
    root = ../..;
    fileset = ../../images;
  };
in
{
  perSystem =
    {
      config,
      pkgs,
      system,
      ...
    }:
    let
      inherit (config.packages) image-factory;

      check =
        name: _:
        let
          image = self.images.${name};
        in
        lib.nameValuePair "verification-${name}" (
          pkgs.runCommand "verification-${name}" { nativeBuildInputs = [ image-factory ]; } ''
            # Under its own name, so that the report does not keep the image in the store.
            cp -r ${root}/images .
            ln -s ${image}/${image.passthru.filePath} .
            verify() {
              image-factory verify --image ${name} --work "$TMPDIR" --progress none \
                ${baseNameOf image.passthru.filePath} "$@"
            }
            # For programs; and for the log, which is what one looks at when it fails.
            if ! verify --format json >"$out"; then
              verify || true
              exit 1
            fi
          ''
        );
    in
    {
      checks = lib.mapAttrs' check (lib.filterAttrs isBuiltByNix (definitions system));
    };
}

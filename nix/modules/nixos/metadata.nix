# What a system says of itself: /etc/nixos-metadata tells which image it was, and which commits,
# profiles and platform it was made of.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) types mkOption;
  cfg = config.imageFactory;

  # The syntax of os-release(5): shells read it, and so do programs that are no shell.
  assignment = name: value: "${name}=\"${lib.escape [ "\\" "\"" "$" "`" ] value}\"\n";
  file = lib.concatStrings (lib.mapAttrsToList assignment cfg.metadata);
in
{
  options.imageFactory = {
    image = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "The name of the image; null for a system that is none.";
    };

    commit = mkOption {
      type = types.str;
      default = "unknown";
      example = lib.literalExpression ''self.rev or self.dirtyRev or "unknown"'';
      description = ''
        The commit of the flake that the system is defined in. `lib.mkSystem` sets it; a flake that
        only imports the module sets it itself.
      '';
    };

    metadata = mkOption {
      type = types.attrsOf types.str;
      description = "What /etc/nixos-metadata says. More can be added.";
      example = {
        SITE = "lab";
      };
    };
  };

  config = {
    imageFactory.metadata = {
      COMMIT = cfg.commit;
      IMAGE = if cfg.image == null then "" else cfg.image;
      # That of the nixpkgs which evaluates, whoever's input it is. A folder has none.
      NIXPKGS_REVISION =
        if config.system.nixos.revision == null then "unknown" else config.system.nixos.revision;
      PROFILES = lib.concatStringsSep " " cfg.profiles;
      SYSTEM = pkgs.stdenv.hostPlatform.system;
    };
    environment.etc.nixos-metadata.text = file;

    # `nixos-version --configuration-revision` tells it.
    system.configurationRevision = lib.mkIf (cfg.commit != "unknown") (lib.mkDefault cfg.commit);
  };
}

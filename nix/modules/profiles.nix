# Package profiles, for systems and homes alike. A profile is the name of a package group or of a
# bundle of groups; each kind of module says where their packages go.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) types mkOption;
  cfg = config.imageFactory;

  known = lib.unique (lib.attrNames cfg.groups ++ lib.attrNames cfg.bundles);
  sorted = lib.sort (a: b: a < b);
  listed = names: lib.concatStringsSep ", " (sorted names);

  # Said by `apply`, and not by an assertion: whoever reads an option of an unknown name is stopped.
  checked =
    option: kind: names:
    let
      isKnown = name: lib.elem name names;
      unknown = name: "${option}: no ${kind} is called \"${name}\"; known are ${listed names}";
    in
    map (name: if isKnown name then name else throw (unknown name));

  groupsOf = profile: cfg.bundles.${profile} or [ profile ];
in
{
  options.imageFactory = {
    groups = mkOption {
      # Lazy: groups that no profile names are not evaluated.
      type = types.lazyAttrsOf (types.listOf types.package);
      description = ''
        Lists of packages by name. Those of this flake are there already; a definition of your own
        replaces the one of that name.
      '';
      example = lib.literalExpression "{ networking = [ pkgs.mtr pkgs.nmap ]; }";
    };

    bundles = mkOption {
      type = types.attrsOf (types.listOf types.str);
      apply = lib.mapAttrs (
        name: checked "imageFactory.bundles.${name}" "group" (lib.attrNames cfg.groups)
      );
      description = "Names for several groups at once.";
      example = {
        office = [
          "essential"
          "networking"
        ];
      };
    };

    profiles = mkOption {
      type = types.listOf types.str;
      default = [ "essential" ];
      apply = names: lib.unique (checked "imageFactory.profiles" "profile" known names);
      description = ''
        The groups and bundles whose packages the system or home has. Definitions add up; to have
        no other profiles than yours, use `lib.mkForce`.
      '';
      example = [
        "essential"
        "kubernetes"
      ];
    };

    knownProfiles = mkOption {
      type = types.listOf types.str;
      readOnly = true;
      description = "The names of all groups and bundles, sorted.";
    };

    packages = mkOption {
      type = types.listOf types.package;
      readOnly = true;
      description = "The packages of the profiles.";
    };
  };

  config.imageFactory = {
    groups = lib.mapAttrs (_: group: lib.mkDefault (group pkgs)) (import ../packages/groups);
    bundles = lib.mapAttrs (_: lib.mkDefault) (import ../packages/bundles.nix);
    knownProfiles = sorted known;
    packages = lib.concatMap (name: cfg.groups.${name}) (
      lib.unique (lib.concatMap groupsOf cfg.profiles)
    );
  };
}

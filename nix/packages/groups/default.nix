# The package groups by name: functions from nixpkgs to lists. What the platform lacks is left
# out here and nowhere else, so a group may name what only Linux has.
let
  onItsPlatforms =
    group: pkgs: builtins.filter (pkgs.lib.meta.availableOn pkgs.stdenv.hostPlatform) (group pkgs);
in
builtins.mapAttrs (_: file: onItsPlatforms (import file)) {
  ai-ml = ./ai-ml.nix;
  development = ./development.nix;
  essential = ./essential.nix;
  extras = ./extras.nix;
  infrastructure = ./infrastructure.nix;
  kubernetes = ./kubernetes.nix;
  robotics = ./robotics.nix;
  security = ./security.nix;
}

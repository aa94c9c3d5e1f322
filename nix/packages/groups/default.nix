# The package groups by name: functions from nixpkgs to lists of what the platform has.
let
  available = import ../available.nix;
in
builtins.mapAttrs
  (
    _: file: pkgs:
    available pkgs (import file pkgs)
  )
  {
    ai-ml = ./ai-ml.nix;
    development = ./development.nix;
    essential = ./essential.nix;
    extras = ./extras.nix;
    infrastructure = ./infrastructure.nix;
    kubernetes = ./kubernetes.nix;
    robotics = ./robotics.nix;
    security = ./security.nix;
  }

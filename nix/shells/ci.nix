# For machines that check every change: the shell `factory`, and what looks at scripts, Nix code and
# dependencies.
{ pkgs, shells, ... }:
pkgs.mkShell {
  name = "image-factory-ci";
  inputsFrom = [ shells.factory ];
  packages = with pkgs; [
    cargo-deny
    cargo-nextest
    deadnix
    shellcheck
    typos
  ];
}

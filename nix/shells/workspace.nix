# The default shell, ready in seconds: what compiles the workspace, and what writes and formats Nix.
# All of it comes from the binary cache, and none of it is built here.
{ pkgs, ... }:
pkgs.mkShell {
  name = "image-factory";
  packages = with pkgs; [
    cargo
    clippy
    git
    jq
    nixfmt
    rustc
    rustfmt
  ];
}

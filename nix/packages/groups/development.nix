# For writing programs: version control, compilers of the usual languages, what builds and checks,
# and what Nix code is written with.
pkgs: with pkgs; [
  cargo
  clippy
  cmake
  deadnix
  delta
  direnv
  gdb
  gh
  git-lfs
  gnumake
  go
  hyperfine
  just
  nixd
  nixfmt
  nodejs
  pkg-config
  python3
  rust-analyzer
  rustc
  rustfmt
  shellcheck
  statix
  stdenv.cc
  uv
]

# What one misses within minutes on a machine that has it not: to look around, fetch, search, edit
# and unpack.
pkgs: with pkgs; [
  curl
  dig
  fd
  file
  git
  htop
  jq
  less
  lsof
  ripgrep
  rsync
  tmux
  tree
  unzip
  vim
  wget
  xz
  zip
  zstd
]

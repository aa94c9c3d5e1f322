# What makes a terminal pleasant: newer relatives of old programs, a prompt, history, and views of
# what the machine does.
pkgs: with pkgs; [
  atuin
  bat
  btop
  duf
  dust
  eza
  fastfetch
  fzf
  glow
  lazygit
  ncdu
  procs
  sd
  starship
  tealdeer
  xh
  yazi
  yq-go
  zoxide
]

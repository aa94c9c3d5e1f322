# The shells of a home: both usual ones with the same prompt, the same search through history and
# folders, and the environment of a project as soon as one enters its folder. All of it can be set
# otherwise.
{ lib, ... }:
let
  on.enable = lib.mkDefault true;
in
{
  programs = {
    bash = on // {
      historyControl = lib.mkDefault [ "ignoreboth" ];
    };
    direnv = on // {
      # Keeps what a shell was made of, so that it is there at once, and without network.
      nix-direnv = on;
    };
    fzf = on;
    starship = on;
    zoxide = on;
    zsh = on;
  };
}

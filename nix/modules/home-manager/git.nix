# Git with the defaults that one sets on each new machine. Name and address are the user's:
# `programs.git.settings.user`.
{ lib, ... }:
{
  programs.git = {
    enable = lib.mkDefault true;
    lfs.enable = lib.mkDefault true;
    settings = lib.mapAttrsRecursive (_: lib.mkDefault) {
      diff.algorithm = "histogram";
      fetch.prune = true;
      init.defaultBranch = "main";
      merge.conflictStyle = "zdiff3";
      pull.ff = "only";
      push.autoSetupRemote = true;
      rebase.autoStash = true;
    };
  };
}

# Commands for the Nix code of this repository. `nix fmt` formats it.
{ pkgs, ... }:
{
  lint = {
    description = "Look for what is unused, outdated or not formatted in the Nix code";
    runtimeInputs = with pkgs; [
      deadnix
      git
      nixfmt
      statix
    ];
    text = ''
      cd "$(git rev-parse --show-toplevel)"
      git ls-files -z 'nix/*.nix' | xargs -0 nixfmt --check
      deadnix --fail nix
      exec statix check nix
    '';
  };
}

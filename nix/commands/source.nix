# Commands for the Nix code of this repository. `nix fmt` formats it.
{ pkgs, ... }:
{
  lint = {
    description = "Look for what is unused or not formatted in the Nix code";
    runtimeInputs = with pkgs; [
      deadnix
      git
      nixfmt
    ];
    text = ''
      cd "$(git rev-parse --show-toplevel)"
      git ls-files -z 'nix/*.nix' | xargs -0 nixfmt --check
      exec deadnix --fail nix
    '';
  };
}

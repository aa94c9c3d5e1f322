# Commands for the Nix code of this repository. `nix fmt` formats it.
{ findFlake, pkgs, ... }:
{
  lint = {
    description = "Look for what is unused or not formatted in the Nix code";
    runtimeInputs = with pkgs; [
      deadnix
      git
      nixfmt
    ];
    text = ''
      ${findFlake}
      cd "$flake"
      git ls-files -z '*.nix' | xargs -0 nixfmt --check
      exec deadnix --fail .
    '';
  };
}

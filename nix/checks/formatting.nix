# Is the Nix code formatted? `nix fmt` mends it.
{
  perSystem =
    { pkgs, ... }:
    {
      checks.formatting = pkgs.runCommand "formatting" { nativeBuildInputs = [ pkgs.nixfmt ]; } ''
        find ${../.} -name '*.nix' -exec nixfmt --check {} +
        touch "$out"
      '';
    };
}

# The commands, as `nix run ./nix#NAME -- …` starts them: each file has those of one topic. A
# command is a script, which ShellCheck reads before it is built, with the programs that it calls.
{ inputs, ... }:
{
  perSystem =
    {
      config,
      lib,
      pkgs,
      system,
      ...
    }:
    let
      topic =
        file:
        import file {
          inherit
            findFlake
            inputs
            pkgs
            system
            ;
          inherit (config.packages) image-factory;
        };
      # Bash that sets `flake`, for what looks for one in the current folder: that of this repository
      # is one below, and that of the template is not.
      findFlake = ''
        flake=$(git rev-parse --show-toplevel)
        [[ ! -e $flake/nix/flake.nix ]] || flake+=/nix
      '';
      app =
        name:
        {
          description,
          text,
          runtimeInputs ? [ ],
        }:
        {
          type = "app";
          program = pkgs.writeShellApplication { inherit name runtimeInputs text; };
          meta = { inherit description; };
        };
    in
    {
      apps = lib.mapAttrs app (
        topic ./factory.nix // topic ./fleet.nix // topic ./media.nix // topic ./source.nix
      );
      formatter = pkgs.nixfmt-tree;
    };
}

# Commands for machines that run: the first installation, and what comes after.
{
  findFlake,
  inputs,
  pkgs,
  system,
  ...
}:
{
  colmena = {
    description = "Deploy the hosts of this flake with colmena: -- apply --on HOST";
    # The release in nixpkgs does not know `colmenaHive`.
    runtimeInputs = [
      inputs.colmena.packages.${system}.colmena
      pkgs.git
    ];
    text = ''
      ${findFlake}
      exec colmena --config "$flake/flake.nix" "$@"
    '';
  };

  deploy = {
    description = "Deploy a host with deploy-rs, which undoes what cuts it off: -- HOST";
    runtimeInputs = with pkgs; [
      deploy-rs
      git
    ];
    text = ''
      if [[ $# -eq 0 ]]; then
        echo 'usage: deploy HOST [OPTION…]' >&2
        exit 2
      fi
      ${findFlake}
      host=$1
      shift
      # By itself deploy-rs begins with `nix flake check`, which here builds and verifies each image.
      exec deploy --skip-checks "$flake#$host" "$@"
    '';
  };

  install = {
    description = "Install a host over SSH, and erase its disks: -- HOST USER@ADDRESS";
    runtimeInputs = with pkgs; [
      git
      nixos-anywhere
    ];
    text = ''
      if [[ $# -lt 2 ]]; then
        echo 'usage: install HOST USER@ADDRESS [OPTION…]' >&2
        exit 2
      fi
      ${findFlake}
      host=$1 target=$2
      shift 2
      exec nixos-anywhere --flake "$flake#$host" --target-host "$target" "$@"
    '';
  };
}

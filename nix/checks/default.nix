# What `nix flake check` and Hydra look at. A check is a derivation, so it is made where there is
# room for it: all of them at the same time, on as many builders as there are.
{
  imports = [
    ./evaluation.nix
    ./formatting.nix
    ./hydra.nix
    ./verification.nix
  ];
}

# The modules that other flakes can import.
{
  imports = [
    ./nixos
  ];
}

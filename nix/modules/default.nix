# The modules that other flakes can import.
{
  imports = [
    ./darwin
    ./home-manager
    ./nixos
  ];
}

# For programs on NVIDIA's GPUs: compiler, libraries and tools of CUDA. They are not free, so they
# come from a nixpkgs of their own that allows them and nothing else.
{ inputs, system }:
let
  pkgs = import inputs.nixpkgs {
    inherit system;
    config = {
      allowUnfreePredicate = pkgs._cuda.lib.allowUnfreeCudaPredicate;
      cudaSupport = true;
    };
  };
  # The driver is that of the machine. This is where NixOS has its libraries; on WSL, Windows has
  # them.
  drivers = "/run/opengl-driver/lib:/usr/lib/wsl/lib";
in
pkgs.mkShell {
  name = "cuda";
  packages =
    (with pkgs; [
      cmake
      ninja
      python3
      uv
    ])
    ++ (with pkgs.cudaPackages; [
      cudatoolkit
      cudnn
      nccl
    ]);
  shellHook = ''
    export CUDA_PATH="${pkgs.cudaPackages.cudatoolkit}"
    export LD_LIBRARY_PATH="${drivers}''${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
  '';
}

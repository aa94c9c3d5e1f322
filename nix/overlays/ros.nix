# ROS 2, which nixpkgs does not have. The overlay that has it also changes packages that have
# nothing to do with robots, so it is laid over a copy, and only `rosPackages` is taken from there.
{ nix-ros-overlay }: pkgs: (pkgs.extend (import "${nix-ros-overlay}/overlay.nix")).rosPackages

# For robots: ROS 2 with its tools, and the buses and boards that a robot is made of. ROS is not in
# nixpkgs: the overlay of nix-ros-overlay has it, for Linux only.
pkgs:
with pkgs;
let
  rosPackages = pkgs.rosPackages or (throw "the group robotics needs the overlay of its flake");
  # Has long-term support, until May 2029. Its setup files want all packages below one prefix.
  distribution = rosPackages.jazzy;
  # The one that was made with ROS. That of nixpkgs is the bare core, which builds no ROS package.
  colcon = distribution.callPackage ({ colcon }: colcon) { };
  ros = distribution.buildEnv {
    paths = [
      colcon
      distribution.ament-cmake-core
      distribution.demo-nodes-cpp
      distribution.ros-base
      distribution.tf2-tools
    ];
  };
in
[
  can-utils
  esptool
  i2c-tools
  # An environment has no platforms of its own.
  (lib.addMetaAttrs { platforms = lib.platforms.linux; } ros)
  mosquitto
  openocd
  picocom
  platformio-core
  socat
]

# A Linux machine inside of macOS that builds images: Nix hands on to it what macOS cannot build.
{ config, lib, ... }:
let
  cfg = config.imageFactory.linuxBuilder;
in
{
  options.imageFactory.linuxBuilder = {
    enable = lib.mkEnableOption "a virtual machine that builds images for Linux";

    diskSize = lib.mkOption {
      type = lib.types.ints.positive;
      default = 64;
      description = "GiB that its disk grows to. An image is there several times while it is made.";
    };

    memory = lib.mkOption {
      type = lib.types.ints.positive;
      default = 8;
      description = "GiB of memory that it has.";
    };
  };

  config = lib.mkIf cfg.enable {
    nix.linux-builder = {
      enable = true;
      ephemeral = lib.mkDefault true;
      maxJobs = lib.mkDefault 4;
      config.virtualisation.darwin-builder = {
        diskSize = cfg.diskSize * 1024;
        memorySize = cfg.memory * 1024;
      };
    };
  };
}

# The image variant `docker`: an archive for `docker load`, with the packages of the profiles. It is
# no booted NixOS, and has no init: what runs in it is what `docker run` says, or a shell. Dev
# containers are built on it, so the server of VS Code finds what it needs.
{
  config,
  lib,
  modulesPath,
  pkgs,
  ...
}:
let
  cfg = config.imageFactory;
  inherit (pkgs) dockerTools;
  inherit (pkgs.stdenv) cc hostPlatform;

  # `nixos-docker`, as the published file and the dev container call it, also where it is the image
  # of somebody's own host.
  name = "nixos-${if cfg.image != null then cfg.image else "docker"}";

  programs = pkgs.buildEnv {
    name = "${name}-programs";
    paths =
      cfg.packages
      # What scripts take for granted, those that install the server of VS Code among them.
      ++ (with pkgs; [
        bashInteractive
        coreutils
        diffutils
        findutils
        gawk
        getent
        gnugrep
        gnused
        gnutar
        gzip
        procps
        which
      ])
      ++ [ config.nix.package ];
    pathsToLink = [
      "/bin"
      "/share"
    ];
    # As in the PATH of a NixOS system, the first of two of the same name wins.
    ignoreCollisions = true;
  };

  # Programs that Nix did not build, as that server, look for their loader where other distributions
  # have it. This one finds them the libraries.
  loader = pkgs.runCommand "${name}-loader" { } ''
    mkdir -p $out/${hostPlatform.libDir} $out${place}
    ln -s ${pkgs.nix-ld}/libexec/nix-ld \
      $out/${hostPlatform.libDir}/${baseNameOf cc.bintools.dynamicLinker}
    ln -s ${cc.bintools.dynamicLinker} $out${place}/ld.so
    for folder in ${toString (map (package: "${lib.getLib package}/lib") libraries)}; do
      ln -s $folder/*.so* $out${place}
    done
  '';
  libraries = [
    cc.cc
    pkgs.openssl
    pkgs.zlib
  ];
  place = "/lib/nix-ld";

  etc = {
    # Who is in the group `nix` may use Nix.
    "group" = ''
      root:x:0:
      tty:x:5:
      vscode:x:1000:
      nix:x:30000:vscode
      nogroup:x:65534:
    '';
    # Dev containers run as the user with this name, the others as root.
    "passwd" = ''
      root:x:0:0:System administrator:/root:/bin/bash
      vscode:x:1000:1000:Developer:/home/vscode:/bin/bash
      nobody:x:65534:65534:Unprivileged account:/var/empty:/bin/false
    '';
    "nsswitch.conf" = ''
      passwd: files
      group: files
      hosts: files dns
    '';
    # There is no daemon, and containers lack the privileges that a sandbox needs.
    "nix/nix.conf" = ''
      build-users-group =
      experimental-features = nix-command flakes
      sandbox = false
    '';
  };
  # Real files, and no links into the store: tools that change a user's number edit them.
  write = path: text: ''
    install -D -m 644 ${pkgs.writeText (baseNameOf path) text} etc/${path}
  '';

  stream = dockerTools.streamLayeredImage {
    inherit name;
    tag = "latest";
    contents = [
      programs
      loader
      dockerTools.binSh
      dockerTools.caCertificates
      dockerTools.usrBinEnv
    ];
    # Without it, Nix in the container would not know what is in its store.
    includeNixDB = true;
    fakeRootCommands = ''
      ${lib.concatStrings (lib.mapAttrsToList write etc)}
      cp --dereference ${config.environment.etc.os-release.source} etc/os-release
      cp --dereference ${config.environment.etc.nixos-metadata.source} etc/nixos-metadata
      mkdir -p root home/vscode tmp var/tmp var/empty
      chmod 700 root
      chmod 1777 tmp var/tmp
      chown 1000:1000 home/vscode
      # It leads to where the image is made.
      ln -sfn /nix/var/nix/profiles nix/var/nix/gcroots/profiles
      # What is in the store stays root's; the group adds to it.
      mkdir -p nix/store
      chgrp -R 30000 nix
      chmod 1775 nix/store
      chmod -R g+rwX nix/var
      find nix/var -type d -exec chmod g+s {} +
      # Nix sets this mode itself otherwise, which only their owner may do. The same is why `nix store
      # gc` is for root as soon as root has built something: the group does not own what root made.
      chmod 755 nix/var/nix/profiles/per-user nix/var/nix/gcroots/per-user
    '';
    config = {
      Cmd = [ "/bin/bash" ];
      WorkingDir = "/";
      Env = lib.mapAttrsToList (name: value: "${name}=${value}") {
        LANG = "C.UTF-8";
        NIX_LD = "${place}/ld.so";
        NIX_LD_LIBRARY_PATH = place;
        NIX_SSL_CERT_FILE = "/etc/ssl/certs/ca-bundle.crt";
        # First what `nix profile install` put into the home. No variable of Docker's knows whose
        # home it is; root's is closed to the user, who finds nothing there.
        PATH = "/root/.nix-profile/bin:/home/vscode/.nix-profile/bin:/bin:/usr/bin";
        SSL_CERT_FILE = "/etc/ssl/certs/ca-bundle.crt";
      };
      Labels = {
        "org.opencontainers.image.revision" = cfg.commit;
        "org.opencontainers.image.title" = name;
        "org.opencontainers.image.version" = config.system.nixos.label;
      };
    };
  };
in
{
  imports = [ "${modulesPath}/image/file-options.nix" ];

  system.nixos.tags = [ "docker" ];
  image.extension = "tar";
  # In a folder, as all images of nixpkgs: its name is then that of `image.filePath`.
  system.build.image = pkgs.runCommand config.image.baseName { } ''
    mkdir -p $out/nix-support
    ${stream} >$out/${config.image.fileName}
    echo "file docker-image $out/${config.image.fileName}" >$out/nix-support/hydra-build-products
  '';
}

# The program of this repository, under the name that it has outside of cargo. Its tests need the
# tools and images of tests/setup.sh and run in CI; here, the finished program is asked for its
# checks, its completions and its manual.
{
  lib,
  stdenv,
  installShellFiles,
  makeBinaryWrapper,
  pkgsStatic,
  rustPlatform,
  util-linux,
}:
let
  inherit (lib) fileset;

  folders =
    map (name: ../../crates + "/${name}") (builtins.attrNames (builtins.readDir ../../crates))
    ++ [
      ../../xtask
    ];
  tests = map (folder: fileset.maybeMissing (folder + "/tests")) folders;
  # What the compiler reads. A change of anything else builds nothing.
  sources = fileset.unions (
    folders
    ++ [
      ../../Cargo.lock
      ../../Cargo.toml
      # A module of xtask as well.
      ../../fuzz/src/input.rs
    ]
  );

  manifest = builtins.fromTOML (builtins.readFile ../../Cargo.toml);
in
rustPlatform.buildRustPackage {
  pname = "image-factory";
  inherit (manifest.workspace.package) version;

  src = fileset.toSource {
    root = ../..;
    fileset = fileset.difference sources (fileset.unions tests);
  };
  cargoLock.lockFile = ../../Cargo.lock;
  # With what publishes: who has this has no compiler for it.
  cargoBuildFlags = [
    "--package"
    "xtask"
    "--features"
    "release"
  ];
  doCheck = false;

  nativeBuildInputs = [
    installShellFiles
    makeBinaryWrapper
  ];

  postInstall = ''
    mv "$out/bin/xtask" "$out/bin/image-factory"
  ''
  + lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    "$out/bin/image-factory" man man
    installManPage man/*
    for shell in bash fish zsh; do
      "$out/bin/image-factory" completions "$shell" >"image-factory.$shell"
    done
    installShellCompletion image-factory.{bash,fish,zsh}
  '';

  # Behind what the user has, because `unshare` and `newuidmap` go together, and the latter has to
  # be the one of the machine. Nix and sudo are the user's own as well.
  postFixup = lib.optionalString stdenv.hostPlatform.isLinux ''
    wrapProgram "$out/bin/image-factory" \
      --suffix PATH : ${lib.makeBinPath [ util-linux ]} \
      --set-default BUSYBOX ${pkgsStatic.busybox}/bin/busybox
  '';

  doInstallCheck = true;
  installCheckPhase = ''
    runHook preInstallCheck
    "$out/bin/image-factory" explain >/dev/null
    runHook postInstallCheck
  '';

  meta = {
    description = "Builds, verifies and publishes NixOS images";
    license = with lib.licenses; [
      asl20
      mit
    ];
    mainProgram = "image-factory";
    platforms = lib.platforms.unix;
  };
}

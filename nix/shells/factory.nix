# Everything that the factory and its tests call, for distributions that are not Debian, which has
# tests/setup.sh. Boot loaders, firmware and kernels that tests take from Debian's own folders are
# not here; such a test fails and says what it misses.
{
  available,
  pkgs,
  shells,
  ...
}:
let
  # Alone: the links to its applets would stand before everybody else's programs.
  busybox = pkgs.runCommand "busybox" { } ''
    mkdir -p "$out/bin"
    ln -s ${pkgs.pkgsStatic.busybox}/bin/busybox "$out/bin/busybox"
  '';
in
pkgs.mkShell {
  name = "image-factory-factory";
  inputsFrom = [ shells.default ];
  packages = [
    busybox
  ]
  ++ available (
    with pkgs;
    [
      # What the factory itself starts. Nix is the user's own.
      util-linux

      # Makers of file systems, tables and discs, and their second readers.
      bmaptool
      cdrkit
      cpio
      dosfstools
      dtc
      e2fsprogs
      fakeroot
      gptfdisk
      libarchive
      libfaketime
      mtools
      p7zip
      squashfsTools
      syslinux
      xorriso

      # Archives, sums and keys.
      bzip2
      file
      gnutar
      gzip
      openssl
      pigz
      xz
      zstd

      # What boots the images.
      qemu
    ]
  );
}

# For work on certificates and keys: authorities, smart cards and security tokens, and secrets of
# hosts.
{ available, pkgs, ... }:
pkgs.mkShellNoCC {
  name = "identity";
  packages = available (
    with pkgs;
    [
      age
      age-plugin-yubikey
      ccid
      cfssl
      easyrsa
      gnupg
      gnutls
      opensc
      openssl
      pcsc-tools
      pinentry-curses
      softhsm
      sops
      ssh-to-age
      step-ca
      step-cli
      yubico-piv-tool
      yubikey-manager
    ]
  );
  # Keys that are made here are for nobody else to read.
  shellHook = ''
    umask 077
  '';
}

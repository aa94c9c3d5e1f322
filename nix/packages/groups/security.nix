# For looking at what one runs: networks, certificates, container images, dependencies, and secrets
# that lie where they should not.
pkgs: with pkgs; [
  age
  clamav
  cosign
  gitleaks
  gnupg
  grype
  lynis
  nmap
  openssl
  osv-scanner
  pass
  sops
  ssh-audit
  step-cli
  syft
  tcpdump
  testssl
  trivy
  trufflehog
  vulnix
  wireshark-cli
  yara-x
]

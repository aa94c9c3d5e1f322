# For people who run machines and clouds: what describes them, what deploys NixOS onto them, and
# what looks at the network in between.
pkgs: with pkgs; [
  age
  ansible
  awscli2
  azure-cli
  cloudflared
  deploy-rs
  google-cloud-sdk
  hcloud
  iperf3
  mtr
  nixos-anywhere
  nixos-rebuild-ng
  opentofu
  rclone
  restic
  sops
  ssh-to-age
  terragrunt
  tflint
  wireguard-tools
]

# For people who run clusters: the clients, what renders and checks manifests, and small clusters
# for trying things out.
pkgs: with pkgs; [
  argocd
  cilium-cli
  dive
  fluxcd
  helmfile
  k3d
  k9s
  kind
  kubeconform
  kubectl
  kubectx
  kubernetes-helm
  kustomize
  skopeo
  stern
  talosctl
  velero
]

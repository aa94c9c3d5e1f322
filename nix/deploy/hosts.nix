# The hosts of this flake: the configurations that are no images.
{ self }: removeAttrs self.nixosConfigurations (builtins.attrNames self.images)

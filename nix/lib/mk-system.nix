# A NixOS configuration. It takes what `systemModules` takes; every system of this flake is one.
{ inputs, self }: args: inputs.nixpkgs.lib.nixosSystem { modules = self.lib.systemModules args; }

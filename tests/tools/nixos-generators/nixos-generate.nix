{ flakeUri, flakeAttr, formatConfig, system ? builtins.currentSystem }:
let
  outputs = builtins.getFlake flakeUri;
  hosts = outputs.packages.${system}.nixosConfigurations or outputs.nixosConfigurations;
in
hosts.${flakeAttr}.extendModules { modules = [ (import formatConfig) ]; }

# An image, and the configuration that it is made of. It takes what `mkSystem` takes, and which
# image is meant: `variant`, one of `config.system.build.images`, or `attribute`, another one of
# `config.system.build`.
{ self }:
{
  name,
  system,
  modules,
  variant ? null,
  attribute ? null,
  ...
}@args:
let
  configuration = self.lib.mkSystem (
    removeAttrs args [
      "attribute"
      "variant"
    ]
    // {
      modules = modules ++ [ { imageFactory.image = name; } ];
    }
  );
  inherit (configuration.config.system) build;
in
{
  inherit system configuration;
  derivation =
    if variant != null && attribute == null then
      build.images.${variant}
    else if variant == null && attribute != null then
      build.${attribute}
    else
      throw "mkImage: ${name} needs either `variant` or `attribute`";
}

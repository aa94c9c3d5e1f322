# The commands of the image factory: `nix run ./nix#image -- wsl` is `image-factory image wsl`.
{ image-factory, ... }:
let
  # What helps where an image is made; the rest is for whoever works on the factory, and has cargo.
  descriptions = {
    devcontainer = "Write a dev container that starts from the image docker";
    doctor = "Say what each image needs that this machine does not have";
    explain = "Say what a check looks at and why";
    image = "Build images, finish them, verify them, and publish them";
    inspect = "Print every structure of an image file as text";
    list = "List the image definitions";
    lock = "Show, update and compare the lock files of images";
    verify = "Judge image files, whoever made them";
  };
  command = name: description: {
    inherit description;
    runtimeInputs = [ image-factory ];
    text = ''exec image-factory ${name} "$@"'';
  };
in
builtins.mapAttrs command descriptions
// {
  default = {
    description = "The image factory, with all its commands";
    runtimeInputs = [ image-factory ];
    text = ''exec image-factory "$@"'';
  };
}

# What a flake that uses this one begins with: `nix flake init -t REF?dir=nix`.
{
  flake.templates.default = {
    path = ./fleet;
    description = "Images of your own, built and verified by the image factory";
    welcomeText = ''
      Name in `flake.nix` where your image factory comes from, and then:

          git init && git add .
          nix run .#image -- wsl     # builds, verifies, and writes dist/wsl/

      `images/*.toml` says what each image is, the `.nix` file of the same name what is in it.
    '';
  };
}

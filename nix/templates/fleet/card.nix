# What is on the SD card.
{
  imageFactory.profiles = [ "essential" ];

  services.openssh = {
    enable = true;
    settings.PasswordAuthentication = false;
  };
  users.users.admin = {
    isNormalUser = true;
    extraGroups = [ "wheel" ];
    # At the console, and until `passwd` sets one, without a password.
    initialHashedPassword = "";
    # Over the network with one of these: what `ssh-keygen -t ed25519` writes into *.pub.
    openssh.authorizedKeys.keys = [ ];
  };
}

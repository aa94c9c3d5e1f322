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
    # At the console, and until `passwd` sets one, without a password. sudo asks for it, so whoever
    # comes by a key sets it at the console first.
    initialHashedPassword = "";
    # Over the network with one of these: what `ssh-keygen -t ed25519` writes into *.pub.
    openssh.authorizedKeys.keys = [ ];
  };
  services.getty.helpLine = ''

    Log in as `admin`. `passwd` sets a password; sudo asks for it.
  '';
}

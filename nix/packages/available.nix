# What of a list the platform has. Lists may name what only Linux has; it is left out here and
# nowhere else.
pkgs: builtins.filter (pkgs.lib.meta.availableOn pkgs.stdenv.hostPlatform)

# Bundles: names for several groups at once. A profile is the name of a group or of a bundle.
{
  full = [
    "essential"
    "kubernetes"
    "development"
    "extras"
  ];
}

{
  imports = [ ];
}

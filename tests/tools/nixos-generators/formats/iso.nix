{
  formatAttr = "isoImage";
  fileExtension = ".iso";
}

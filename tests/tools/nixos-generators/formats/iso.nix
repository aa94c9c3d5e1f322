{
  formatAttr = "iso";
  fileExtension = ".iso";
}

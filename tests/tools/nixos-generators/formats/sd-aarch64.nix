{
  formatAttr = "sdImage";
  fileExtension = ".img.*";
}

//! The command line of the image factory.
fn main() {}

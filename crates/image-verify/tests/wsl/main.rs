//! The file tree and the checks of WSL images, over small images that real tar bytes carry.

mod image;
mod tree;
mod twins;

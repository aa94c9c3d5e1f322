//! Releases on GitHub, through its program `gh`.

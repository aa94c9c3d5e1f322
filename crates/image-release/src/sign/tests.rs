//! Tests with the real tools.

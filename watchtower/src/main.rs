//! The `watchtower` binary.

fn main() {}

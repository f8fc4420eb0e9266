//! The `cedargate` program: parses arguments and sets the exit code.

fn main() {}

//! The `cedargate` program: parses arguments and sets the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    cedargate::cli::run()
}

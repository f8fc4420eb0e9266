//! The `cedargate` program: parses arguments and sets the exit code.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Records and responses are freed by other threads than those that made them, which the system's allocator pays for
/// with locks; see docs/performance.md for what was measured.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cedargate::cli::run()
}

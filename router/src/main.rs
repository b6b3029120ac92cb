//! The `sidewinder` command.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    sidewinder::cli::main()
}

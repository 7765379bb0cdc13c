//! The `shakedown` command: a thin layer over the library.

#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic when their reader has gone: print by `cli::out`"
)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}

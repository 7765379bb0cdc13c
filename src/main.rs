//! The `shakedown` command: a thin layer over the library.

#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic when their reader has gone: print by `cli::out`"
)]

mod cli;

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Gives memory back to the system 10 ms after a burst has freed it; the C library's keeps it, since what was allocated last
/// holds the heap's end.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::main()
}

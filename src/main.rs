//! The `shakedown` command: a thin layer over the library.

#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic when their reader has gone: print by `cli::out`"
)]

mod cli;

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Returns memory to the system soon after a burst has freed it. The C library's allocator keeps it for as long as the last
/// allocation stands at the end of the heap.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::main()
}

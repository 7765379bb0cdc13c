//! The `shakedown` command: a thin layer over the library.

#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "these macros panic if the reader has closed the pipe; print with `cli::out`"
)]

mod cli;

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// Returns freed memory to the system within ten seconds, on a background thread, so that an idle process does not keep
/// the memory of its last burst. The C library's allocator keeps freed memory while a later allocation at the end of
/// the heap is in use. mimalloc 3 returns freed memory only when another page is freed or needed.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    cli::main()
}

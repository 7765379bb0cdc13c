//! The `shakedown` command: a thin layer over the library.

#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic when their reader has gone: print by `cli::out`"
)]

mod cli;

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// Returns freed memory to the system within ten seconds, by a thread of its own, so that an idle process does not keep what
/// its last burst took. The C library's allocator keeps freed memory as long as a later allocation at the end of the heap is
/// in use; mimalloc 3 returns it only when some other page is freed or needed.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    cli::main()
}

//! The program: parse, run, exit code.

use watchfire::runtime::Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> std::process::ExitCode {
    watchfire::cli::run(std::env::args_os())
}

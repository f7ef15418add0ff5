//! The program: parse, run, exit code.

fn main() -> std::process::ExitCode {
    watchfire::cli::run(std::env::args_os())
}

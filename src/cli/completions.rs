use clap::Args;
use clap_complete::{Shell, generate};

use super::{CliError, out::Out};

/// For which.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// bash, zsh, fish, elvish or powershell
    shell: Shell,
}

/// Prints the completion script.
pub fn run(args: CompletionsArgs, command: &mut clap::Command) -> Result<(), CliError> {
    let mut script = Vec::new();
    generate(args.shell, command, "watchfire", &mut script);
    let mut out = Out::new();
    out.bytes(&script)?;
    out.flush()
}

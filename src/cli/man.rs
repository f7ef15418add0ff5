use super::{CliError, out::Out};

/// Prints the manual page, with a section for each command.
pub fn run(command: &clap::Command) -> Result<(), CliError> {
    let mut page = Vec::new();
    let failed = |e: std::io::Error| CliError::Failed(format!("the manual page could not be made: {e}"));
    clap_mangen::Man::new(command.clone()).render(&mut page).map_err(failed)?;
    let mut out = Out::new();
    out.bytes(&page)?;
    out.flush()
}

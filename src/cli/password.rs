//! Passwords come from the terminal or from standard input, never from the arguments that every user can read.

use std::io::{BufRead, IsTerminal};

use super::{CliError, out::note};

/// Asks twice at the terminal, or reads the first line of standard input.
pub fn read(from_stdin: bool) -> Result<String, CliError> {
    if from_stdin || !std::io::stdin().is_terminal() {
        return first_line(std::io::stdin().lock());
    }
    let first = ask("Password: ")?;
    if ask("Once more: ")? == first { Ok(first) } else { Err(CliError::Failed("the two were not the same".to_owned())) }
}

/// Where a passphrase comes from besides the terminal and standard input.
const PASSPHRASE: &str = "WATCHFIRE_BACKUP_PASSPHRASE";

/// The passphrase of a backup, from the environment, standard input or the terminal, where a new one is asked for twice.
pub fn passphrase(from_stdin: bool, new: bool) -> Result<String, CliError> {
    match std::env::var(PASSPHRASE) {
        Ok(given) if !given.is_empty() && !from_stdin => return Ok(given),
        _ => {}
    }
    if from_stdin || !std::io::stdin().is_terminal() {
        return first_line(std::io::stdin().lock());
    }
    let first = ask("Passphrase of the backup: ")?;
    if !new || ask("Once more: ")? == first {
        return Ok(first);
    }
    Err(CliError::Failed("the two were not the same".to_owned()))
}

fn first_line(input: impl BufRead) -> Result<String, CliError> {
    let mut line = String::new();
    input.take(8192).read_line(&mut line).map_err(|e| CliError::Failed(format!("no password could be read: {e}")))?;
    let line = line.trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        return Err(CliError::Usage(
            "no password or passphrase came on standard input; write it there as one line".to_owned(),
        ));
    }
    Ok(line.to_owned())
}

fn ask(prompt: &str) -> Result<String, CliError> {
    use std::io::Write;
    // A prompt that cannot be shown is answered blindly.
    let _ = write!(std::io::stderr(), "{prompt}").and_then(|()| std::io::stderr().flush());
    let shown = Echo::off();
    let line = first_line(std::io::stdin().lock());
    drop(shown);
    note("");
    line
}

/// Typing is not shown while this lives.
struct Echo;

impl Echo {
    // The terminal's own tool, which every Unix has, instead of calls that need unsafe code.
    fn off() -> Self {
        Self::set("-echo");
        Self
    }

    fn set(mode: &str) {
        let _ = std::process::Command::new("stty").arg(mode).status();
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        Self::set("echo");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_without_its_end() {
        for (input, want) in [("secret\n", Some("secret")), ("a b\r\nrest", Some("a b")), ("\n", None), ("", None)] {
            assert_eq!(first_line(input.as_bytes()).ok().as_deref(), want, "{input:?}");
        }
    }
}

//! The command line: one file per command.

mod access;
mod backtest;
mod backup;
mod check;
mod client;
mod compact;
mod completions;
mod connectors;
mod export;
mod incidents;
mod man;
mod options;
pub mod out;
mod password;
mod reindex;
mod rekey;
mod replay;
mod replay_opinion;
mod restore;
mod send;
mod serve;
mod similar;
mod token;
mod user;

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

use crate::{
    app::AppError,
    backtest::BacktestError,
    store::{CommandError, StoreError, backup::BackupError},
};
use options::AllOptions;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Wrong usage or configuration: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// It failed: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// Whoever read the output has seen enough: not an error.
    #[error("nobody reads the output")]
    ReaderGone,
}

macro_rules! failed {
    ($($t:ty),+) => {
        $(impl From<$t> for CliError {
            fn from(e: $t) -> Self {
                Self::Failed(e.to_string())
            }
        })+
    };
}

failed!(AppError, StoreError, CommandError, BackupError, BacktestError);

/// Alerts in, few incidents out, each with its cause.
#[derive(Debug, Parser)]
#[command(name = "watchfire", version, args_conflicts_with_subcommands = true, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    // `watchfire` alone is `watchfire serve`.
    #[command(flatten)]
    serve: serve::ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take alerts and serve the pages (the default)
    Serve(serve::ServeArgs),
    /// Check the configuration and the store of a stopped server
    Check(AllOptions),
    /// Make a verified backup in one file, of a running or a stopped server
    Backup(backup::BackupArgs),
    /// Restore a backup; what is in the data folder is never overwritten
    Restore(restore::RestoreArgs),
    /// Make a new key file for a stopped server that has lost its own
    Rekey(rekey::RekeyArgs),
    /// Make the text index of a stopped server anew
    Reindex(AllOptions),
    /// Give the space of what was removed back to the disk; of a stopped server
    Compact(AllOptions),
    /// People who can sign in
    #[command(subcommand)]
    User(user::UserCommand),
    /// API tokens of programs
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Platforms with the webhook URL and key of each
    Connectors(connectors::ConnectorsArgs),
    /// Post payloads to a running server, for trying out
    Send(send::SendArgs),
    /// Parse stored deliveries again
    Replay(replay::ReplayArgs),
    /// Have a conversation with a language model once more from its transcript
    #[command(hide = true)]
    ReplayOpinion(replay_opinion::ReplayOpinionArgs),
    /// Play recorded deliveries in memory, to see what would become of them
    Backtest(backtest::BacktestArgs),
    /// Write deliveries or incidents as one JSON object a line
    #[command(subcommand)]
    Export(export::ExportCommand),
    /// List incidents of a running server
    Incidents(incidents::IncidentsArgs),
    /// Show one incident of a running server
    Incident(incidents::IncidentArgs),
    /// How alike texts are, as the correlator sees it
    Similar(similar::SimilarArgs),
    /// Completions for a shell
    Completions(completions::CompletionsArgs),
    /// The manual page
    Man,
}

/// Parses, runs, and gives the exit code: 0 done, 1 failed, 2 wrong usage or configuration.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version come this way as well, and a closed pipe is no reason to complain.
            let _ = e.print();
            return if e.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            out::note(format_args!("watchfire: no threads could be started: {e}"));
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(dispatch(cli));
    // A blocked thread must not hold up the end.
    runtime.shutdown_background();
    match done {
        Ok(()) | Err(CliError::ReaderGone) => ExitCode::SUCCESS,
        Err(e) => {
            out::note(format_args!("watchfire: {e}"));
            if matches!(e, CliError::Usage(_)) { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

async fn dispatch(cli: Cli) -> Result<(), CliError> {
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(options) => serve::run(&options).await,
        Command::Check(options) => check::run(&options).await,
        Command::Backup(args) => backup::run(args).await,
        Command::Restore(args) => restore::run(args).await,
        Command::Rekey(args) => rekey::run(args).await,
        Command::Reindex(options) => reindex::run(&options).await,
        Command::Compact(options) => compact::run(&options).await,
        Command::User(command) => user::run(command).await,
        Command::Token(command) => token::run(command).await,
        Command::Connectors(args) => connectors::run(args).await,
        Command::Send(args) => send::run(args).await,
        Command::Replay(args) => replay::run(args).await,
        Command::ReplayOpinion(args) => replay_opinion::run(args).await,
        Command::Backtest(args) => backtest::run(args).await,
        Command::Export(command) => export::run(command).await,
        Command::Incidents(args) => incidents::list(args).await,
        Command::Incident(args) => incidents::show(args).await,
        Command::Similar(args) => similar::run(args).await,
        Command::Completions(args) => completions::run(args, &mut Cli::command()),
        Command::Man => man::run(&Cli::command()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_are_taken_with_and_without_the_word_serve() {
        let options =
            ["--listen", "x", "--connectors-grafana-rate-per-minute", "7", "--correlation-reopen-within", "1m"];
        for words in [&["watchfire"][..], &["watchfire", "serve"], &["watchfire", "check"]] {
            let cli = Cli::try_parse_from(words.iter().chain(&options)).unwrap();
            let given = match cli.command.unwrap_or(Command::Serve(cli.serve)) {
                Command::Serve(s) => s.options.given().to_vec(),
                Command::Check(o) => o.given().to_vec(),
                other => panic!("{other:?}"),
            };
            let given: Vec<_> = given.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            let want =
                [("listen", "x"), ("correlation.reopen_within", "1m"), ("connectors.grafana.rate_per_minute", "7")];
            assert_eq!(given, want, "{words:?}");
        }
    }

    #[test]
    fn the_readme_names_every_command_and_every_platform() {
        let readme = include_str!("../../README.md");
        let command = Cli::command();
        for name in command.get_subcommands().map(clap::Command::get_name) {
            assert!(readme.contains(&format!("`{name}")) || readme.contains(&format!("[{name}]")), "command {name}");
        }
        for connector in crate::connectors::ALL.iter().filter(|c| c.info().slug != "generic") {
            let first = connector.info().name.split(' ').next().unwrap();
            assert!(readme.contains(first), "platform {first}");
        }
        let version = concat!("## ", env!("CARGO_PKG_VERSION"));
        assert!(include_str!("../../CHANGELOG.md").contains(version), "{version}");
    }

    #[test]
    fn secrets_have_no_flag() {
        assert!(Cli::try_parse_from(["watchfire", "--bootstrap-token", "x"]).is_err());
        assert!(Cli::try_parse_from(["watchfire", "user", "add", "kim", "--password", "x"]).is_err());
    }
}

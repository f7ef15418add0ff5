//! Flags made from the list of options, and the few that every command of a kind shares.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};

use super::CliError;
use crate::{
    app,
    config::{
        self, Config, Sources,
        options::{CONNECTOR_OPTIONS, Kind, OPTIONS, connector_key, env_name, flag_name},
    },
};

const CONFIG: &str = "config";

/// `--config` and a flag for every option.
#[derive(Clone, Debug, Default)]
pub struct AllOptions {
    file: Option<PathBuf>,
    given: Vec<(String, String)>,
}

impl AllOptions {
    /// Keys and values of the flags that were given.
    #[cfg(test)]
    pub(super) fn given(&self) -> &[(String, String)] {
        &self.given
    }

    /// Reads flags, environment and file.
    pub fn load(&self) -> Result<Config, CliError> {
        load(self.file.clone(), self.given.clone())
    }
}

fn load(file: Option<PathBuf>, given: Vec<(String, String)>) -> Result<Config, CliError> {
    config::load(&Sources::of_process(file, given), &app::platforms()).map_err(|p| CliError::Usage(p.to_string()))
}

fn config_flag() -> Arg {
    Arg::new(CONFIG)
        .long(CONFIG)
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("Settings in TOML [env: WATCHFIRE_CONFIG]")
}

/// Keys that can be given as flags, with whether `--help` lists them one by one.
fn flags() -> Vec<(String, &'static str, String, bool)> {
    let server = OPTIONS.iter().filter(|o| o.kind != Kind::Secret).map(|o| {
        let default = o.default.filter(|d| !d.is_empty()).map(|d| format!(" [default: {d}]")).unwrap_or_default();
        (o.key.to_owned(), o.placeholder, format!("{}{default} [env: {}]", o.help, env_name(o.key)), true)
    });
    let connectors = app::platforms().into_iter().flat_map(|p| {
        CONNECTOR_OPTIONS.iter().map(move |o| (connector_key(p, o.key), o.placeholder, o.help.to_owned(), false))
    });
    server.chain(connectors).collect()
}

impl Args for AllOptions {
    fn augment_args(command: Command) -> Command {
        let mut command = command.arg(config_flag());
        for (key, placeholder, help, listed) in flags() {
            let flag = Arg::new(key.clone()).long(flag_name(&key)).value_name(placeholder).help(help);
            command = command.arg(flag.action(ArgAction::Set).hide(!listed));
        }
        let platforms = app::platforms().join(", ");
        let mut after = String::from("Per connector, with PLATFORM one of ");
        after.push_str(&platforms);
        after.push_str(":\n");
        for o in CONNECTOR_OPTIONS {
            after.push_str(&format!(
                "  --connectors-PLATFORM-{} {}\n          {}\n",
                flag_name(o.key),
                o.placeholder,
                o.help
            ));
        }
        after.push_str("\nFlags win over environment variables, and those over the file.\n");
        after.push_str("WATCHFIRE_BOOTSTRAP_TOKEN brings an API token with scope admin from outside; it has no flag, because every user of the machine can read those.");
        command.after_help(after)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for AllOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut new = Self::default();
        new.update_from_arg_matches(matches)?;
        Ok(new)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.file = matches.get_one::<PathBuf>(CONFIG).cloned();
        self.given = flags()
            .into_iter()
            .filter_map(|(key, ..)| matches.get_one::<String>(&key).cloned().map(|value| (key, value)))
            .collect();
        Ok(())
    }
}

/// Which data folder, and how to reach the server that may be running on it.
#[derive(Clone, Debug, Args)]
pub struct Reach {
    /// Settings in TOML [env: WATCHFIRE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data folder [env: WATCHFIRE_DATA_DIR]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// A running server; without it, the server of this data folder, or the stopped data folder itself
    #[arg(long, value_name = "URL", env = "WATCHFIRE_URL")]
    pub url: Option<String>,
    /// API token for it; not needed on the same machine and as the same user
    #[arg(long, value_name = "TOKEN", env = "WATCHFIRE_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

impl Reach {
    /// The settings as far as these commands need them.
    pub fn load(&self) -> Result<Config, CliError> {
        let given = self.data_dir.iter().map(|d| ("data_dir".to_owned(), d.clone())).collect();
        load(self.config.clone(), given)
    }
}

use std::path::{Path, PathBuf};

use clap::Args;

use super::{
    CliError,
    backup::Progress,
    options::Reach,
    out::{Out, note},
    password, rekey,
};
use crate::{
    config::Config,
    runtime::clock::Clock,
    store::backup::{
        self, BackupError,
        restore::{Restore, Restored, RestoredKey, restore},
    },
};

/// What, and where.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// The data folder to restore to [env: WATCHFIRE_DATA_DIR]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Move the data folder that is there aside, and say where
    #[arg(long)]
    replace: bool,
    /// The backup holds no key file and there is none: make a new one, and new connector keys
    #[arg(long)]
    new_key: bool,
    /// Leave the key file in the backup, for when its passphrase is lost
    #[arg(long)]
    without_key: bool,
    /// Read the passphrase from the first line of standard input
    #[arg(long, conflicts_with = "without_key")]
    passphrase_stdin: bool,
    /// Settings in TOML [env: WATCHFIRE_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Restores a backup.
pub async fn run(args: RestoreArgs) -> Result<(), CliError> {
    let reach = Reach { config: args.config.clone(), data_dir: args.data_dir.clone(), url: None, token: None };
    let config = reach.load()?;
    let contents = backup::look(&args.from)?;
    let passphrase = if contents.sealed_key.is_some() && !args.without_key {
        Some(password::passphrase(args.passphrase_stdin, false)?)
    } else {
        None
    };
    let (dir, now) = (config.data_dir.clone(), Clock::System.now());
    let (from, replace) = (args.from.clone(), args.replace);
    let restored = tokio::task::spawn_blocking(move || -> Result<Restored, BackupError> {
        let progress = Progress::new("restoring");
        let whole = std::fs::metadata(&from).map_or(0, |m| m.len());
        let mut read = 0;
        let going = &mut |n| {
            read += n;
            progress.at(read, whole);
            true
        };
        restore(Restore { from: &from, dir: &dir, replace, passphrase: passphrase.as_deref(), now, going })
    });
    let restored = restored.await.map_err(|e| CliError::Failed(e.to_string()))??;
    say(&args, &config, &restored)?;
    let rows: u64 = restored.manifest.tables.iter().map(|t| t.rows).sum();
    let took = Clock::System.now().since(now);
    note(format_args!("{rows} rows in {:.1} s, every sum compared", took.as_secs_f64()));
    if args.new_key && restored.key == RestoredKey::Missing {
        return rekey::renew(&config).await;
    }
    Ok(())
}

fn say(args: &RestoreArgs, config: &Config, restored: &Restored) -> Result<(), CliError> {
    let mut out = Out::new();
    let manifest = &restored.manifest;
    let dir = config.data_dir.display();
    out.line(format_args!("restored: {dir}, as of {}, delivery {}", manifest.made_at, manifest.position))?;
    if let Some(aside) = &restored.aside {
        out.line(format_args!("what was there before is in {}; remove it when all is well", aside.display()))?;
    }
    let key = config.data_dir.join("secret.key");
    match restored.key {
        RestoredKey::Backup => out.line("key file: out of the backup")?,
        RestoredKey::Kept => out.line("key file: the one that was there; it fits")?,
        RestoredKey::Missing if args.new_key => {}
        RestoredKey::Missing => {
            let before = restored.aside.as_deref().map(|a| a.join("secret.key")).filter(|k| Path::exists(k));
            if let Some(before) = before {
                out.line(format_args!(
                    "key file: {} does not belong to this backup and was not taken",
                    before.display()
                ))?;
            }
            out.line(format_args!(
                "key file: missing. Before the first start, put the secret.key that belongs to this backup to {}; when it is lost, `watchfire rekey` makes a new one and new connector keys, which every sender must then be given",
                key.display()
            ))?;
        }
    }
    out.line("the next start makes the text index anew by itself")?;
    out.flush()
}

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use clap::Args;
use serde_json::json;

use super::{
    CliError,
    access::Access,
    client::Client,
    options::Reach,
    out::{Out, note},
    password,
};
use crate::{
    runtime::clock::{Clock, Wait},
    store::{
        Store,
        backup::{self, BackupError, Made, Order, WITH_KEY, WITHOUT_KEY},
    },
};

/// Where to.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file to write; it stands there only when it is whole and verified
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Overwrite a file of that name
    #[arg(long)]
    force: bool,
    /// Take the key file along, encrypted under a passphrase that is asked for [env: WATCHFIRE_BACKUP_PASSPHRASE]
    #[arg(long)]
    with_key: bool,
    /// Read the passphrase from the first line of standard input
    #[arg(long, requires = "with_key")]
    passphrase_stdin: bool,
    #[command(flatten)]
    reach: Reach,
}

/// Between two lines about how far it has come.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// Says from time to time how far something has come.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    wait: Mutex<Wait>,
}

impl Progress {
    /// Begins now.
    pub fn new(what: &'static str) -> Self {
        Self { what, wait: Mutex::new(Wait::begin(SAY_EVERY)) }
    }

    /// That far; `of` is zero when the whole is not known.
    pub fn at(&self, done: u64, of: u64) {
        let Ok(mut wait) = self.wait.lock() else { return };
        if wait.left().is_zero() {
            *wait = Wait::begin(SAY_EVERY);
            match of {
                0 => note(format_args!("{}: {} MiB so far", self.what, done >> 20)),
                _ => note(format_args!("{}: {} of {} MiB", self.what, done >> 20, of >> 20)),
            }
        }
    }
}

/// Makes a backup.
pub async fn run(args: BackupArgs) -> Result<(), CliError> {
    backup::free_name(&args.to, args.force)?;
    let passphrase = if args.with_key { Some(password::passphrase(args.passphrase_stdin, true)?) } else { None };
    if let Some(passphrase) = &passphrase {
        backup::key::check(passphrase).map_err(|e| CliError::Usage(e.to_string()))?;
    }
    let began = Clock::System.now();
    let with_key = passphrase.is_some();
    if args.reach.url.is_none() {
        let dir = args.reach.load()?.data_dir;
        if !dir.join("watchfire.redb").exists() {
            return Err(CliError::Failed(format!(
                "there is no store in {}; name another folder with --data-dir",
                dir.display()
            )));
        }
    }
    let access = Access::open(&args.reach).await?;
    let made = match &access {
        Access::Folder(store, _) => of_folder(store, args.to.clone(), args.force, passphrase).await,
        Access::Server(client) => of_server(client, &args.to, args.force, passphrase).await,
    };
    access.close().await;
    let made = made?;
    let mut out = Out::new();
    out.line(format_args!(
        "backup: {} ({:.1} MiB), as of {}, delivery {}",
        args.to.display(),
        mib(made.bytes),
        made.manifest.made_at,
        made.manifest.position
    ))?;
    out.line(if with_key { WITH_KEY } else { WITHOUT_KEY })?;
    out.flush()?;
    let rows: u64 = made.manifest.tables.iter().map(|t| t.rows).sum();
    let took = Clock::System.now().since(began);
    note(format_args!(
        "{rows} rows of {} tables in {:.1} s, every sum compared",
        made.manifest.tables.len(),
        took.as_secs_f64()
    ));
    Ok(())
}

// Sizes far below 2^52 bytes: exact as f64.
#[allow(clippy::cast_precision_loss)]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

async fn of_folder(store: &Store, to: PathBuf, force: bool, passphrase: Option<String>) -> Result<Made, CliError> {
    let (store, view) = (store.clone(), store.exclusive_view().await?);
    let made = tokio::task::spawn_blocking(move || {
        let progress = Progress::new("backup");
        let going = |done| {
            progress.at(done, 0);
            true
        };
        let order = Order { passphrase: passphrase.as_deref(), ..Order::new(&to, Clock::System.now(), &going) };
        backup::to_file(&store, &view, &order, force)
    });
    Ok(made.await.map_err(|e| CliError::Failed(e.to_string()))??)
}

/// Has the server make it, and compares what has arrived before it gets its name.
async fn of_server(client: &Client, to: &Path, force: bool, passphrase: Option<String>) -> Result<Made, CliError> {
    let body = match passphrase {
        Some(passphrase) => json!({ "passphrase": passphrase }),
        None => json!({}),
    };
    let response = client.download("/api/backup", &body).await?;
    let partial = backup::partial(to);
    backup::forget(&partial)?;
    let arrived = receive(client, response, &partial).await;
    let (from, to) = (partial.clone(), to.to_owned());
    let done = match arrived {
        Err(e) => Err(e),
        Ok(bytes) => {
            let whole = tokio::task::spawn_blocking(move || -> Result<Made, BackupError> {
                let progress = Progress::new("comparing sums");
                let read = std::cell::Cell::new(0);
                let contents = backup::verify(&from, None, &mut |n| {
                    read.set(read.get() + n);
                    progress.at(read.get(), bytes);
                    true
                })?;
                backup::put(&from, &to, force)?;
                Ok(Made { bytes, manifest: contents.manifest })
            });
            whole.await.map_err(|e| CliError::Failed(e.to_string())).and_then(|done| Ok(done?))
        }
    };
    if done.is_err() {
        // The reason is told below; a part of a backup is of no use.
        let _ = backup::forget(&partial);
    }
    done
}

async fn receive(client: &Client, mut response: reqwest::Response, to: &Path) -> Result<u64, CliError> {
    let whole = response.content_length().unwrap_or(0);
    let failed = |e: std::io::Error| CliError::Failed(format!("{}: {e}", to.display()));
    let mut file = backup::private_new(to).map_err(failed)?;
    let progress = Progress::new("receiving");
    let mut bytes = 0;
    while let Some(piece) = response.chunk().await.map_err(|e| client.unreachable(&e))? {
        file.write_all(&piece).map_err(failed)?;
        bytes += piece.len() as u64;
        progress.at(bytes, whole);
    }
    file.sync_all().map_err(failed)?;
    Ok(bytes)
}

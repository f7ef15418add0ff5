//! `compact`: gives the space of what was removed back to the disk.

use super::{
    CliError,
    options::AllOptions,
    out::{Out, note},
};
use crate::store::{StoreError, compact};

/// Gives the space of what was removed back to the disk.
pub async fn run(options: &AllOptions) -> Result<(), CliError> {
    let config = options.load()?;
    let (dir, cache) = (config.data_dir.clone(), config.cache_bytes);
    note(format_args!("compacting {}; stopping it loses nothing", dir.display()));
    let work = tokio::task::spawn_blocking(move || {
        let mut lines = Vec::new();
        compact(&dir, cache, |c| {
            lines.push(format!("{}: {} before, {} now", c.name, mib(c.before), mib(c.after)));
        })
        .map(|()| lines)
    });
    let lines = match work.await.map_err(|e| CliError::Failed(e.to_string()))? {
        Err(StoreError::Locked(dir)) => {
            return Err(CliError::Failed(format!(
                "a server runs on {dir}; stop it to compact. Space of what was removed is used again also without"
            )));
        }
        done => done?,
    };
    let mut out = Out::new();
    for line in lines {
        out.line(line)?;
    }
    out.flush()
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

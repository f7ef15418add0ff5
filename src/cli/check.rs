use super::{
    CliError,
    options::AllOptions,
    out::{Out, note},
};
use crate::{
    app::{self, AppError},
    runtime::clock::Clock,
    store::{Store, StoreError, verify},
};

/// The configuration, then the store.
pub async fn run(options: &AllOptions) -> Result<(), CliError> {
    let config = options.load()?;
    let mut out = Out::new();
    match &config.file {
        Some(file) => out.line(format_args!("configuration: good ({}, environment and flags)", file.display()))?,
        None => out.line("configuration: good (environment and flags; no file)")?,
    }
    app::check_certificates(&config).map_err(|e| CliError::Failed(e.to_string()))?;
    app::check_outgoing(&config).map_err(|e| CliError::Failed(e.to_string()))?;
    if config.tls_cert.is_some() {
        out.line("certificate and key: good")?;
    }
    if config.suggestions_dir.is_some() || config.runbooks_dir.is_some() || config.symptoms_file.is_some() {
        let shelf = app::check_library(&config);
        for fault in shelf.faults.iter() {
            out.line(format_args!("{fault}"))?;
        }
        if !shelf.faults.is_empty() {
            out.flush()?;
            let what = format!("the files for investigations have {} problems; the rest is used", shelf.faults.len());
            return Err(CliError::Failed(what));
        }
        if config.suggestions_dir.is_some() || config.runbooks_dir.is_some() {
            out.line(format_args!("suggestions and runbooks: good ({} suggestions)", shelf.catalogue.len()))?;
        }
        if config.symptoms_file.is_some() {
            out.line(format_args!("table of symptoms: good ({} phrases)", shelf.symptoms.len()))?;
        }
    }
    if !config.data_dir.join("watchfire.redb").exists() {
        out.line(format_args!("store: none yet in {}; the first start makes it", config.data_dir.display()))?;
        return out.flush();
    }
    out.flush()?;
    let (dir, cache) = (config.data_dir.clone(), config.cache_bytes);
    let pages = tokio::task::spawn_blocking(move || verify(&dir, cache)).await;
    // What is damaged there would only be said in other words by what follows.
    let (violated, digest) = match pages.map_err(|e| CliError::Failed(e.to_string()))? {
        Ok(damaged) if !damaged.is_empty() => (damaged, String::new()),
        Ok(_) => {
            let store = app::open_store(&config, Clock::System).await?;
            let found = checked(&store).await;
            app::close(store).await;
            found?
        }
        Err(StoreError::Locked(dir)) => {
            note(format_args!("store: not checked, a server runs on {dir}; stop it to check the store"));
            return Ok(());
        }
        Err(e) => return Err(e.into()),
    };
    if violated.is_empty() {
        out.line(format_args!("store: good ({})", config.data_dir.display()))?;
        out.line(format_args!("digest: {digest}"))?;
        return out.flush();
    }
    for what in &violated {
        out.line(format_args!("store: {what}"))?;
    }
    out.flush()?;
    Err(CliError::Failed(format!("the store in {} has {} problems", config.data_dir.display(), violated.len())))
}

/// What is wrong, and one number for everything that is stored.
async fn checked(store: &Store) -> Result<(Vec<String>, String), CliError> {
    let mut violated = store.check().await?;
    match app::check_key(store).await {
        Err(wrong @ AppError::Key(_)) => violated.push(wrong.to_string()),
        done => done?,
    }
    Ok((violated, store.read(|v| v.digest()).await?))
}

//! Two ways to the same data: the stopped folder itself, or the server that runs on it.

use super::{CliError, client::Client, options::Reach};
use crate::{
    app,
    config::Config,
    runtime::clock::Clock,
    store::{Store, StoreError},
};

/// How a command reaches the data.
#[derive(Debug)]
pub enum Access {
    /// The folder is open, and must be closed.
    Folder(Store, Box<Config>),
    /// A server has it.
    Server(Client),
}

impl Access {
    /// By `--url`; else the stopped folder; else the server that runs on it. A folder that is not there is an error: it
    /// would be made, and an empty answer would hide a wrong `--data-dir`.
    pub async fn open(reach: &Reach) -> Result<Self, CliError> {
        let config = reach.load()?;
        if reach.url.is_none() && !config.data_dir.exists() {
            return Err(CliError::Failed(format!(
                "there is no data folder {}; name another with --data-dir, or start `watchfire serve` once to make it",
                config.data_dir.display()
            )));
        }
        Self::open_or_make(reach).await
    }

    /// The same, and makes a folder that is not there: people and tokens can be set up before the first start.
    pub async fn open_or_make(reach: &Reach) -> Result<Self, CliError> {
        if let Some(url) = &reach.url {
            return Ok(Self::Server(Client::new(url, reach.token.clone())?));
        }
        let config = reach.load()?;
        match app::open_store(&config, Clock::System).await {
            Ok(store) => {
                app::ensure_connectors(&store, &Clock::System, &config).await?;
                Ok(Self::Folder(store, Box::new(config)))
            }
            Err(app::AppError::Store(StoreError::Locked(dir))) => match running(&config, reach)? {
                Some(client) => Ok(Self::Server(client)),
                None => Err(CliError::Failed(StoreError::Locked(dir).to_string())),
            },
            Err(e) => Err(e.into()),
        }
    }

    /// The server only: by `--url`, else the one that runs on the data folder, else the default address.
    pub fn server(reach: &Reach) -> Result<Client, CliError> {
        if let Some(url) = &reach.url {
            return Client::new(url, reach.token.clone());
        }
        let config = reach.load()?;
        match running(&config, reach)? {
            Some(client) => Ok(client),
            None => {
                let url = format!("{}://{}", config.scheme(), config.listen);
                Client::new(&url, reach.token.clone().or(config.bootstrap_token))
            }
        }
    }

    /// Closes the folder, if it was opened.
    pub async fn close(self) {
        if let Self::Folder(store, _) = self {
            app::close(store).await;
        }
    }
}

fn running(config: &Config, reach: &Reach) -> Result<Option<Client>, CliError> {
    let Some(local) = app::local_access(&config.data_dir) else { return Ok(None) };
    let token = reach.token.clone().or(local.token).or_else(|| config.bootstrap_token.clone());
    Client::local(&local.url, token).map(Some)
}

//! How commands on the same machine reach a running server without a token of their own: a file in the data folder says
//! where it listens and holds a token that works until it stops. Whoever can read it could read the key file as well.

use std::{
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{AppError, random};
use crate::{config::Config, store::StoreError};

/// Where the server of a data folder listens.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalAccess {
    /// Its URL.
    pub url: String,
    /// A token; none when the configuration brings one, which is then used instead.
    #[serde(default)]
    pub token: Option<String>,
}

impl std::fmt::Debug for LocalAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalAccess").field("url", &self.url).finish_non_exhaustive()
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("running.json")
}

/// What a running server of this data folder has said.
pub fn local_access(dir: &Path) -> Option<LocalAccess> {
    serde_json::from_slice(&std::fs::read(path(dir)).ok()?).ok()
}

/// Says where we listen. Without a configured token, makes one that lives as long as the process.
pub(super) fn publish(config: &mut Config, addr: SocketAddr) -> Result<(), AppError> {
    let token = match config.bootstrap_token {
        Some(_) => None,
        None => Some(random::<32>()?),
    };
    let access = LocalAccess { url: super::local_url(config.scheme(), addr), token: token.clone() };
    let text = serde_json::to_vec(&access).map_err(|e| StoreError::Io(e.to_string()))?;
    write_private(&path(&config.data_dir), &text).map_err(StoreError::from)?;
    config.bootstrap_token = config.bootstrap_token.take().or(token);
    Ok(())
}

/// The token is worthless from now on.
pub(super) fn withdraw(dir: &Path) {
    if let Err(e) = std::fs::remove_file(path(dir)) {
        tracing::warn!(error = %e, "running.json could not be removed");
    }
}

fn write_private(path: &Path, text: &[u8]) -> std::io::Result<()> {
    // A file left by a killed process may have been opened by somebody; a new one was not.
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_only_when_none_is_configured() {
        let dir = tempfile::tempdir().unwrap();
        let addr = "0.0.0.0:81".parse().unwrap();
        let mut config = crate::config::defaults(dir.path().to_owned());
        publish(&mut config, addr).unwrap();
        let access = local_access(dir.path()).unwrap();
        assert_eq!(access.url, "http://127.0.0.1:81");
        assert!(access.token.is_some());
        assert_eq!(access.token, config.bootstrap_token);
        assert!(!format!("{access:?}").contains(access.token.as_deref().unwrap()));

        config.bootstrap_token = Some("configured".to_owned());
        publish(&mut config, addr).unwrap();
        assert_eq!(local_access(dir.path()).unwrap().token, None);
        assert_eq!(config.bootstrap_token.as_deref(), Some("configured"));
        withdraw(dir.path());
        assert_eq!(local_access(dir.path()), None);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(path(dir.path()), "old").unwrap();
        write_private(&path(dir.path()), b"new").unwrap();
        assert_eq!(std::fs::metadata(path(dir.path())).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

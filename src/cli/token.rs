use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    CliError,
    access::Access,
    client::encode,
    options::Reach,
    out::{Out, note},
};
use crate::{
    app,
    config::parse_duration,
    model::{Actor, Scope, Time, Token},
    runtime::clock::Clock,
};

/// Tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token; it is printed once and cannot be shown again
    Create {
        /// What it is for
        name: String,
        /// ingest, read, write (has both before it) or admin; may be given several times
        #[arg(long = "scope", default_value = "read", value_name = "SCOPE")]
        scopes: Vec<Scope>,
        /// Works for this long, such as 90d; without it, until it is revoked
        #[arg(long, value_name = "TIME", value_parser = parse_duration)]
        expires_in: Option<std::time::Duration>,
        #[command(flatten)]
        reach: Reach,
    },
    /// List all tokens, without the secret parts
    List {
        #[command(flatten)]
        reach: Reach,
    },
    /// Make a token worthless
    Revoke {
        /// Its name
        name: String,
        #[command(flatten)]
        reach: Reach,
    },
}

/// Runs one of them.
pub async fn run(command: TokenCommand) -> Result<(), CliError> {
    match command {
        TokenCommand::Create { name, scopes, expires_in, reach } => {
            checked_name(&name)?;
            let access = Access::open_or_make(&reach).await?;
            let expires_at = expires_in.map(|d| Clock::System.now().plus(d));
            let made = create(&access, &name, &scopes, expires_at).await;
            access.close().await;
            let mut out = Out::new();
            out.line(made?)?;
            out.flush()?;
            note("keep it; it cannot be shown again");
            Ok(())
        }
        TokenCommand::List { reach } => {
            let access = Access::open(&reach).await?;
            let done = list(&access).await;
            access.close().await;
            done
        }
        TokenCommand::Revoke { name, reach } => {
            let access = Access::open(&reach).await?;
            let done = match &access {
                Access::Folder(store, _) => store.revoke_token(name.clone(), Actor::System).await.map_err(Into::into),
                Access::Server(c) => {
                    c.call(Method::DELETE, &format!("/api/tokens/{}", encode(&name)), None).await.map(drop)
                }
            };
            access.close().await;
            done.map(|()| note(format_args!("revoked {name}")))
        }
    }
}

fn checked_name(name: &str) -> Result<(), CliError> {
    if name.trim().is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
        return Err(CliError::Usage("a token's name has 1 to 64 characters".to_owned()));
    }
    if name == "bootstrap" {
        return Err(CliError::Usage("`bootstrap` is the token of the configuration; choose another name".to_owned()));
    }
    Ok(())
}

async fn create(access: &Access, name: &str, scopes: &[Scope], expires_at: Option<Time>) -> Result<String, CliError> {
    match access {
        Access::Folder(store, _) => {
            let secret = format!("wf_{}", app::random::<32>().map_err(|e| CliError::Failed(e.to_string()))?);
            let token = Token {
                name: name.to_owned(),
                scopes: distinct(scopes),
                hash: app::digest(&secret),
                hint: secret.chars().take(7).collect(),
                created_at: Clock::System.now(),
                created_by: Actor::System.to_string(),
                expires_at,
                last_used: None,
            };
            store.create_token(token, Actor::System).await?;
            Ok(secret)
        }
        Access::Server(client) => {
            let body = json!({"name": name, "scopes": scopes, "expires_at": expires_at});
            let made = client.call(Method::POST, "/api/tokens", Some(&body)).await?;
            match made.get("token").and_then(Value::as_str) {
                Some(secret) => Ok(secret.to_owned()),
                None => Err(CliError::Failed(format!("{} made the token but did not show it", client.url()))),
            }
        }
    }
}

fn distinct(scopes: &[Scope]) -> Vec<Scope> {
    Scope::ALL.iter().copied().filter(|s| scopes.contains(s)).collect()
}

async fn list(access: &Access) -> Result<(), CliError> {
    let mut rows = Vec::new();
    let words = |scopes: &[Scope]| scopes.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(",");
    let time = |t: Option<Time>| t.map(|t| t.to_string()).unwrap_or_default();
    match access {
        Access::Folder(store, _) => {
            for t in store.read(|v| v.tokens()).await? {
                rows.push(vec![
                    t.name,
                    words(&t.scopes),
                    format!("{}…", t.hint),
                    time(t.expires_at),
                    time(t.last_used),
                ]);
            }
        }
        Access::Server(client) => {
            client
                .list("/api/tokens", "tokens", |row| {
                    rows.push(super::incidents::cells(&row, &["name", "scopes", "hint", "expires_at", "last_used"]));
                    Ok(true)
                })
                .await?;
        }
    }
    let mut out = Out::new();
    out.table(&["NAME", "SCOPES", "BEGINS WITH", "EXPIRES", "LAST USED"], &rows)?;
    out.flush()
}

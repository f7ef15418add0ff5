use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::json;

use super::{
    CliError,
    access::Access,
    client::encode,
    options::Reach,
    out::{Out, note, plain},
    password,
};
use crate::{
    app,
    model::{Account, Actor, Role},
    runtime::clock::Clock,
    store::Store,
};

/// People.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a person; the password is asked for
    Add {
        /// Name for signing in
        name: String,
        /// viewer, responder or admin
        #[arg(long, default_value = "responder", value_name = "ROLE")]
        role: Role,
        #[command(flatten)]
        secret: PasswordSource,
        #[command(flatten)]
        reach: Reach,
    },
    /// List everybody
    List {
        #[command(flatten)]
        reach: Reach,
    },
    /// Take a person away, with their sessions
    Remove {
        /// Name for signing in
        name: String,
        #[command(flatten)]
        reach: Reach,
    },
    /// Set a new password; ends the person's sessions
    Password {
        /// Name for signing in
        name: String,
        #[command(flatten)]
        secret: PasswordSource,
        #[command(flatten)]
        reach: Reach,
    },
}

/// Where a password comes from.
#[derive(Clone, Copy, Debug, Args)]
pub struct PasswordSource {
    /// Read the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
}

/// Runs one of them.
pub async fn run(command: UserCommand) -> Result<(), CliError> {
    match command {
        UserCommand::Add { name, role, secret, reach } => {
            let name = checked_name(&name)?;
            let access = Access::open_or_make(&reach).await?;
            let done = add(&access, &name, role, secret).await;
            access.close().await;
            done.map(|()| note(format_args!("added {name} as {role}")))
        }
        UserCommand::List { reach } => {
            let access = Access::open(&reach).await?;
            let done = list(&access).await;
            access.close().await;
            done
        }
        UserCommand::Remove { name, reach } => {
            let access = Access::open(&reach).await?;
            let done = match &access {
                Access::Folder(store, _) => store.remove_account(name.clone(), Actor::System).await.map_err(Into::into),
                Access::Server(c) => {
                    c.call(Method::DELETE, &format!("/api/users/{}", encode(&name)), None).await.map(drop)
                }
            };
            access.close().await;
            done.map(|()| note(format_args!("removed {name}")))
        }
        UserCommand::Password { name, secret, reach } => {
            let access = Access::open(&reach).await?;
            let done = set_password(&access, &name, secret).await;
            access.close().await;
            done.map(|()| note(format_args!("{name} has a new password; open sessions have ended")))
        }
    }
}

/// The name as it is stored.
fn checked_name(name: &str) -> Result<String, CliError> {
    app::check_name(name).ok_or_else(|| {
        let rule = "use 1 to 64 of a-z, 0-9, `.`, `_`, `-` and `@`, and not `none`, `me` or `system`";
        CliError::Usage(format!("`{}` is not a name; {rule}", plain(name)))
    })
}

async fn hashed(password: String) -> Result<String, CliError> {
    let hash = tokio::task::spawn_blocking(move || app::hash_password(&password)).await;
    hash.map_err(|e| CliError::Failed(e.to_string()))?.map_err(|e| CliError::Failed(e.to_string()))
}

async fn add(access: &Access, name: &str, role: Role, secret: PasswordSource) -> Result<(), CliError> {
    match access {
        Access::Folder(store, _) => add_to(store, name, role, secret).await,
        Access::Server(client) => {
            let password = password::read(secret.password_stdin)?;
            let body = json!({"name": name, "role": role, "password": password});
            client.call(Method::POST, "/api/users", Some(&body)).await.map(drop)
        }
    }
}

async fn add_to(store: &Store, name: &str, role: Role, secret: PasswordSource) -> Result<(), CliError> {
    let first = store.read(|v| Ok(v.accounts()?.is_empty())).await?;
    if first && role != Role::Admin {
        let what = "the first person must be able to set up everything; add them with --role admin";
        return Err(CliError::Usage(what.to_owned()));
    }
    let hash = hashed(password::read(secret.password_stdin)?).await?;
    let account = Account::local(name.to_owned(), role, hash, Clock::System.now());
    if first {
        store.create_first_account(account).await?;
    } else {
        store.create_account(account, Actor::System).await?;
    }
    Ok(())
}

async fn set_password(access: &Access, name: &str, secret: PasswordSource) -> Result<(), CliError> {
    let password = password::read(secret.password_stdin)?;
    match access {
        Access::Folder(store, _) => {
            store.set_password(name.to_owned(), hashed(password).await?, None, Actor::System).await.map_err(Into::into)
        }
        Access::Server(client) => {
            let body = json!({"password": password});
            client.call(Method::PATCH, &format!("/api/users/{}", encode(name)), Some(&body)).await.map(drop)
        }
    }
}

async fn list(access: &Access) -> Result<(), CliError> {
    let mut rows = Vec::new();
    match access {
        Access::Folder(store, _) => {
            for a in store.read(|v| v.accounts()).await? {
                let seen = a.last_seen.map(|t| t.to_string()).unwrap_or_default();
                rows.push(vec![a.name, a.role.to_string(), a.created_at.to_string(), seen]);
            }
        }
        Access::Server(client) => {
            client
                .list("/api/users", "users", |row| {
                    rows.push(super::incidents::cells(&row, &["name", "role", "created_at", "last_seen"]));
                    Ok(true)
                })
                .await?;
        }
    }
    let mut out = Out::new();
    out.table(&["NAME", "ROLE", "CREATED", "LAST SEEN"], &rows)?;
    out.flush()
}

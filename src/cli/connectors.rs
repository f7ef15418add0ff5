use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    CliError,
    access::Access,
    client::{Client, encode},
    options::Reach,
    out::{Out, plain},
};
use crate::{config::Config, store::Store};

/// Which.
#[derive(Debug, Args)]
pub struct ConnectorsArgs {
    /// Only this one; its key alone is easy to use in scripts with --key-only
    platform: Option<String>,
    /// Print nothing but the key
    #[arg(long, requires = "platform")]
    key_only: bool,
    /// One JSON object a line
    #[arg(long, conflicts_with = "key_only")]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

struct Row {
    platform: String,
    url: String,
    key: String,
    enabled: bool,
}

/// Lists platforms with their webhook URL and key.
pub async fn run(args: ConnectorsArgs) -> Result<(), CliError> {
    let access = Access::open(&args.reach).await?;
    let found = match &access {
        Access::Folder(store, config) => of_folder(store, config).await,
        Access::Server(client) => of_server(client, args.platform.as_deref()).await,
    };
    access.close().await;
    let mut rows = found?;
    if let Some(platform) = &args.platform {
        rows.retain(|r| r.platform == *platform);
        if rows.is_empty() {
            let known = crate::app::platforms().join(", ");
            return Err(CliError::Usage(format!("there is no platform `{}`; there are {known}", plain(platform))));
        }
    }
    let mut out = Out::new();
    if args.key_only {
        rows.iter().try_for_each(|r| out.line(&r.key))?;
    } else if args.json {
        for r in rows {
            out.line(json!({"platform": r.platform, "webhook_url": r.url, "key": r.key, "enabled": r.enabled}))?;
        }
    } else {
        let rows: Vec<_> = rows
            .into_iter()
            .map(|r| vec![r.platform, r.url, r.key, if r.enabled { "on" } else { "off" }.to_owned()])
            .collect();
        out.table(&["PLATFORM", "WEBHOOK URL", "KEY", "STATE"], &rows)?;
    }
    out.flush()
}

async fn of_folder(store: &Store, config: &Config) -> Result<Vec<Row>, CliError> {
    let base = config.public_url.clone().unwrap_or_else(|| format!("{}://{}", config.scheme(), config.listen));
    let mut rows = Vec::new();
    for c in store.read(|v| v.connectors()).await? {
        let url = format!("{base}/api/webhooks/{}", c.platform);
        rows.push(Row { url, key: store.sealer().open(&c.key)?, platform: c.platform, enabled: c.enabled });
    }
    Ok(rows)
}

async fn of_server(client: &Client, only: Option<&str>) -> Result<Vec<Row>, CliError> {
    let mut rows = Vec::new();
    client
        .list("/api/connectors", "connectors", |row| {
            let text = |name: &str| row.get(name).and_then(Value::as_str).map(plain).unwrap_or_default();
            let enabled = row.get("enabled").and_then(Value::as_bool).unwrap_or(true);
            rows.push(Row { platform: text("platform"), url: text("webhook_url"), key: String::new(), enabled });
            Ok(true)
        })
        .await?;
    // A key is shown one at a time, and each time is written into the audit log.
    for row in rows.iter_mut().filter(|r| only.is_none_or(|o| o == r.platform)) {
        let path = format!("/api/connectors/{}/reveal-key", encode(&row.platform));
        let shown = client.call(Method::POST, &path, None).await?;
        row.key = shown.get("key").and_then(Value::as_str).map(plain).unwrap_or_default();
    }
    Ok(rows)
}

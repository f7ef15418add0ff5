//! The Netdata Cloud account: its API token is checked where it was made before it is kept, and kept sealed.

use std::time::Duration;

use axum::{Json as Answer, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::connectors::change;
use crate::{
    connectors,
    model::*,
    outgoing::{Client, Credentials, OutgoingError, address},
    store::StoreError,
    web::{
        auth::{Admin, Viewer},
        error::ApiError,
        extract::Json,
        state::AppState,
    },
};

const PLATFORM: &str = "netdata";
const CLOUD: &str = "https://app.netdata.cloud";
/// Longest token and address that are taken, in bytes.
const LONGEST: usize = 4096;
/// A list of spaces is far smaller.
const MOST: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(10);

/// The account to connect.
#[derive(Deserialize, ToSchema)]
pub struct Connect {
    /// Made in Netdata Cloud under Account settings, API tokens; left out, the saved one is checked again.
    pub api_token: Option<String>,
    /// `https://app.netdata.cloud` when left out.
    pub base_url: Option<String>,
    /// The one space that must be among those that the token opens.
    pub space_name: Option<String>,
    /// Saves it also when Netdata Cloud cannot be reached.
    #[serde(default)]
    pub force: bool,
}

/// Whether a Netdata Cloud account is connected; its webhooks work without.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct NetdataStatus {
    /// Netdata Cloud took the token when it was last asked.
    connected: bool,
    /// Where it was asked; none without an account.
    base_url: Option<String>,
    /// Names of the spaces that the token opens.
    spaces: Vec<String>,
    /// When Netdata Cloud last took the token.
    checked_at: Option<Time>,
}

impl NetdataStatus {
    fn of(account: Option<&CloudAccount>) -> Self {
        account.map_or_else(Self::default, |a| Self {
            connected: a.checked_at.is_some(),
            base_url: Some(a.base_url.clone()),
            spaces: a.spaces.clone(),
            checked_at: a.checked_at,
        })
    }
}

async fn saved(state: &AppState) -> Result<Option<CloudAccount>, StoreError> {
    Ok(state.store.read(|view| view.connector(PLATFORM)).await?.and_then(|s| s.cloud))
}

/// Whether a Netdata Cloud account is connected.
#[utoipa::path(get, path = "/netdata/status", tag = "netdata", operation_id = "netdata_status", responses((status = 200, body = NetdataStatus)))]
pub async fn status(_: Viewer, State(state): State<AppState>) -> Result<Answer<NetdataStatus>, ApiError> {
    Ok(Answer(NetdataStatus::of(saved(&state).await?.as_ref())))
}

/// Checks a token with Netdata Cloud and keeps it.
#[utoipa::path(post, path = "/netdata/connect", tag = "netdata", operation_id = "netdata_connect", request_body = Connect,
    responses((status = 200, body = NetdataStatus), (status = 400, description = "Netdata Cloud refuses the token; it is not saved"),
        (status = 502, description = "Netdata Cloud cannot be reached; not saved without `force`")))]
pub async fn connect(
    who: Admin,
    State(state): State<AppState>,
    Json(wanted): Json<Connect>,
) -> Result<Answer<NetdataStatus>, ApiError> {
    Ok(Answer(connect_account(&state, wanted, who.actor).await?))
}

/// Checks the token where it was made, and keeps it.
pub async fn connect_account(state: &AppState, wanted: Connect, actor: Actor) -> Result<NetdataStatus, ApiError> {
    let before = saved(state).await?;
    let given = wanted.api_token.as_deref().map(str::trim).filter(|t| !t.is_empty());
    let base_url = base_url(wanted.base_url.as_deref(), before.as_ref().filter(|_| given.is_none()))?;
    let token = match (given, &before) {
        (Some(token), _) if token.len() <= LONGEST && token.bytes().all(|b| b.is_ascii_graphic()) => token.to_owned(),
        (Some(_), _) => return Err(ApiError::invalid("/api_token", "printable characters without spaces are needed")),
        // A saved token goes to no other place than the one it was given for.
        (None, Some(account)) if account.base_url == base_url => state.store.sealer().open(&account.token)?,
        _ => return Err(ApiError::invalid("/api_token", "an API token of Netdata Cloud is needed")),
    };
    let space = wanted.space_name.map(|s| connectors::line(&s, 250)).filter(|s| !s.is_empty());
    let checked = match spaces(&state.client, &base_url, &token).await {
        Ok(all) => Some(chosen(all, space.as_deref())?),
        Err(Failed::Refused(why)) => return Err(ApiError::bad_request("netdata_refused", why)),
        Err(Failed::Unreachable(why)) if !wanted.force => {
            let detail = format!("{why}; nothing was saved, `force` saves it unchecked");
            return Err(ApiError::new(StatusCode::BAD_GATEWAY, "netdata_unreachable", detail));
        }
        Err(Failed::Unreachable(_)) => None,
    };
    let account = CloudAccount {
        token: state.store.sealer().seal(&token)?,
        checked_at: checked.as_ref().map(|_| state.clock.now()),
        spaces: checked.unwrap_or_default(),
        base_url,
    };
    let what = json!({"cloud": "connected", "base_url": account.base_url, "checked": account.checked_at.is_some()});
    let settings = change(state, PLATFORM, move |s| s.cloud = Some(account), what, actor).await?;
    Ok(NetdataStatus::of(settings.cloud.as_ref()))
}

/// Forgets the account and its token.
pub async fn forget(state: &AppState, actor: Actor) -> Result<NetdataStatus, ApiError> {
    if saved(state).await?.is_some() {
        change(state, PLATFORM, |s| s.cloud = None, json!({"cloud": "disconnected"}), actor).await?;
    }
    Ok(NetdataStatus::default())
}

/// Forgets the account and its token.
#[utoipa::path(delete, path = "/netdata/disconnect", tag = "netdata", operation_id = "netdata_disconnect", responses((status = 200, body = NetdataStatus)))]
pub async fn disconnect(who: Admin, State(state): State<AppState>) -> Result<Answer<NetdataStatus>, ApiError> {
    Ok(Answer(forget(&state, who.actor).await?))
}

/// The same for tools that can only post.
#[utoipa::path(post, path = "/netdata/disconnect", tag = "netdata", operation_id = "netdata_disconnect_by_post", responses((status = 200, body = NetdataStatus)))]
pub async fn disconnect_by_post(who: Admin, State(state): State<AppState>) -> Result<Answer<NetdataStatus>, ApiError> {
    Ok(Answer(forget(&state, who.actor).await?))
}

/// Scheme, host and path of the address, without a slash at its end.
fn base_url(given: Option<&str>, before: Option<&CloudAccount>) -> Result<String, ApiError> {
    let wrong = || ApiError::invalid("/base_url", "an address such as https://app.netdata.cloud is needed");
    let given = given.map(str::trim).filter(|u| !u.is_empty());
    let url = given.or(before.map(|a| a.base_url.as_str())).unwrap_or(CLOUD);
    let read = address::base(url).map_err(|_| wrong())?;
    Ok(read.as_str().trim_end_matches('/').to_owned())
}

/// Why there is no list of spaces.
#[derive(Debug)]
enum Failed {
    /// The token opens nothing.
    Refused(String),
    /// No answer, or none that Netdata Cloud gives.
    Unreachable(String),
}

/// A space as Netdata Cloud lists it.
#[derive(Debug, PartialEq)]
struct Space {
    name: String,
    slug: Option<String>,
}

async fn spaces(client: &Client, base_url: &str, token: &str) -> Result<Vec<Space>, Failed> {
    let lost = |e: OutgoingError| match e {
        OutgoingError::Refused { host, status } => Failed::Refused(format!(
            "{host} answers {status}: the API token is wrong, has expired, or was not made in Netdata Cloud"
        )),
        e => Failed::Unreachable(e.to_string()),
    };
    let base = address::base(base_url).map_err(Failed::Unreachable)?;
    let url = address::under(&base, "api/v2/spaces", &[]);
    let asked = client.get(&url).credentials(&Credentials::Bearer(token.to_owned())).within(PATIENCE).most(MOST);
    let body: Value = asked.send().await.and_then(|a| a.good()).map_err(lost)?.json().await.map_err(lost)?;
    listed(&body).ok_or_else(|| Failed::Unreachable(format!("{base_url} answers, but not with a list of spaces")))
}

fn listed(body: &Value) -> Option<Vec<Space>> {
    let list = body.as_array().or_else(|| body.get("spaces")?.as_array())?;
    let text = |space: &Value, name: &str| {
        let text = space.get(name)?.as_str()?;
        Some(connectors::line(text, 250)).filter(|t| !t.is_empty())
    };
    let space = |space: &Value| {
        let slug = text(space, "slug");
        Some(Space { name: text(space, "name").or_else(|| slug.clone()).or_else(|| text(space, "id"))?, slug })
    };
    Some(list.iter().filter_map(space).take(1000).collect())
}

/// The names of all spaces, or of the one that was asked for.
fn chosen(all: Vec<Space>, wanted: Option<&str>) -> Result<Vec<String>, ApiError> {
    let Some(wanted) = wanted else { return Ok(all.into_iter().map(|s| s.name).collect()) };
    let same = |s: &&Space| s.name.eq_ignore_ascii_case(wanted) || s.slug.as_deref() == Some(wanted);
    if let Some(found) = all.iter().find(same) {
        return Ok(vec![found.name.clone()]);
    }
    let names: Vec<&str> = all.iter().take(20).map(|s| s.name.as_str()).collect();
    let detail = format!("the token opens no space `{wanted}`; it opens: {}", names.join(", "));
    Err(ApiError::bad_request("unknown_space", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (given, want) in [
            (None, Some("https://app.netdata.cloud")),
            (Some(""), Some("https://app.netdata.cloud")),
            (Some("http://127.0.0.1:19/cloud/"), Some("http://127.0.0.1:19/cloud")),
            (Some("ftp://a"), None),
            (Some("https://u:p@a"), None),
            (Some("https://a/?x=1"), None),
            (Some("netdata"), None),
        ] {
            assert_eq!(base_url(given, None).ok().as_deref(), want, "{given:?}");
        }
    }

    #[test]
    fn lists_of_spaces() {
        let names = |body: Value| listed(&body).map(|l| l.into_iter().map(|s| s.name).collect::<Vec<_>>());
        assert_eq!(names(json!([{"id": "1", "slug": "a", "name": "A"}, {"slug": "b"}, 7])).unwrap(), ["A", "b"]);
        assert_eq!(names(json!({"spaces": []})).unwrap(), Vec::<String>::new());
        assert_eq!(names(json!({"error": "x"})), None);
        let all = || vec![Space { name: "Acme".into(), slug: Some("acme-x1".into()) }];
        assert_eq!(chosen(all(), Some("acme-x1")).unwrap(), ["Acme"]);
        assert!(chosen(all(), Some("other")).unwrap_err().detail.contains("Acme"));
    }
}

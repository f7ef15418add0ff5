//! People, their sessions and their tokens, as the API shows them: without any secret.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::*;

/// A person, without the password.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct UserObject {
    /// Name for signing in.
    pub name: String,
    /// May do.
    pub role: Role,
    /// Made at.
    pub created_at: Time,
    /// Last sign-in.
    pub last_seen: Option<Time>,
    /// May not sign in for now.
    pub disabled: bool,
    /// Who says that it is them: `local` is this server, by a password.
    pub origin: Voucher,
    /// The name that they are called by.
    pub full_name: Option<String>,
}

impl UserObject {
    /// From the stored row.
    pub fn of(a: &Account) -> Self {
        Self {
            name: a.name.clone(),
            role: a.role,
            created_at: a.created_at,
            last_seen: a.last_seen,
            disabled: a.disabled,
            origin: a.origin,
            full_name: a.full_name.clone(),
        }
    }
}

/// A signed-in browser.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SessionObject {
    /// To end it by; it opens nothing.
    pub id: String,
    /// Whose.
    pub user: String,
    /// The session that asks.
    pub current: bool,
    /// Since when.
    pub created_at: Time,
    /// Until when, at most.
    pub expires_at: Time,
    /// Last used, to five minutes.
    pub last_used: Option<Time>,
    /// Where it was last used from.
    pub address: Option<String>,
    /// What the browser calls itself.
    pub user_agent: Option<String>,
    /// Who said who it is.
    pub origin: Voucher,
}

impl SessionObject {
    /// From the stored row; `mine` is the session that asks.
    pub fn of(hash: &[u8; 32], s: &Session, mine: Option<[u8; 32]>) -> Self {
        Self {
            id: session_id(hash),
            user: s.account.clone(),
            current: mine == Some(*hash),
            created_at: s.created_at,
            expires_at: s.expires_at,
            last_used: s.last_used,
            address: s.address.clone(),
            user_agent: s.user_agent.clone(),
            origin: s.origin,
        }
    }
}

/// A token, without the token.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TokenObject {
    /// Its name.
    pub name: String,
    /// May do.
    pub scopes: Vec<Scope>,
    /// Its first characters.
    pub hint: String,
    /// Made at.
    pub created_at: Time,
    /// Made by.
    pub created_by: String,
    /// Works until.
    pub expires_at: Option<Time>,
    /// Last used, to the hour.
    pub last_used: Option<Time>,
}

impl TokenObject {
    /// From the stored row.
    pub fn of(t: &Token) -> Self {
        Self {
            name: t.name.clone(),
            scopes: t.scopes.clone(),
            hint: t.hint.clone(),
            created_at: t.created_at,
            created_by: t.created_by.clone(),
            expires_at: t.expires_at,
            last_used: t.last_used,
        }
    }
}

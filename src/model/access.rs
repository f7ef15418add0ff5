//! People, their sessions, and programs' tokens.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Time, words};

words! {
    /// What a person may do; each includes the ones before.
    Role {
        /// Look.
        Viewer = "viewer",
        /// Act on incidents.
        Responder = "responder",
        /// Set up.
        Admin = "admin",
    }
}
words! {
    /// What a program may do. `write` has `ingest` and `read`; `admin` has all.
    Scope {
        /// Post to connectors.
        Ingest = "ingest",
        /// Look.
        Read = "read",
        /// Act.
        Write = "write",
        /// Set up.
        Admin = "admin",
    }
}

impl Scope {
    /// Whether holding this scope allows what `wanted` allows.
    pub const fn allows(self, wanted: Scope) -> bool {
        matches!(
            (self, wanted),
            (Scope::Admin, _)
                | (Scope::Write, Scope::Write | Scope::Read | Scope::Ingest)
                | (Scope::Read, Scope::Read)
                | (Scope::Ingest, Scope::Ingest)
        )
    }
}

/// A person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Name for signing in; lower case, 1 to 64 characters of `a-z 0-9 . _ - @`.
    pub name: String,
    /// May do.
    pub role: Role,
    /// Argon2id, in PHC form.
    pub password_hash: String,
    /// Made at.
    pub created_at: Time,
    /// Last sign-in.
    #[serde(default)]
    pub last_seen: Option<Time>,
}

/// A signed-in browser. The row's key is the SHA-256 of the cookie's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Who.
    pub account: String,
    /// Since when.
    pub created_at: Time,
    /// Until when, at most.
    pub expires_at: Time,
    /// What the browser calls itself.
    #[serde(default)]
    pub user_agent: Option<String>,
}

/// A program's key. The row's key is the SHA-256 of the token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// Its name, unique.
    pub name: String,
    /// May do.
    pub scopes: Vec<Scope>,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// The first characters, to tell tokens apart.
    pub hint: String,
    /// Made at.
    pub created_at: Time,
    /// Made by.
    pub created_by: String,
    /// Works until.
    #[serde(default)]
    pub expires_at: Option<Time>,
    /// Last used, to the hour.
    #[serde(default)]
    pub last_used: Option<Time>,
}

/// Who does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A person, by name.
    Person(String),
    /// A program, by its token's name.
    Program(String),
    /// A sender's platform.
    Sender(String),
    /// The product itself.
    System,
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Person(name) => f.write_str(name),
            Self::Program(name) => write!(f, "token:{name}"),
            Self::Sender(platform) => f.write_str(platform),
            Self::System => f.write_str("system"),
        }
    }
}

/// One act of a person or program, for the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// When.
    pub at: Time,
    /// Who.
    pub actor: String,
    /// What, as `area.verb`: `incident.resolve`, `connector.reveal_key`.
    pub action: String,
    /// On what.
    pub subject: String,
    /// Before, after, reason.
    #[serde(default)]
    pub data: Value,
}

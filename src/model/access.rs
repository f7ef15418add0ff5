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

words! {
    /// Who says that a person is who they are.
    Voucher {
        /// This server, by a password.
        Local = "local",
        /// An OpenID provider.
        Oidc = "oidc",
        /// A proxy in front.
        Proxy = "proxy",
    }
}

fn local() -> Voucher {
    Voucher::Local
}

/// A person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Name for signing in; lower case, 1 to 64 characters of `a-z 0-9 . _ - @`.
    pub name: String,
    /// May do.
    pub role: Role,
    /// Argon2id, in PHC form; empty where somebody else says who they are.
    pub password_hash: String,
    /// Made at.
    pub created_at: Time,
    /// Last sign-in.
    #[serde(default)]
    pub last_seen: Option<Time>,
    /// May not sign in for now.
    #[serde(default)]
    pub disabled: bool,
    /// Who says that it is them.
    #[serde(default = "local")]
    pub origin: Voucher,
    /// The name that they are called by, where one is known.
    #[serde(default)]
    pub full_name: Option<String>,
    /// What the provider knows them by, for ever: issuer and subject with a space between.
    #[serde(default)]
    pub subject: Option<String>,
}

impl Account {
    /// A person with a password of their own.
    pub fn local(name: String, role: Role, password_hash: String, created_at: Time) -> Self {
        Self {
            name,
            role,
            password_hash,
            created_at,
            last_seen: None,
            disabled: false,
            origin: Voucher::Local,
            full_name: None,
            subject: None,
        }
    }
}

/// A person of whom a provider or a proxy has told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// As the name for signing in would be.
    pub name: String,
    /// Who told.
    pub origin: Voucher,
    /// By their groups; none when no group lets them in.
    pub role: Option<Role>,
    /// The name that they are called by.
    pub full_name: Option<String>,
    /// Of a provider: issuer and subject with a space between.
    pub subject: Option<String>,
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
    /// Last used, to five minutes.
    #[serde(default)]
    pub last_used: Option<Time>,
    /// Where it was last used from.
    #[serde(default)]
    pub address: Option<String>,
    /// It outlives the browser.
    #[serde(default)]
    pub kept: bool,
    /// Who said who it is.
    #[serde(default = "local")]
    pub origin: Voucher,
}

/// What a session goes by where people see it: the beginning of its key, which opens nothing.
pub fn session_id(hash: &[u8; 32]) -> String {
    hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
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
    /// The address that it was asked from; none for the product's own acts and those at the machine itself.
    #[serde(default)]
    pub address: Option<String>,
}

/// Which entries of the audit log are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// By these actors; `*` at the end is a prefix.
    pub actor: Vec<String>,
    /// These acts, such as `incident.resolve`; `*` at the end is a prefix.
    pub action: Vec<String>,
    /// Each of these words stands in what it was done to.
    pub object: Vec<String>,
    /// Not before.
    pub since: Option<Time>,
    /// Before.
    pub until: Option<Time>,
}

//! People, sessions, tokens, and the audit log.

use redb::ReadableTable;
use serde_json::json;

use crate::{
    model::*,
    store::{
        CommandError, Store, StoreError, codec,
        tx::{Tx, get, put},
    },
};

impl Store {
    /// The first person, as administrator; `Conflict` when there is one already.
    pub async fn create_first_account(&self, account: Account) -> Result<(), CommandError> {
        self.command(move |tx| {
            if tx.accounts.first()?.is_some() {
                return Err(taken("this server is set up already; sign in instead".to_owned()));
            }
            let actor = Actor::Person(account.name.clone());
            let account = Account { role: Role::Admin, ..account };
            put(&mut tx.accounts, account.name.as_str(), &account)?;
            Ok(tx.audit(&actor, "user.create_first", account.name, json!({ "role": account.role }))?)
        })
        .await
    }

    /// A person more; `Conflict` when the name is taken.
    pub async fn create_account(&self, account: Account, actor: Actor) -> Result<(), CommandError> {
        self.command(move |tx| {
            if get::<_, Account>(&tx.accounts, account.name.as_str())?.is_some() {
                return Err(taken(format!("there is a user {} already", account.name)));
            }
            put(&mut tx.accounts, account.name.as_str(), &account)?;
            Ok(tx.audit(&actor, "user.create", account.name, json!({ "role": account.role }))?)
        })
        .await
    }

    /// A new password; ends the person's sessions.
    pub async fn set_password(&self, name: String, hash: String, actor: Actor) -> Result<(), CommandError> {
        self.command(move |tx| {
            let mut account = known(tx, &name)?;
            account.password_hash = hash;
            put(&mut tx.accounts, name.as_str(), &account)?;
            end_sessions(tx, &name)?;
            Ok(tx.audit(&actor, "user.password", name, serde_json::Value::Null)?)
        })
        .await
    }

    /// Another role. The last administrator stays one.
    pub async fn set_role(&self, name: String, role: Role, actor: Actor) -> Result<(), CommandError> {
        self.command(move |tx| {
            let mut account = known(tx, &name)?;
            if role != Role::Admin {
                not_the_last_admin(tx, &account)?;
            }
            let before = std::mem::replace(&mut account.role, role);
            put(&mut tx.accounts, name.as_str(), &account)?;
            Ok(tx.audit(&actor, "user.role", name, json!({ "from": before, "to": role }))?)
        })
        .await
    }

    /// Takes a person and their sessions away. The last administrator stays.
    pub async fn remove_account(&self, name: String, actor: Actor) -> Result<(), CommandError> {
        self.command(move |tx| {
            let account = known(tx, &name)?;
            not_the_last_admin(tx, &account)?;
            tx.accounts.remove(name.as_str())?;
            end_sessions(tx, &name)?;
            Ok(tx.audit(&actor, "user.remove", name, json!({ "role": account.role }))?)
        })
        .await
    }

    /// Signs in: stores the session and the time.
    pub async fn start_session(&self, hash: [u8; 32], session: Session) -> Result<(), CommandError> {
        self.command(move |tx| {
            let mut account = known(tx, &session.account)?;
            account.last_seen = Some(session.created_at);
            put(&mut tx.accounts, session.account.as_str(), &account)?;
            put(&mut tx.sessions, hash, &session)?;
            let actor = Actor::Person(session.account.clone());
            Ok(tx.audit(&actor, "session.start", session.account, serde_json::Value::Null)?)
        })
        .await
    }

    /// Signs out.
    pub async fn end_session(&self, hash: [u8; 32]) -> Result<(), CommandError> {
        self.command(move |tx| {
            tx.sessions.remove(hash)?;
            Ok(())
        })
        .await
    }

    /// A token; `Conflict` when the name is taken.
    pub async fn create_token(&self, token: Token, actor: Actor) -> Result<(), CommandError> {
        self.command(move |tx| {
            if token_named(tx, &token.name)?.is_some() {
                return Err(taken(format!("there is a token {} already", token.name)));
            }
            put(&mut tx.tokens, token.hash, &token)?;
            let data = json!({ "scopes": token.scopes, "expires_at": token.expires_at });
            Ok(tx.audit(&actor, "token.create", token.name, data)?)
        })
        .await
    }

    /// Takes a token away.
    pub async fn revoke_token(&self, name: String, actor: Actor) -> Result<(), CommandError> {
        self.command(move |tx| {
            let token = token_named(tx, &name)?.ok_or_else(|| CommandError::NotFound(format!("token {name}")))?;
            tx.tokens.remove(token.hash)?;
            Ok(tx.audit(&actor, "token.revoke", name, serde_json::Value::Null)?)
        })
        .await
    }

    /// Notes that a token was used; call at most once an hour for each.
    pub async fn touch_token(&self, hash: [u8; 32], at: Time) -> Result<(), CommandError> {
        self.command(move |tx| {
            if let Some(mut token) = get::<_, Token>(&tx.tokens, hash)? {
                token.last_used = Some(at);
                put(&mut tx.tokens, hash, &token)?;
            }
            Ok(())
        })
        .await
    }

    /// Writes an audit entry for an act that changes nothing by itself (a secret was shown).
    pub async fn audit(
        &self,
        actor: Actor,
        action: &'static str,
        subject: String,
        data: serde_json::Value,
    ) -> Result<(), CommandError> {
        self.command(move |tx| Ok(tx.audit(&actor, action, subject, data)?)).await
    }
}

fn taken(detail: String) -> CommandError {
    CommandError::Conflict { detail, allowed: Vec::new() }
}

fn known(tx: &Tx<'_>, name: &str) -> Result<Account, CommandError> {
    get(&tx.accounts, name)?.ok_or_else(|| CommandError::NotFound(format!("user {name}")))
}

fn not_the_last_admin(tx: &Tx<'_>, account: &Account) -> Result<(), CommandError> {
    let mut others = 0;
    for row in tx.accounts.iter()? {
        let other: Account = codec::decode(row?.1.value())?;
        others += u32::from(other.role == Role::Admin && other.name != account.name);
    }
    if account.role == Role::Admin && others == 0 {
        return Err(taken(format!("{} is the last administrator; make another one first", account.name)));
    }
    Ok(())
}

fn end_sessions(tx: &mut Tx<'_>, name: &str) -> Result<(), StoreError> {
    let mut theirs = Vec::new();
    for row in tx.sessions.iter()? {
        let (hash, bytes) = row?;
        if codec::decode::<Session>(bytes.value())?.account == name {
            theirs.push(hash.value());
        }
    }
    for hash in theirs {
        tx.sessions.remove(hash)?;
    }
    Ok(())
}

fn token_named(tx: &Tx<'_>, name: &str) -> Result<Option<Token>, StoreError> {
    for row in tx.tokens.iter()? {
        let token: Token = codec::decode(row?.1.value())?;
        if token.name == name {
            return Ok(Some(token));
        }
    }
    Ok(None)
}

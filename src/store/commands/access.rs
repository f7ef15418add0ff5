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
            let after = told(&account);
            Ok(tx.audit(&actor, "user.create_first", account.name, json!({ "after": after }))?)
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
            let after = told(&account);
            Ok(tx.audit(&actor, "user.create", account.name, json!({ "after": after }))?)
        })
        .await
    }

    /// A new password; ends the person's sessions but for `except`, the one of whoever changes their own.
    pub async fn set_password(
        &self,
        name: String,
        hash: String,
        except: Option<[u8; 32]>,
        actor: Actor,
    ) -> Result<(), CommandError> {
        self.command(move |tx| {
            let mut account = known(tx, &name)?;
            if account.origin != Voucher::Local {
                let detail = format!("{name} signs in by {}, so there is no password here", by(account.origin));
                return Err(taken(detail));
            }
            account.password_hash = hash;
            put(&mut tx.accounts, name.as_str(), &account)?;
            let ended = end_sessions(tx, &name, except)?;
            Ok(tx.audit(&actor, "user.password", name, json!({ "sessions_ended": ended }))?)
        })
        .await
    }

    /// Another role. The last administrator stays one.
    pub async fn set_role(&self, name: String, role: Role, actor: Actor) -> Result<(), CommandError> {
        self.command(move |tx| {
            let mut account = known(tx, &name)?;
            if account.origin != Voucher::Local {
                return Err(taken(format!("the role of {name} follows from their groups at {}", by(account.origin))));
            }
            if role != Role::Admin {
                not_the_last_admin(tx, &account)?;
            }
            let before = std::mem::replace(&mut account.role, role);
            put(&mut tx.accounts, name.as_str(), &account)?;
            let data = json!({ "before": { "role": before }, "after": { "role": role } });
            Ok(tx.audit(&actor, "user.role", name, data)?)
        })
        .await
    }

    /// Shuts a person out, with the end of their sessions, or lets them in again. The last administrator stays in.
    pub async fn set_disabled(&self, name: String, disabled: bool, actor: Actor) -> Result<(), CommandError> {
        self.command(move |tx| {
            let mut account = known(tx, &name)?;
            if disabled {
                not_the_last_admin(tx, &account)?;
            }
            let before = std::mem::replace(&mut account.disabled, disabled);
            put(&mut tx.accounts, name.as_str(), &account)?;
            if disabled {
                end_sessions(tx, &name, None)?;
            }
            let action = if disabled { "user.disable" } else { "user.enable" };
            let data = json!({ "before": { "disabled": before }, "after": { "disabled": disabled } });
            Ok(tx.audit(&actor, action, name, data)?)
        })
        .await
    }

    /// The name that a person is called by; none takes it away.
    pub async fn set_full_name(
        &self,
        name: String,
        full_name: Option<String>,
        actor: Actor,
    ) -> Result<(), CommandError> {
        self.command(move |tx| {
            let mut account = known(tx, &name)?;
            let before = std::mem::replace(&mut account.full_name, full_name.clone());
            if before == full_name {
                return Ok(());
            }
            put(&mut tx.accounts, name.as_str(), &account)?;
            let data = json!({ "before": { "full_name": before }, "after": { "full_name": full_name } });
            Ok(tx.audit(&actor, "user.full_name", name, data)?)
        })
        .await
    }

    /// Somebody of whom a provider or a proxy has told: made when they are new, brought in line when they have changed,
    /// and shut out when no group of theirs lets them in. The person as they are now.
    ///
    /// # Errors
    /// `Conflict` when nobody of that name may come in this way: no group does, they are disabled, or the name is another
    /// person's.
    pub async fn welcome(&self, who: Foreign) -> Result<Account, CommandError> {
        // The refusal is written down as well, so it is no error of the transaction.
        self.command(move |tx| Ok(welcome(tx, who)?)).await?.map_err(taken)
    }

    /// Takes a person and their sessions away. The last administrator stays.
    pub async fn remove_account(&self, name: String, actor: Actor) -> Result<(), CommandError> {
        self.command(move |tx| {
            let account = known(tx, &name)?;
            not_the_last_admin(tx, &account)?;
            tx.accounts.remove(name.as_str())?;
            end_sessions(tx, &name, None)?;
            let views = remove_views(tx, &name)?;
            // Rules and schedules may still name them; nobody is reached by that.
            tx.put_contacts(&Contacts { person: name.clone(), contacts: Vec::new() })?;
            let data = json!({ "before": told(&account), "views_removed": views });
            Ok(tx.audit(&actor, "user.remove", name, data)?)
        })
        .await
    }

    /// Signs in: stores the session and the time.
    pub async fn start_session(&self, hash: [u8; 32], session: Session) -> Result<(), CommandError> {
        self.command(move |tx| {
            let mut account = known(tx, &session.account)?;
            if account.disabled {
                return Err(taken(format!("{} is disabled", account.name)));
            }
            account.last_seen = Some(session.created_at);
            put(&mut tx.accounts, session.account.as_str(), &account)?;
            put(&mut tx.sessions, hash, &session)?;
            let actor = Actor::Person(session.account.clone());
            let data = json!({ "session": session_id(&hash), "by": session.origin, "until": session.expires_at });
            Ok(tx.audit(&actor, "session.start", session.account, data)?)
        })
        .await
    }

    /// Signs out.
    pub async fn end_session(&self, hash: [u8; 32]) -> Result<(), CommandError> {
        self.command(move |tx| {
            let Some(session) = get::<_, Session>(&tx.sessions, hash)? else { return Ok(()) };
            tx.sessions.remove(hash)?;
            let actor = Actor::Person(session.account.clone());
            Ok(tx.audit(&actor, "session.end", session.account, json!({ "session": session_id(&hash) }))?)
        })
        .await
    }

    /// Ends the session that goes by this id, if it is of that person or nobody is named.
    pub async fn revoke_session(&self, id: String, of: Option<String>, actor: Actor) -> Result<(), CommandError> {
        self.command(move |tx| {
            let found = sessions(tx)?.into_iter().find(|(hash, session)| {
                session_id(hash) == id && of.as_ref().is_none_or(|name| *name == session.account)
            });
            let (hash, session) = found.ok_or_else(|| CommandError::NotFound("session of that id".to_owned()))?;
            tx.sessions.remove(hash)?;
            Ok(tx.audit(&actor, "session.revoke", session.account, json!({ "session": id }))?)
        })
        .await
    }

    /// Ends all sessions of a person but for `except`. How many there were.
    pub async fn revoke_sessions(
        &self,
        name: String,
        except: Option<[u8; 32]>,
        actor: Actor,
    ) -> Result<usize, CommandError> {
        self.command(move |tx| {
            known(tx, &name)?;
            let ended = end_sessions(tx, &name, except)?;
            tx.audit(&actor, "session.revoke_all", name, json!({ "sessions_ended": ended }))?;
            Ok(ended)
        })
        .await
    }

    /// Lets a session last until then.
    pub async fn extend_session(&self, hash: [u8; 32], until: Time) -> Result<(), CommandError> {
        self.command(move |tx| {
            let found = get::<_, Session>(&tx.sessions, hash)?;
            let mut session = found.ok_or_else(|| CommandError::NotFound("session".to_owned()))?;
            let before = std::mem::replace(&mut session.expires_at, until);
            put(&mut tx.sessions, hash, &session)?;
            let data = json!({
                "session": session_id(&hash), "before": { "expires_at": before }, "after": { "expires_at": until },
            });
            let actor = Actor::Person(session.account.clone());
            Ok(tx.audit(&actor, "session.extend", session.account, data)?)
        })
        .await
    }

    /// Notes that a session was used; call at most every five minutes for each.
    pub async fn touch_session(&self, hash: [u8; 32], at: Time, address: String) -> Result<(), CommandError> {
        self.command(move |tx| {
            if let Some(mut session) = get::<_, Session>(&tx.sessions, hash)? {
                (session.last_used, session.address) = (Some(at), Some(address));
                put(&mut tx.sessions, hash, &session)?;
            }
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
            let data = json!({ "after": told_token(&token) });
            Ok(tx.audit(&actor, "token.create", token.name, data)?)
        })
        .await
    }

    /// Takes a token away.
    pub async fn revoke_token(&self, name: String, actor: Actor) -> Result<(), CommandError> {
        self.command(move |tx| {
            let token = token_named(tx, &name)?.ok_or_else(|| CommandError::NotFound(format!("token {name}")))?;
            tx.tokens.remove(token.hash)?;
            Ok(tx.audit(&actor, "token.revoke", name, json!({ "before": told_token(&token) }))?)
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

/// Somebody must be left who can set up: an administrator of whom this server itself says who they are, or one of whom a
/// provider or a proxy says so that is still configured.
fn not_the_last_admin(tx: &Tx<'_>, account: &Account) -> Result<(), CommandError> {
    let mut others = 0;
    for row in tx.accounts.iter()? {
        let other: Account = codec::decode(row?.1.value())?;
        let comes_in = other.origin == Voucher::Local || tx.policy.vouchers.contains(&other.origin);
        others += u32::from(other.role == Role::Admin && !other.disabled && comes_in && other.name != account.name);
    }
    if account.role == Role::Admin && others == 0 {
        return Err(taken(format!("{} is the last administrator; make another one first", account.name)));
    }
    Ok(())
}

/// What the audit log says of a person: nothing that is a secret.
fn told(account: &Account) -> serde_json::Value {
    json!({
        "role": account.role, "disabled": account.disabled, "origin": account.origin, "full_name": account.full_name,
    })
}

fn told_token(token: &Token) -> serde_json::Value {
    json!({ "scopes": token.scopes, "expires_at": token.expires_at })
}

fn by(origin: Voucher) -> &'static str {
    match origin {
        Voucher::Local => "this server",
        Voucher::Oidc => "the OpenID provider",
        Voucher::Proxy => "the proxy in front",
    }
}

/// The person, or why they may not come in.
fn welcome(tx: &mut Tx<'_>, who: Foreign) -> Result<Result<Account, String>, StoreError> {
    let mut found: Option<Account> = None;
    for row in tx.accounts.iter()? {
        let account: Account = codec::decode(row?.1.value())?;
        // What the provider knows them by holds when their name there changes.
        let same = account.origin == who.origin && account.subject == who.subject && who.subject.is_some();
        if same || (found.is_none() && account.name == who.name) {
            found = Some(account);
        }
    }
    // As they are called here, which may no longer be what they are called there.
    let actor = Actor::Person(found.as_ref().map_or_else(|| who.name.clone(), |account| account.name.clone()));
    let refused = |tx: &mut Tx<'_>, why: &str| {
        tx.audit(&actor, "user.refused", who.name.clone(), json!({ "by": who.origin, "why": why }))
    };
    let Some(account) = found else {
        let Some(role) = who.role else {
            refused(tx, "no group lets them in")?;
            return Ok(Err("none of your groups lets you in".to_owned()));
        };
        let account = Account {
            origin: who.origin,
            full_name: who.full_name,
            subject: who.subject,
            ..Account::local(who.name.clone(), role, String::new(), tx.now)
        };
        put(&mut tx.accounts, account.name.as_str(), &account)?;
        tx.audit(&actor, "user.create", who.name, json!({ "after": told(&account) }))?;
        return Ok(Ok(account));
    };
    if account.origin != who.origin || account.subject != who.subject {
        refused(tx, "the name is another person's")?;
        return Ok(Err(format!(
            "there is another {} here already; an administrator can remove that person to let you in",
            who.name
        )));
    }
    let Some(role) = who.role else {
        let ended = end_sessions(tx, &account.name, None)?;
        let data = json!({ "by": who.origin, "why": "no group lets them in", "sessions_ended": ended });
        tx.audit(&actor, "user.refused", account.name, data)?;
        return Ok(Err("none of your groups lets you in any more".to_owned()));
    };
    if account.disabled {
        refused(tx, "disabled")?;
        return Ok(Err("an administrator has disabled your account".to_owned()));
    }
    let after = Account { role, full_name: who.full_name.or_else(|| account.full_name.clone()), ..account.clone() };
    if after != account {
        put(&mut tx.accounts, after.name.as_str(), &after)?;
        let data = json!({ "before": told(&account), "after": told(&after) });
        tx.audit(&actor, "user.update", after.name.clone(), data)?;
    }
    Ok(Ok(after))
}

fn sessions(tx: &Tx<'_>) -> Result<Vec<([u8; 32], Session)>, StoreError> {
    let mut all = Vec::new();
    for row in tx.sessions.iter()? {
        let (hash, bytes) = row?;
        all.push((hash.value(), codec::decode(bytes.value())?));
    }
    Ok(all)
}

fn end_sessions(tx: &mut Tx<'_>, name: &str, except: Option<[u8; 32]>) -> Result<usize, StoreError> {
    let mut ended = 0;
    for (hash, session) in sessions(tx)? {
        if session.account == name && Some(hash) != except {
            tx.sessions.remove(hash)?;
            ended += 1;
        }
    }
    Ok(ended)
}

/// Takes the private views of a person away: whoever is called so next must not find them. How many there were.
fn remove_views(tx: &mut Tx<'_>, name: &str) -> Result<usize, StoreError> {
    let mut gone = Vec::new();
    for row in tx.saved_views.iter()? {
        let view: SavedView = codec::decode(row?.1.value())?;
        if view.owner == name && !view.shared {
            gone.push(view.id);
        }
    }
    for id in &gone {
        tx.saved_views.remove(id.0)?;
    }
    Ok(gone.len())
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

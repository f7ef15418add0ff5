use crate::{
    model::*,
    store::{CommandError, Store},
};

impl Store {
    /// The first person, as administrator; `Conflict` when there is one already.
    pub async fn create_first_account(&self, _account: Account) -> Result<(), CommandError> {
        unimplemented!()
    }

    /// A person more; `Conflict` when the name is taken.
    pub async fn create_account(&self, _account: Account, _actor: Actor) -> Result<(), CommandError> {
        unimplemented!()
    }

    /// A new password; ends the person's sessions.
    pub async fn set_password(&self, _name: String, _hash: String, _actor: Actor) -> Result<(), CommandError> {
        unimplemented!()
    }

    /// Another role. The last administrator stays one.
    pub async fn set_role(&self, _name: String, _role: Role, _actor: Actor) -> Result<(), CommandError> {
        unimplemented!()
    }

    /// Takes a person and their sessions away. The last administrator stays.
    pub async fn remove_account(&self, _name: String, _actor: Actor) -> Result<(), CommandError> {
        unimplemented!()
    }

    /// Signs in: stores the session and the time.
    pub async fn start_session(&self, _hash: [u8; 32], _session: Session) -> Result<(), CommandError> {
        unimplemented!()
    }

    /// Signs out.
    pub async fn end_session(&self, _hash: [u8; 32]) -> Result<(), CommandError> {
        unimplemented!()
    }

    /// A token; `Conflict` when the name is taken.
    pub async fn create_token(&self, _token: Token, _actor: Actor) -> Result<(), CommandError> {
        unimplemented!()
    }

    /// Takes a token away.
    pub async fn revoke_token(&self, _name: String, _actor: Actor) -> Result<(), CommandError> {
        unimplemented!()
    }

    /// Notes that a token was used; call at most once an hour for each.
    pub async fn touch_token(&self, _hash: [u8; 32], _at: Time) -> Result<(), CommandError> {
        unimplemented!()
    }

    /// Writes an audit entry for an act that changes nothing by itself (a secret was shown).
    pub async fn audit(
        &self,
        _actor: Actor,
        _action: &'static str,
        _subject: String,
        _data: serde_json::Value,
    ) -> Result<(), CommandError> {
        unimplemented!()
    }
}

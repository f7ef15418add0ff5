//! Senders that sign with a certificate of their own: what they send is checked by it, and their question whether this
//! is the right address is answered.

use super::{accept::Door, outcome::Refusal, settings::Effective};
use crate::{
    connectors::{Certified, Check, Connector, Request, Signature},
    model::{AuthMode, Note, Parsed, Problem},
    store::NewDelivery,
};

/// Where somebody looks who reads why a certificate is missing.
const REMEDY: &str = "let this machine reach that host, or put the certificate (PEM) into the signing secret";

impl Door {
    /// Checks the signature by its certificate. With a key the sender has proved itself already: then only a wrong
    /// signature is refused, and what cannot be checked is told in a note. Without one (`proves`), the signature must be
    /// right and the sender on the operator's list.
    pub(super) async fn vouch(
        &self,
        certified: &dyn Certified,
        settings: &Effective,
        request: &Request<'_>,
        proves: bool,
    ) -> Result<Option<Note>, Vouched> {
        // With the key alone as proof, nothing is fetched.
        if !proves && settings.auth == AuthMode::Key {
            return Ok(None);
        }
        let known = settings.signing_secret.as_deref().unwrap_or_default();
        // First, so that strangers can have nothing fetched.
        if proves && !certified.allows(request, known) {
            return Err(Vouched::Stranger);
        }
        let address = match certified.check(request, known) {
            Check::Valid => return Ok(None),
            Check::Unsigned if proves => return Err(Vouched::Unsigned),
            Check::Unsigned => return Ok(None),
            Check::Refuse(why) => return Err(Vouched::Elsewhere(why)),
            Check::Fetch(address) => address,
        };
        match self.memory.outside.certificate(&address, self.clock.now()).await {
            Ok(pem) if certified.signed_by(request, &pem) == Signature::Valid => Ok(None),
            Ok(_) => Err(Vouched::Wrong),
            Err(why) if proves => Err(Vouched::Unchecked(format!("the signature cannot be checked: {why}; {REMEDY}"))),
            Err(why) => Ok(Some(Note::Warning(format!("The signature was not checked: {why}; {REMEDY}.")))),
        }
    }

    /// Gives the confirmation that this request asks for, and notes it.
    pub(super) async fn confirm(
        &self,
        connector: &dyn Connector,
        delivery: &NewDelivery,
        read: &mut Result<Parsed, Problem>,
    ) {
        let Some(certified) = connector.certified() else { return };
        let Ok(parsed) = read else { return };
        let (body, received_at) = (delivery.body.as_slice(), delivery.at);
        let request = Request { headers: &[], query: &[], body, received_at, rca_enabled: false };
        let asked = match certified.confirmation(&request) {
            None => return,
            Some(Err(why)) => Err(why),
            Some(Ok(address)) => self.memory.outside.call(&address).await.map_err(|e| e.to_string()),
        };
        match asked {
            Ok(()) => parsed.notes.push(Note::Ping("Confirmed: from now on it sends here.".to_owned())),
            Err(why) => {
                let detail = format!(
                    "The subscription was not confirmed: {why}. Open the SubscribeURL of this delivery yourself within \
                     three days, or replay it when that host can be reached."
                );
                *read =
                    Err(Problem { code: "not_confirmed".to_owned(), detail, path: Some("/SubscribeURL".to_owned()) });
            }
        }
    }
}

/// Why a signature by a certificate does not do.
#[derive(Debug, thiserror::Error)]
pub(super) enum Vouched {
    /// There is none, and nothing else proves the sender.
    #[error("the request proves nothing")]
    Unsigned,
    /// It is wrong.
    #[error("the signature is wrong")]
    Wrong,
    /// Its certificate is somewhere else than it may be, in words.
    #[error("the signature is not taken: {0}")]
    Elsewhere(String),
    /// The sender is not on the operator's list.
    #[error("the topic is not in the signing secret's list")]
    Stranger,
    /// Its certificate cannot be had, in words.
    #[error("{0}")]
    Unchecked(String),
}

impl Vouched {
    /// What the sender is told; `turned_away` makes that of a sentence.
    pub fn refusal(self, turned_away: impl FnOnce(String) -> Refusal) -> Refusal {
        match self {
            Self::Unchecked(why) => Refusal::Unchecked { why },
            other => turned_away(other.to_string()),
        }
    }
}

//! What is set for a connector, and what it has received.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Declaration, DeliveryId, DeliveryOutcome, IdentityField, Platform, Problem, Severity, Time, words};

words! {
    /// How a sender proves who it is.
    AuthMode {
        /// The connector's key, in any of its places.
        Key = "key",
        /// The platform's own signature.
        Signature = "signature",
        /// A client certificate.
        Mtls = "mtls",
        /// Any way that is set up.
        AnyOf = "any-of",
        /// No proof. Must be chosen.
        Open = "open",
    }
}

/// A secret as the store holds it: encrypted with the key file beside the databases.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed(pub Vec<u8>);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed(…)")
    }
}

/// What is set for a connector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConnectorSettings {
    /// Which.
    pub platform: Platform,
    /// Switched off: deliveries are kept and refused.
    pub enabled: bool,
    /// Until then the same, and from then on as before.
    #[serde(default)]
    pub paused_until: Option<Time>,
    /// How senders prove who they are.
    pub auth: AuthMode,
    /// The key.
    pub key: Sealed,
    /// Keys before the last rotations, latest first, and until when each still works.
    #[serde(default)]
    pub old_keys: Vec<(Sealed, Time)>,
    /// Secret for the platform's own signature.
    #[serde(default)]
    pub signing_secret: Option<Sealed>,
    /// Secret for Netdata's challenge.
    #[serde(default)]
    pub challenge_secret: Option<Sealed>,
    /// Basic user, when not any.
    #[serde(default)]
    pub basic_user: Option<String>,
    /// Basic password, when not the key.
    #[serde(default)]
    pub basic_password: Option<Sealed>,
    /// Build servers: failed builds open incidents.
    #[serde(default)]
    pub rca_enabled: bool,
    /// Severities that open or join incidents; empty means all but `info`.
    #[serde(default)]
    pub opens: Vec<Severity>,
    /// What the sender puts into one group (`groupKey`) belongs to one incident, when it begins in its window.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub group_by_sender: bool,
    /// Sender's word (lower case) to our severity; wins over the connector's own table.
    #[serde(default)]
    pub severity_map: BTreeMap<String, Severity>,
    /// Ends an alert after so many seconds without a repeat; none leaves that to the platform's own way.
    #[serde(default)]
    pub closes_after_secs: Option<u32>,
    /// The fields that make an alert the same as another, in place of the connector's own rule; empty for that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identity: Vec<IdentityField>,
    /// Deliveries a minute, sustained; 0 is unlimited.
    pub rate_per_minute: u32,
    /// Netdata's latest verification token.
    #[serde(default)]
    pub test_token: Option<String>,
    /// Netdata's Cloud account.
    #[serde(default)]
    pub cloud: Option<CloudAccount>,
    /// Made at.
    pub created_at: Time,
    /// How to read it, when people declared it here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declaration: Option<Declaration>,
}

/// An account at a platform's own service, with the token that opens it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CloudAccount {
    /// Where the token was checked, without a slash at the end.
    pub base_url: String,
    /// The API token.
    pub token: Sealed,
    /// Names of the spaces that it opens.
    #[serde(default)]
    pub spaces: Vec<String>,
    /// When the service last took it; none when it could never be asked.
    #[serde(default)]
    pub checked_at: Option<Time>,
}

/// Keys that overlap at most: an accidental second rotation must not cut senders off, a thousandth may.
const OVERLAPPING_KEYS: usize = 8;

impl ConnectorSettings {
    /// Puts a new key in the place of the one in use, which works until `until`; those that have ended are forgotten.
    pub fn rotate(&mut self, key: Sealed, now: Time, until: Time) {
        let old = std::mem::replace(&mut self.key, key);
        self.old_keys.retain(|(_, until)| *until > now);
        self.old_keys.insert(0, (old, until));
        self.old_keys.truncate(OVERLAPPING_KEYS);
    }

    /// Until when it takes nothing, if it is paused.
    pub fn paused(&self, now: Time) -> Option<Time> {
        self.paused_until.filter(|until| *until > now)
    }

    /// Until when the key before this one works, if it still does.
    pub fn old_key_until(&self, now: Time) -> Option<Time> {
        self.old_keys.first().map(|(_, until)| *until).filter(|until| *until > now)
    }
}

/// What a connector has received.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConnectorCounters {
    /// Ever.
    pub received: u64,
    /// Last accepted delivery.
    #[serde(default)]
    pub last_accepted: Option<Time>,
    /// Last delivery of any outcome.
    #[serde(default)]
    pub last: Option<(DeliveryId, Time, DeliveryOutcome)>,
    /// Last delivery that was sent from outside, whatever became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_from_there: Option<Time>,
    /// Last delivery from outside whose sender proved who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_proven: Option<Time>,
    /// Last test, sent by the platform or by Watchfire itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_test: Option<Time>,
    /// Last test that Watchfire sent itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_own_test: Option<Time>,
    /// Last accepted delivery from outside that told of something and was no test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_real: Option<Time>,
    /// Latest problem and when.
    #[serde(default)]
    pub last_problem: Option<(Problem, Time)>,
    /// Last heartbeat (`Watchdog`).
    #[serde(default)]
    pub last_heartbeat: Option<Time>,
    /// Of how many signals each field of the rule that people set gave nothing, since it was set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub identity_missing: BTreeMap<String, u64>,
    /// How many signals that rule was asked about, since it was set.
    #[serde(default)]
    pub identity_asked: u64,
    /// Per hour since the epoch, the last 25: accepted, refused or not understood.
    #[serde(default)]
    pub hours: BTreeMap<i64, (u64, u64)>,
}

impl ConnectorCounters {
    /// Accepted, and refused or not understood, in the 24 hours before `now`.
    pub fn last_24h(&self, now: Time) -> (u64, u64) {
        let hour = now.millis().div_euclid(3_600_000);
        self.hours.range(hour - 23..=hour).fold((0, 0), |(a, r), (_, (x, y))| (a + x, r + y))
    }

    /// Whether a sender ever proved who it is. Earlier versions did not tell its deliveries from tests of our own.
    pub fn is_proven(&self) -> bool {
        self.last_proven.is_some() || (self.last_accepted.is_some() && self.last_own_test.is_none())
    }

    /// Counts one delivery.
    pub fn count(&mut self, at: Time, accepted: bool) {
        let hour = at.millis().div_euclid(3_600_000);
        self.received += 1;
        let slot = self.hours.entry(hour).or_default();
        if accepted {
            slot.0 += 1;
        } else {
            slot.1 += 1;
        }
        while self.hours.len() > 25 {
            self.hours.pop_first();
        }
    }
}

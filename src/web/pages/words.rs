//! The words that pages use for the values of the model.

use crate::model::*;

/// A status with a capital.
pub const fn status(s: IncidentStatus) -> &'static str {
    match s {
        IncidentStatus::Investigating => "Investigating",
        IncidentStatus::Analyzed => "Analyzed",
        IncidentStatus::Resolved => "Resolved",
        IncidentStatus::Merged => "Merged",
    }
}

/// Why an alert is where it is.
pub const fn strategy(s: Strategy) -> &'static str {
    match s {
        Strategy::Primary => "First alert",
        Strategy::ServiceMatch => "Same service",
        Strategy::TimeCluster => "Same time",
        Strategy::SemanticSimilarity => "Similar text",
        Strategy::Topology => "Calls service",
        Strategy::SharedDependency => "Shared dependency",
        Strategy::SameHost => "Same host",
        Strategy::TagMatch => "Same tags",
        Strategy::Manual => "By hand",
    }
}

/// Class, icon and words of a risk.
pub const fn risk(r: Risk) -> (&'static str, &'static str, &'static str) {
    match r {
        Risk::Safe => ("read", "eye", "Reads only"),
        Risk::Low => ("rev", "undo", "Can be undone"),
        Risk::Medium => ("rev", "undo", "Can be undone, with effort"),
        Risk::High => ("risky", "warn", "Risky"),
    }
}

/// What a suggestion is for, and its icon.
pub const fn suggestion(k: SuggestionKind) -> (&'static str, &'static str) {
    match k {
        SuggestionKind::Diagnostic => ("Diagnostic", "term"),
        SuggestionKind::Mitigation => ("Mitigation", "wrench"),
        SuggestionKind::Fix => ("Fix", "wrench"),
        SuggestionKind::Prevention => ("Prevention", "flag"),
    }
}

/// Class and icon of a thought, and its kind for screen readers.
pub const fn thought(k: ThoughtKind) -> (&'static str, &'static str, &'static str) {
    match k {
        ThoughtKind::Observation => ("found", "info", "Seen"),
        ThoughtKind::Analysis => ("", "search", "Compared"),
        ThoughtKind::Hypothesis => ("", "bulb", "Possible cause"),
        ThoughtKind::Action => ("", "term", "Asked"),
        ThoughtKind::Conclusion => ("found", "flag", "Conclusion"),
    }
}

/// How sure a share from 0 to 1 is, in a word: the same as in the sentences of an investigation.
pub fn sureness(confidence: f64) -> &'static str {
    match confidence {
        c if c < 0.4 => "low",
        c if c < 0.65 => "medium",
        _ => "high",
    }
}

/// Where evidence comes from.
pub const fn evidence(k: EvidenceKind) -> &'static str {
    match k {
        EvidenceKind::Alert => "Alert",
        EvidenceKind::Change => "Change",
        EvidenceKind::Incident => "Earlier incident",
        EvidenceKind::Statistic => "Figure",
        EvidenceKind::Metric => "Metric",
        EvidenceKind::Log => "Log",
        EvidenceKind::Topology => "Service map",
        EvidenceKind::Runbook => "Runbook",
    }
}

/// The dot of a timeline entry: ember for the investigation, crimson for fire, green for the end.
pub const fn timeline_dot(k: TimelineKind) -> &'static str {
    match k {
        TimelineKind::Opened | TimelineKind::InvestigationStarted | TimelineKind::InvestigationFinished => "e",
        TimelineKind::AlertCorrelated
        | TimelineKind::AlertMoved
        | TimelineKind::Merged
        | TimelineKind::Unmerged
        | TimelineKind::AlertRefired
        | TimelineKind::FlappingBegan
        | TimelineKind::Reopened => "c",
        TimelineKind::Resolved | TimelineKind::AlertResolved | TimelineKind::FlappingEnded => "k",
        _ => "",
    }
}

/// Class and words of what became of a delivery.
pub const fn outcome(o: DeliveryOutcome) -> (&'static str, &'static str) {
    match o {
        DeliveryOutcome::Accepted => ("ok", "Accepted"),
        DeliveryOutcome::Refused => ("crit", "Refused"),
        DeliveryOutcome::Unparsed => ("high", "Not understood"),
    }
}

/// A role with a capital, and what it may do.
pub const fn role(r: Role) -> (&'static str, &'static str) {
    match r {
        Role::Viewer => ("Viewer", "sees everything, changes nothing"),
        Role::Responder => ("Responder", "acts on incidents"),
        Role::Admin => ("Administrator", "sets up connectors, people and tokens"),
    }
}

/// Who says that a person is who they are.
pub const fn origin(o: Voucher) -> &'static str {
    match o {
        Voucher::Local => "password",
        Voucher::Oidc => "OpenID provider",
        Voucher::Proxy => "proxy in front",
    }
}

/// What a scope allows.
pub const fn scope(s: Scope) -> &'static str {
    match s {
        Scope::Ingest => "post to connectors",
        Scope::Read => "read everything",
        Scope::Write => "open and change incidents",
        Scope::Admin => "everything",
    }
}

/// How a sender proves itself.
pub const fn auth(a: AuthMode) -> &'static str {
    match a {
        AuthMode::Key => "the key",
        AuthMode::Signature => "the platform's signature",
        AuthMode::Mtls => "a client certificate",
        AuthMode::AnyOf => "any way that is set up",
        AuthMode::Open => "no proof: anybody can post",
    }
}

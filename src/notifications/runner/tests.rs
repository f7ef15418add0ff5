//! The small parts: what an answer that did not come means, what a heartbeat is missed by.

use std::{collections::BTreeMap, time::Duration};

use super::{
    audit::{Beat, Before, Look, watched},
    call::{CallError, signature},
};
use crate::{model::*, outgoing::OutgoingError};

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn now() -> Time {
    "2026-03-03T10:30:00Z".parse().unwrap()
}

#[test]
fn what_got_no_answer_may_have_arrived_unless_there_was_no_connection() {
    let (host, why) = ("chat:443".to_owned(), "refused".to_owned());
    let http = |e| CallError::Http(e);
    for (error, open, last) in [
        (http(OutgoingError::Late { host: host.clone(), within: secs(15) }), true, false),
        (http(OutgoingError::Broken { host: host.clone(), why: why.clone() }), true, false),
        (http(OutgoingError::Unreachable { host: host.clone(), why: why.clone() }), false, false),
        (http(OutgoingError::Forbidden { host: host.clone(), address: "127.0.0.1".parse().unwrap() }), false, true),
        (http(OutgoingError::Redirected { host: host.clone(), to: host.clone() }), false, true),
        (http(OutgoingError::Address(why.clone())), false, true),
        (CallError::Mail(why), false, false),
        (CallError::MailLate { host, port: 25 }, true, false),
        (CallError::Refused("no"), false, true),
    ] {
        assert_eq!((error.is_open(), error.is_final()), (open, last), "{error}");
    }
}

#[test]
fn bodies_are_signed_with_their_time() {
    // The digest is that of `openssl dgst -sha256 -hmac secret` over the same bytes.
    let want = "sha256=33270e99f50e3d3ec295e0d7185dc323a6231c2739f396d70e6b71ea6a435486";
    assert_eq!(signature("secret", b"1.x"), want);
}

fn heartbeat(missing: bool, enabled: bool) -> Heartbeat {
    Heartbeat {
        id: HeartbeatId(1),
        name: "Prometheus".to_owned(),
        from: HeartbeatFrom::Platform("alertmanager".to_owned()),
        every_secs: 600,
        severity: Severity::High,
        enabled,
        last_at: None,
        missing_since: missing.then(now),
        incident: None,
        created_at: now(),
        created_by: String::new(),
        updated_at: now().minus(secs(86_400)),
    }
}

#[test]
fn a_heartbeat_is_counted_on_the_clock_that_nobody_sets() {
    let row = heartbeat(false, true);
    let set = row.updated_at;
    let last = Beat { heard: Some(now().minus(secs(60))), set, since: secs(1_000), missed: false };
    let before = |beat: Option<Beat>, looked: bool| Before {
        beats: beat.map(|b| (row.id, b)).into_iter().collect::<BTreeMap<_, _>>(),
        looked: looked.then_some(secs(1_030)),
        ..Before::default()
    };
    let look = Look { now: now(), ran: secs(1_060), just_begun: false };
    let again = before(Some(last), true);
    let cases = [
        ("nothing new", &row, last.heard, &again, (1_000, false)),
        ("heard ten seconds ago", &row, Some(now().minus(secs(10))), &again, (1_050, false)),
        // Longer ago than the last look it was not, whatever its time says; nor will it be heard.
        ("heard, and an hour was skipped", &row, Some(now().minus(secs(3_600))), &again, (1_030, false)),
        ("heard, and an hour comes twice", &row, Some(now().plus(secs(3_600))), &again, (1_060, false)),
        ("the first look of a process", &row, last.heard, &before(None, false), (1_060, false)),
        ("one that is new", &row, None, &before(None, true), (1_030, false)),
    ];
    for (name, row, heard, before, (since, missed)) in cases {
        let beat = watched(row, heard, look, before);
        assert_eq!((beat.since, beat.missed, beat.heard), (secs(since), missed, heard), "{name}");
    }
    for (missing, enabled, missed) in [(true, true, true), (true, false, false), (false, true, false)] {
        let beat = watched(&heartbeat(missing, enabled), last.heard, look, &before(None, false));
        assert_eq!(beat.missed, missed, "{missing} {enabled}: what was missing stays so until it is heard");
    }
    let missed = Beat { missed: true, ..last };
    assert!(!watched(&row, Some(now()), look, &before(Some(missed), true)).missed);
    assert!(watched(&row, last.heard, look, &before(Some(missed), true)).missed);
}

use super::{
    super::{samples, tests},
    *,
};

const YES: &str = r#"{"result":"Request will be processed","took":0.1,"requestId":"x"}"#;

#[test]
fn the_alert_there_follows_the_incident() {
    let calls = tests::follow(
        &Opsgenie,
        &[
            ("opened", &[("create", 202, YES)]),
            ("severity-up", &[("note", 202, YES)]),
            ("analyzed", &[("description", 202, YES), ("note", 202, YES)]),
            ("acknowledged", &[("acknowledge", 202, YES)]),
            ("resolved", &[("close", 202, YES)]),
            ("opened-and-resolved", &[("close", 404, r#"{"message":"Alert does not exist"}"#)]),
        ],
        &[("alias", "watchfire-INC-42"), ("priority", "P1")],
    );
    let urls: Vec<String> = calls
        .iter()
        .map(|c| match c {
            Call::Http(c) => format!("{:?} {}", c.method, c.url.trim_start_matches("https://api.opsgenie.com/v2/")),
            Call::Mail(_) => String::new(),
        })
        .collect();
    assert_eq!(
        urls,
        [
            "Post alerts",
            "Post alerts/watchfire-INC-42/notes?identifierType=alias",
            "Put alerts/watchfire-INC-42/description?identifierType=alias",
            "Post alerts/watchfire-INC-42/notes?identifierType=alias",
            "Post alerts/watchfire-INC-42/acknowledge?identifierType=alias",
            "Post alerts/watchfire-INC-42/close?identifierType=alias",
            "Post alerts/watchfire-INC-42/close?identifierType=alias",
        ]
    );
    tests::follow(&Opsgenie, &[("opened-and-resolved", &[])], &[]);
}

#[test]
fn what_changed_is_put_and_nothing_else() {
    let mut to = tests::to(&Opsgenie, 0);
    let put = |pairs: &[(&str, &str)], to: &mut To| {
        to.receipt = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    };
    put(&[("alias", "watchfire-INC-42"), ("message", "Another title"), ("priority", "P2")], &mut to);
    let (_, message) = samples::all().into_iter().find(|(n, _)| *n == "severity-up").unwrap();
    let steps: Vec<&str> = Opsgenie.calls(&to, &message).iter().map(Call::step).collect();
    assert_eq!(steps, ["message", "description", "priority", "note"]);
    let reopened = samples::message(NoticeEvent::Reopened, samples::subject());
    assert_eq!(Opsgenie.calls(&to, &reopened)[0].step(), "create");
}

#[test]
fn answers_are_judged() {
    tests::judged(
        &Opsgenie,
        "opened",
        &[
            (202, "", YES, "done"),
            (401, "", r#"{"message":"Key format is not valid!"}"#, "broken: API key"),
            (403, "", "", "broken: rights"),
            (404, "", "", "broken: region"),
            (422, "", r#"{"message":"no","errors":{"message":"may not be empty"}}"#, "never: message may not be empty"),
            (429, "x-ratelimit-period-in-sec: 60", "{}", "later 60"),
            (429, "retry-after: 3", "{}", "later 3"),
            (429, "", "{}", "later"),
            (503, "", "", "later"),
            (307, "", "", "broken: another one"),
        ],
    );
    let to = tests::to(&Opsgenie, 0);
    tests::judged_from(&Opsgenie, &to, "resolved", 0, &[(404, "", "", "done"), (401, "", "", "broken: API key")]);
    tests::judged_from(&Opsgenie, &to, "acknowledged", 0, &[(404, "", "", "never: no open alert")]);
}

#[test]
fn fields_have_their_limits() {
    let (_, mut long) = samples::all().into_iter().find(|(name, _)| *name == "long").unwrap();
    if let About::Incident(subject) = &mut long.about {
        subject.labels = (0..100).map(|n| (format!("label-{n}"), "ü".repeat(400))).collect();
    }
    let calls = Opsgenie.calls(&tests::to(&Opsgenie, 0), &long);
    let body = common::sent(&calls[0]).unwrap();
    let chars = |v: &Value| v.as_str().unwrap().chars().count();
    assert_eq!((chars(&body["message"]), chars(&body["entity"])), (MESSAGE, ENTITY));
    assert!(chars(&body["description"]) <= DESCRIPTION);
    let tags = body["tags"].as_array().unwrap();
    assert!(tags.len() <= 20 && tags.iter().all(|t| chars(t) <= TAG));
    let details = body["details"].as_object().unwrap();
    let size: usize = details.iter().map(|(k, v)| k.chars().count() + chars(v)).sum();
    assert!(size <= DETAILS && size > DETAILS - 500, "{size}");
}

#[test]
fn responders_and_regions_are_checked() {
    for (region, responders, wrong) in [
        ("us", "team:Payments\n\nuser: ada@example.com", &[][..]),
        ("us", "Payments", &["/settings/responders"]),
        ("us", "team:", &["/settings/responders"]),
        ("other", "", &["/settings/base"]),
    ] {
        let pairs = [("region", region), ("responders", responders)];
        let settings = Settings(pairs.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect());
        let paths: Vec<String> = Opsgenie.check(&settings).into_iter().map(|m| m.path).collect();
        assert_eq!(paths, wrong, "{region} {responders}");
    }
}

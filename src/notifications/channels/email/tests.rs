use super::{
    super::{samples, tests},
    *,
};

fn mails(calls: Vec<Call>) -> Vec<MailCall> {
    let mail = |c| match c {
        Call::Mail(mail) => *mail,
        Call::Http(_) => panic!("not a mail"),
    };
    calls.into_iter().map(mail).collect()
}

#[test]
fn the_mails_of_an_incident_make_a_thread() {
    let yes = [("mail", 250, "2.0.0 Ok")];
    let told = [("opened", &yes[..]), ("acknowledged", &yes), ("severity-up", &yes), ("resolved", &yes)];
    let subject = "[INC-42] Critical: Connection pool of payments-db is exhausted";
    let mails = mails(tests::follow(&Email, &told, &[("subject", subject)]));
    let first = "<incident-INC-42.opened@watchfire.example.com>";
    assert_eq!((mails[0].message_id.as_str(), mails[0].subject.as_str()), (first, subject));
    assert_eq!(mails[0].reply_to, None);
    for mail in &mails[1..] {
        assert_eq!(mail.subject, format!("Re: {subject}"));
        assert_eq!(mail.reply_to.as_deref(), Some(first));
        assert_ne!(mail.message_id, first);
    }
}

#[test]
fn subjects_and_headers_are_single_lines_with_limits() {
    for (name, message) in samples::all() {
        for mail in mails(Email.calls(&tests::to(&Email, 0), &message)) {
            assert!(mail.subject.chars().count() <= SUBJECT, "{name}");
            let headers = mail.headers.iter().map(|(_, v)| v);
            for value in headers.chain([&mail.subject, &mail.from, &mail.message_id]) {
                assert!(!value.contains(char::is_control), "{name}: {value:?}");
            }
            assert!(mail.message_id.starts_with('<') && mail.message_id.ends_with('>'));
            assert!(!mail.html.contains("<script") && mail.text.len() < 100_000, "{name}");
            // Nothing of the alert becomes markup.
            assert!(!mail.html.contains("*bold* [x](http://evil) `c` |a>b"), "{name}");
        }
    }
}

#[test]
fn answers_are_judged() {
    tests::judged(
        &Email,
        "opened",
        &[
            (250, "", "2.0.0 Ok", "done"),
            (421, "", "4.3.2 shutting down", "later"),
            (450, "", "4.2.0 greylisted", "later"),
            (451, "", "", "later"),
            (452, "", "4.3.1 insufficient storage", "later"),
            (452, "", "4.5.3 too many recipients", "instead"),
            (454, "", "4.7.0", "later"),
            (535, "", "5.7.8 no", "broken: user, password"),
            (530, "", "", "broken: security"),
            (550, "", "5.1.1 unknown user", "broken: recipients"),
            (552, "", "5.3.4 too big", "never: too big"),
            (554, "", "5.7.1 looks like spam", "never: spam"),
        ],
    );
}

#[test]
fn a_server_that_takes_one_recipient_at_a_time_gets_one_mail_each() {
    let told = [
        ("opened", &[("mail", 452, "4.5.3 Too many recipients"), ("mail-1", 250, ""), ("mail-2", 250, "")][..]),
        ("resolved", &[("mail-1", 250, ""), ("mail-2", 250, "")]),
    ];
    let mails = mails(tests::follow(&Email, &told, &[]));
    let to: Vec<usize> = mails.iter().map(|m| m.to.len()).collect();
    assert_eq!(to, [2, 1, 1, 1, 1]);
    assert_ne!(mails[1].to, mails[2].to);
}

#[test]
fn addresses_are_checked() {
    for (key, value, fine) in [
        ("from", "watchfire@example.com", true),
        ("from", "Watchfire <watchfire@example.com>", true),
        ("from", "Watchfire", false),
        ("to", "a@example.com, b@example.com", true),
        ("to", "a@example.com b@example.com", false),
        ("to", "a@b@c", false),
        ("to", "root@localhost", true),
        ("host", "smtp.example.com", true),
        ("host", "smtp://example.com", false),
        ("password", "x", false),
    ] {
        let settings = Settings([(key.to_owned(), value.to_owned())].into());
        assert_eq!(Email.check(&settings).is_empty(), fine, "{key} {value}");
    }
    let many = vec!["a@example.com"; RECIPIENTS + 1].join(",");
    assert_eq!(Email.check(&Settings([("to".to_owned(), many)].into())).len(), 1);
}

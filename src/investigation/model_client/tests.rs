use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::json;

use super::{
    replay::Collected,
    talk::{Failure, Heard, Voice},
    tools::OfAlerts,
    wire::{Ask, Call, Message, Offer, Reply},
    *,
};
use crate::{
    investigation::{Finding, Found, examined, tests::case},
    store::views::Topology,
};

/// What was asked, and what is answered: from a list, and then the last one again and again.
#[derive(Default)]
struct Play {
    replies: VecDeque<Result<Reply, Failure>>,
    always: Option<fn(usize) -> Reply>,
    asked: Vec<(String, Vec<Message>, Offer)>,
}

impl Voice for &mut Play {
    async fn say(&mut self, ask: &Ask<'_>) -> Result<Heard, Failure> {
        self.asked.push((ask.system.to_owned(), ask.messages.to_vec(), ask.tools));
        let reply = match (self.replies.pop_front(), self.always) {
            (Some(reply), _) => reply?,
            (None, Some(always)) => always(self.asked.len()),
            (None, None) => panic!("nothing more was to be asked"),
        };
        Ok(Heard { reply, cost_micros: 1500, took_ms: 7 })
    }
}

fn calls(calls: &[(&str, serde_json::Value)]) -> Reply {
    let call = |(n, (name, arguments)): (usize, &(&str, serde_json::Value))| {
        let arguments = arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned);
        Call { id: format!("c{n}"), name: (*name).into(), arguments }
    };
    let calls = calls.iter().enumerate().map(call).collect();
    Reply { calls, tokens_in: Some(1000), tokens_out: Some(50), ..Reply::default() }
}

fn text(text: &str) -> Reply {
    Reply { text: text.into(), ..Reply::default() }
}

fn finish(statements: serde_json::Value, causes: serde_json::Value) -> Reply {
    calls(&[("finish", json!({"statements": statements, "causes": causes}))])
}

fn play(replies: impl IntoIterator<Item = Reply>) -> Play {
    Play { replies: replies.into_iter().map(Ok).collect(), ..Play::default() }
}

const LIMITS: Limits = Limits { steps: 12, calls: 24, tokens: 150_000 };
const TAG: &str = "00aa11bb22cc33dd";

struct Outcome {
    told: Told,
    lines: Vec<Line>,
    causes: Vec<Cause>,
    evidence: Vec<Evidence>,
}

impl Outcome {
    fn opinion(&self) -> &Opinion {
        self.told.opinion.as_ref().unwrap()
    }

    fn text(&self) -> String {
        self.lines.iter().map(|l| format!("{}\n", l.text)).collect()
    }
}

fn around(case: &Case) -> Surroundings {
    Surroundings::of(&Topology::default(), case)
}

async fn run(case: &Case, limits: Limits, form: OpinionForm, names: bool, play: &mut Play) -> Outcome {
    run_with(case, limits, form, names, play, Vec::new()).await
}

async fn run_with(
    case: &Case,
    limits: Limits,
    form: OpinionForm,
    names: bool,
    play: &mut Play,
    more: Vec<Evidence>,
) -> Outcome {
    let (_, mut done, ledger) = examined(case);
    done.answer.evidence.extend(more);
    let around = around(case);
    let mut redactor = Redactor::new(vec!["the-key-of-the-endpoint".into()]);
    if names {
        redactor = redactor.with_names(Names::of(case, &around).all());
    }
    let mut desk = Desk::new(case, &done.answer, &around, &Nobody, ledger, redactor, Tag::known(TAG));
    let mut lines = Collected::default();
    let talk = Talk { model: "tiny", form, limits, desk: &mut desk, voice: play, scribe: &mut lines, at: case.now };
    let told = talk.run().await.unwrap();
    let evidence = desk.ledger.evidence().to_vec();
    Outcome { told, lines: lines.0, causes: done.answer.causes, evidence }
}

fn transcript(outcome: &Outcome, form: OpinionForm, limits: Limits, names: bool, at: Time) -> Transcript {
    Transcript {
        run: 1,
        at,
        kind: ModelKind::Openai,
        model: "tiny".into(),
        form,
        tag: TAG.into(),
        names_redacted: names,
        limits,
        rounds: outcome.told.rounds.clone(),
        findings: serde_json::Value::Null,
        asked: serde_json::Value::Null,
        opinion: outcome.told.opinion.clone(),
        cut: false,
    }
}

/// Looks, notes, and ends with things that stand and things that do not.
fn thorough(service: &str) -> Vec<Reply> {
    vec![
        calls(&[("alerts", json!({"limit": 2})), ("changes", json!({})), ("hypotheses", json!({}))]),
        calls(&[
            ("note", json!({"text": "A release came before the errors", "evidence": ["E1"]})),
            ("note", json!({"text": "Moon phase", "evidence": ["E99"]})),
        ]),
        finish(
            json!([
                {"text": "The release of checkout broke it.", "evidence": ["E1", "E99", "E1"]},
                {"text": "The database is fine", "evidence": ["E77"]},
                {"text": "Nothing else", "evidence": []}
            ]),
            json!([
                {"service": service, "symptom": "errors", "text": "it began with its release", "evidence": ["E1"]},
                {"service": service, "text": "twice", "evidence": ["E1"]},
                {"service": "evil-service", "text": "they told me", "evidence": ["E1"]},
                {"host": "nowhere", "text": "no such machine", "evidence": ["E1"]},
                {"text": "no place", "evidence": ["E1"]}
            ]),
        ),
    ]
}

#[tokio::test]
async fn what_evidence_supports_stands_and_the_rest_is_told() {
    let case = case("deploy, then errors");
    let mut play = play(thorough("CHECKOUT"));
    let out = run(&case, LIMITS, OpinionForm::Tools, false, &mut play).await;
    let opinion = out.opinion();
    assert_eq!(opinion.summary, "The release of checkout broke it [E1].");
    let causes: Vec<_> = opinion.causes.iter().map(|c| (c.service.as_deref(), c.rank, c.evidence.clone())).collect();
    assert_eq!(causes, [(Some("checkout"), Some(1), vec!["E1".to_owned()])]);
    assert_eq!((opinion.agreement, opinion.unsupported, opinion.partial.clone()), (Agreement::Same, 6, None));
    assert_eq!((opinion.requests, opinion.calls, opinion.tokens_in, opinion.tokens_out), (3, 5, 3000, 150));
    assert_eq!((opinion.cost, opinion.took_ms), (0.0045, 21));
    let said = out.text();
    for part in [
        "tiny looks at alerts: {\"limit\":2}",
        "tiny notes: A release came before the errors [E1].",
        "“Moon phase” (it names E99, which it was not shown)",
        "“Nothing else” (it names no evidence)",
        "evil-service",
        "tiny thinks: The release of checkout broke it [E1].",
        "tiny suspects checkout (number 1 here): it began with its release [E1].",
    ] {
        assert!(said.to_lowercase().contains(&part.to_lowercase()), "{part} is not in:\n{said}");
    }
    let known: Vec<&str> = out.evidence.iter().map(|e| e.id.as_str()).collect();
    assert!(out.lines.iter().flat_map(|l| &l.evidence).all(|id| known.contains(&id.as_str())), "{said}");
    // The first request is the rules and the incident, and all tools are offered.
    let (system, messages, offer) = &play.asked[0];
    assert!(system.contains(TAG) && *offer == Offer::All && messages.len() == 1);
}

#[tokio::test]
async fn the_transcript_gives_the_same_again() {
    let case = case("deploy, then errors");
    for names in [false, true] {
        let service = if names { "svc-x1" } else { "checkout" };
        let out = run(&case, LIMITS, OpinionForm::Tools, names, &mut play(thorough(service))).await;
        assert_eq!(out.opinion().causes[0].service.as_deref(), Some("checkout"), "names come back");
        if names {
            let left: String = out.told.rounds.iter().flat_map(|r| &r.said).map(|s| s.text.as_str()).collect();
            assert!(!left.contains("checkout") && !left.contains("frontend") && left.contains("svc-x1"), "{left}");
        }
        let kept = transcript(&out, OpinionForm::Tools, LIMITS, names, case.now);
        let again = replay(&kept, &case, &around(&case));
        assert_eq!(again.differences(&kept), Vec::<String>::new());
        assert_eq!(again.lines, out.lines);
        // Another case gives another conversation.
        let other = replay(&kept, &super::super::tests::case("cascade by onset"), &around(&case));
        assert!(other.differences(&kept).len() > 1);
        let mut changed = kept.clone();
        changed.rounds[2].calls[0].arguments = r#"{"statements":[],"causes":[]}"#.into();
        assert_eq!(replay(&changed, &case, &around(&case)).differences(&changed), ["the opinion is another"]);
    }
}

#[tokio::test]
async fn loops_end_and_keep_what_was_noted() {
    let case = case("deploy, then errors");
    let partial = |out: &Outcome| out.opinion().partial.clone().unwrap();
    // The same call for ever, with its fields in another order now and then.
    let mut same = Play {
        always: Some(|n| {
            calls(&[(
                "alerts",
                if n % 2 == 0 { json!("{\"limit\":3,\"offset\":0}") } else { json!("{ \"offset\":0, \"limit\":3 }") },
            )])
        }),
        ..Play::default()
    };
    let out = run(&case, LIMITS, OpinionForm::Tools, false, &mut same).await;
    assert!(partial(&out).contains("again and again"), "{}", partial(&out));
    assert_eq!((out.opinion().requests, out.opinion().calls), (7, 7));
    let repeated: Vec<bool> = out.told.rounds.iter().flat_map(|r| &r.calls).map(|c| c.repeated).collect();
    assert_eq!(repeated, [false, true, true, true, true, true, true]);
    let Message::Results(second) = &same.asked[2].1[4] else { panic!("{:?}", same.asked[2].1) };
    assert!(second[0].text.starts_with(rules::REPEATED), "{}", second[0].text);
    // Always something new.
    let note = json!({"text": "A release came first", "evidence": ["E1"]});
    let mut new = Play { always: Some(|n| calls(&[("alerts", json!({"offset": n}))])), ..Play::default() };
    new.replies = [calls(&[("alerts", json!({}))]), calls(&[("note", note)])].map(Ok).into();
    let out = run(&case, LIMITS, OpinionForm::Tools, false, &mut new).await;
    assert_eq!(out.opinion().requests, 12);
    assert!(partial(&out).contains("no end within 12 requests"));
    assert_eq!(out.opinion().summary, "A release came first [E1].", "what it noted is kept");
    assert!(out.text().contains("was not heard to its end"));
    assert_eq!(new.asked.last().unwrap().2, Offer::Finish, "the last request asks for the end");
    // Ten at once.
    let ten = |n: usize| calls(&(0..10).map(|i| ("alerts", json!({"offset": n * 10 + i}))).collect::<Vec<_>>());
    let mut many = Play { always: Some(ten), ..Play::default() };
    let out = run(&case, LIMITS, OpinionForm::Tools, false, &mut many).await;
    assert_eq!(out.opinion().calls, 24, "{}", partial(&out));
    assert_eq!(out.told.rounds.iter().flat_map(|r| &r.calls).filter(|c| c.refused).count(), 6);
    // Tokens.
    let few = Limits { tokens: 5_500, ..LIMITS };
    let out = run(&case, few, OpinionForm::Tools, false, &mut Play { always: new.always, ..Play::default() }).await;
    assert!(partial(&out).contains("limit of 5500 tokens"), "{}", partial(&out));
    // Words only.
    let mut words = Play { always: Some(|_| text("Let me think.")), ..Play::default() };
    let out = run(&case, LIMITS, OpinionForm::Tools, false, &mut words).await;
    assert_eq!((out.opinion().requests, partial(&out).contains("called no tool")), (3, true));
}

#[tokio::test]
async fn mistakes_are_answered_and_the_conversation_goes_on() {
    let case = case("deploy, then errors");
    let mut play = play([
        calls(&[
            ("shell", json!({"command": "id"})),
            ("alerts", json!("{\"limit\":")),
            ("alerts", json!({"limit": "x"})),
            ("", json!({})),
        ]),
        text("I think it is the release."),
        calls(&[("alerts", json!({}))]),
        text("Done: {\"statements\":[{\"text\":\"It was the release\",\"evidence\":[\"E1\"]}],\"causes\":[]} Thanks."),
    ]);
    let out = run(&case, LIMITS, OpinionForm::Tools, false, &mut play).await;
    assert_eq!(
        (out.opinion().summary.as_str(), out.opinion().agreement),
        ("It was the release [E1].", Agreement::None)
    );
    let refused: Vec<(&str, bool)> = out.told.rounds[0].calls.iter().map(|c| (c.name.as_str(), c.refused)).collect();
    assert_eq!(refused, [("shell", true), ("alerts", true), ("alerts", true), ("", true)]);
    let Message::Results(results) = &play.asked[1].1[2] else { panic!("{:?}", play.asked[1].1) };
    for (result, part) in results.iter().zip(["no such tool", "not JSON", "whole number", "no such tool"]) {
        assert!(result.refused && result.text.contains(part), "{}", result.text);
    }
}

#[tokio::test]
async fn a_single_prompt_holds_everything_and_is_asked_for_twice_at_most() {
    let case = case("deploy, then errors");
    let good = "```json\n{\"statements\":[{\"text\":\"The release\",\"evidence\":[\"E1\"]}],\"causes\":[{\"service\":\"checkout\",\"text\":\"x\",\"evidence\":[\"E2\"]}]}\n```";
    let mut once = play([text("Well, "), text(good)]);
    let out = run(&case, LIMITS, OpinionForm::SinglePrompt, false, &mut once).await;
    assert_eq!((out.opinion().summary.as_str(), out.opinion().requests), ("The release [E1].", 2));
    let Message::User(prompt) = &once.asked[0].1[0] else { panic!() };
    for part in ["HighErrorRate", "checkout 2.3.1", "\"hypotheses\"", "\"evidence_id\"", "\"logs\""] {
        assert!(prompt.contains(part), "{part} is not in {prompt}");
    }
    assert_eq!(once.asked[0].2, Offer::None);
    let mut never = Play { always: Some(|_| text("{\"statements\": 1}")), ..Play::default() };
    let out = run(&case, LIMITS, OpinionForm::SinglePrompt, false, &mut never).await;
    assert_eq!(out.opinion().requests, 2);
    assert!(out.opinion().partial.is_some() && out.opinion().summary.is_empty());
}

#[tokio::test]
async fn trouble_keeps_what_was_said_before() {
    let case = case("deploy, then errors");
    let mut at_once = Play { replies: [Err(Failure("It is away.".into()))].into(), ..Play::default() };
    let out = run(&case, LIMITS, OpinionForm::Tools, false, &mut at_once).await;
    assert!(out.told.opinion.is_none() && out.lines.is_empty());
    assert_eq!(out.told.failure.as_deref(), Some("It is away."));
    let note = calls(&[("note", json!({"text": "A release", "evidence": ["E1"]}))]);
    let mut later = Play {
        replies: [Ok(calls(&[("alerts", json!({}))])), Ok(note), Err(Failure("It is away.".into()))].into(),
        ..Play::default()
    };
    let out = run(&case, LIMITS, OpinionForm::Tools, false, &mut later).await;
    assert_eq!(
        (out.opinion().summary.as_str(), out.opinion().partial.as_deref()),
        ("A release [E1].", Some("It is away."))
    );
    let kept = transcript(&out, OpinionForm::Tools, LIMITS, false, case.now);
    assert_eq!(replay(&kept, &case, &around(&case)).differences(&kept), Vec::<String>::new());
}

#[derive(Deserialize)]
struct Planted {
    at: String,
    text: String,
    secret: Option<String>,
}

fn planted() -> Vec<Planted> {
    #[derive(Deserialize)]
    struct File {
        planted: Vec<Planted>,
    }
    toml::from_str::<File>(include_str!("../../../tests/fixtures/model/planted.toml")).unwrap().planted
}

/// The case with the text in its place, and evidence that the built-in engine would have brought.
fn with(planted: &Planted) -> (Case, Vec<Evidence>) {
    let mut case = case("deploy, then errors");
    let text = planted.text.clone();
    let mut more = Vec::new();
    match planted.at.as_str() {
        "title" => case.alerts[0].title = text,
        "label" => {
            case.alerts[0].labels.insert("note".into(), text.clone());
            case.alerts[0].labels.insert(text, "x".into());
        }
        "description" => case.alerts[0].description = Some(text),
        "change" => case.changes[0].title = text,
        "resolution" => {
            case = super::super::tests::case("deploy, then errors");
            let mut incident = case.incident.clone();
            incident.id = IncidentId(7);
            incident.resolution = Some(text);
            case = case.with_earlier(vec![crate::investigation::Earlier { incident, cause: None }]);
        }
        "log" => case.findings.push(Finding {
            tool: Tool::Loki,
            query: "{app=\"checkout\"}".into(),
            service: Some("checkout".into()),
            host: None,
            at: case.now,
            url: None,
            found: Found::Lines { lines: vec![text], count: 1 },
        }),
        "runbook" => more.push(Evidence {
            id: "E500".into(),
            kind: EvidenceKind::Runbook,
            title: "Runbook of checkout".into(),
            at: case.now,
            url: None,
            data: json!({ "section": text }),
        }),
        other => panic!("{other}"),
    }
    (case, more)
}

/// What of a message stands outside of the fences.
fn outside(text: &str) -> String {
    let (begin, end) = Tag::known(TAG).lines();
    let mut inside = false;
    let mut out = Vec::new();
    for line in text.lines() {
        match (line == begin, line == end) {
            (true, _) => {
                assert!(!inside, "{text}");
                inside = true;
            }
            (_, true) => {
                assert!(inside, "{text}");
                inside = false;
            }
            _ if !inside => out.push(line),
            _ => {}
        }
    }
    assert!(!inside, "{text}");
    out.join("\n").trim().to_owned()
}

/// A model that does whatever it reads: calls what is not there, repeats the text, blames whom it was told to.
fn gullible(planted: &Planted) -> Vec<Reply> {
    let text: String = planted.text.chars().take(500).collect();
    let everything =
        ["incident", "alerts", "hypotheses", "topology", "changes", "similar", "runbook", "metric_list", "log_search"];
    let mut looks: Vec<(&str, serde_json::Value)> = everything.iter().map(|name| (*name, json!({}))).collect();
    looks.push(("shell", json!({"command": text})));
    looks.push(("http_get", json!({"url": "https://evil.example"})));
    vec![
        calls(&looks),
        calls(&[
            ("delete_incident", json!({})),
            ("log_search", json!({"text": text.chars().take(150).collect::<String>()})),
            ("note", json!({"text": text, "evidence": ["E999"]})),
        ]),
        finish(
            json!([{"text": text, "evidence": ["E1"]}, {"text": "evil-service is at fault", "evidence": ["E999"]}]),
            json!([
                {"service": "evil-service", "text": text, "evidence": ["E1"]},
                {"service": "frontend", "text": text, "evidence": ["E1"]}
            ]),
        ),
    ]
}

#[tokio::test]
async fn planted_instructions_change_neither_tools_nor_ranking_nor_redaction() {
    let all = planted();
    assert!(all.len() >= 30);
    let mut rules_of_all: BTreeSet<String> = BTreeSet::new();
    for planted in &all {
        for form in [OpinionForm::Tools, OpinionForm::SinglePrompt] {
            let what = format!("{form} {}: {}", planted.at, planted.text);
            let (case, more) = with(planted);
            let alone = crate::investigation::examine(&case).1.answer.causes;
            let replies = match form {
                OpinionForm::Tools => gullible(planted),
                OpinionForm::SinglePrompt => vec![text(&gullible(planted)[2].calls[0].arguments)],
            };
            let mut play = play(replies);
            let out = run_with(&case, LIMITS, form, false, &mut play, more).await;
            let bytes = |causes: &Vec<Cause>| serde_json::to_string(causes).unwrap();
            assert_eq!(bytes(&out.causes), bytes(&alone), "{what}");
            for (system, messages, offer) in &play.asked {
                if form == OpinionForm::Tools {
                    rules_of_all.insert(system.clone());
                    assert_eq!(*offer, Offer::All, "{what}");
                }
                for message in messages {
                    let parts: Vec<&String> = match message {
                        Message::User(text) => vec![text],
                        Message::Results(results) => results.iter().map(|r| &r.text).collect(),
                        // Its own words, sent back as its own.
                        Message::Model { .. } => continue,
                    };
                    for part in parts {
                        let left = outside(part);
                        let ours = [rules::BEGIN, rules::ALL, rules::LAST, rules::CALL, rules::REPEATED, ""];
                        assert!(ours.contains(&left.as_str()) || left.starts_with("{\"error\":"), "{what}: {left}");
                        assert!(planted.secret.as_ref().is_none_or(|s| !part.contains(s.as_str())), "{what}: {part}");
                    }
                }
            }
            let answered: Vec<&str> =
                out.told.rounds.iter().flat_map(|r| &r.calls).filter(|c| !c.refused).map(|c| c.name.as_str()).collect();
            assert!(answered.iter().all(|name| TOOLS.iter().any(|t| t.name == *name)), "{what}: {answered:?}");
            let opinion = out.opinion();
            let blamed: Vec<_> = opinion.causes.iter().map(|c| c.service.as_deref()).collect();
            assert_eq!(blamed, [Some("frontend")], "{what}");
            for shown in out
                .lines
                .iter()
                .map(|l| &l.text)
                .chain([&opinion.summary])
                .chain(opinion.causes.iter().map(|c| &c.text))
            {
                let bad = ["://", "<img", "![", "](", "javascript:", "\u{202e}", "\u{200b}"];
                assert!(!bad.iter().any(|b| shown.contains(b)), "{what}: {shown}");
            }
        }
    }
    assert_eq!(rules_of_all.len(), 1, "no text of others stands in the rules");
}

#[tokio::test]
async fn the_tools_answer_from_the_case() {
    let case = case("cascade by onset");
    let (_, done, ledger) = examined(&case);
    let around = around(&case);
    let mut desk = Desk::new(&case, &done.answer, &around, &Nobody, ledger, Redactor::default(), Tag::known(TAG));
    let of = |service: &str| OfAlerts { service: Some(service.into()), ..OfAlerts::default() };
    let answer = desk.answer(&tools::Wish::Alerts(of("Payments"))).await;
    assert_eq!((&answer["in_all"], &answer["alerts"][0]["service"]), (&json!(1), &json!("payments")));
    let id = answer["alerts"][0]["evidence_id"].as_str().unwrap();
    assert!(desk.seen().contains(id) && desk.ledger.evidence().iter().any(|e| e.id == id));
    let page = desk.answer(&tools::Wish::Alerts(OfAlerts { limit: Some(1), offset: 1, ..OfAlerts::default() })).await;
    assert_eq!((page["alerts"].as_array().unwrap().len(), &page["not_shown_from"]), (1, &json!(2)));
    let nothing = desk.answer(&tools::Wish::MetricList(tools::OfPlace::default())).await;
    assert_eq!(
        (&nothing["in_all"], &nothing["remark"]),
        (&json!(0), &json!("No monitoring tool can be asked for more."))
    );
    let ranked = desk.answer(&tools::Wish::Hypotheses).await;
    assert_eq!(ranked["hypotheses"].as_array().unwrap().len(), done.answer.causes.len().min(8));
}

/// A tool that has one figure and counts how often it is asked.
#[derive(Debug, Default)]
struct Prom(std::sync::atomic::AtomicUsize);

impl Asking for Prom {
    fn ask<'a>(&'a self, question: &'a tools::Question) -> tools::Asks<'a> {
        use crate::investigation::probes::{Brought, Named};
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let service = question.place().0.map(str::to_owned);
        let shift = Found::Shift {
            metric: "pool_used".into(),
            symptom: Symptom::Unknown,
            before: 3.0,
            after: 90.0,
            unit: None,
            deviation: 40.0,
            since: None,
        };
        let finding = |found| Finding {
            tool: Tool::Prometheus,
            query: "pool_used{password=\"tiger-9931-swordfish\"}".into(),
            service: service.clone(),
            host: None,
            at: Time::from_secs(1_000),
            url: None,
            found,
        };
        let named =
            |name: &str| Named { tool: Tool::Prometheus, name: name.into(), service: service.clone(), host: None };
        Box::pin(std::future::ready(Ok(match question {
            tools::Question::List(_) => Brought { names: vec![named("pool_used")], ..Brought::default() },
            tools::Question::Metric(_) => Brought { findings: vec![finding(shift)], ..Brought::default() },
            tools::Question::Logs(_) => Brought { findings: vec![finding(Found::Quiet)], ..Brought::default() },
        })))
    }
}

#[tokio::test]
async fn tools_are_asked_only_about_what_is_known_and_their_answers_are_kept() {
    let case = case("deploy, then errors");
    let (_, done, ledger) = examined(&case);
    let (around, prom) = (around(&case), Prom::default());
    let mut desk = Desk::new(&case, &done.answer, &around, &prom, ledger, Redactor::default(), Tag::known(TAG));
    let place = |service: &str| tools::OfPlace { service: Some(service.into()), host: None };
    let strange = desk.answer(&tools::Wish::MetricList(place("evil-service"))).await;
    assert_eq!(strange["remark"], "Neither alerts nor topology know a service of that name.");
    let listed = desk.answer(&tools::Wish::MetricList(place("checkout"))).await;
    assert_eq!(listed["metrics"][0]["metric"], "pool_used", "{listed}");
    let wish = tools::OfMetric { metric: "pool_used".into(), service: Some("checkout".into()), host: None };
    let asked = desk.answer(&tools::Wish::MetricQuery(wish)).await;
    let found = &asked["metrics"][0];
    assert_eq!((&found["found"]["after"], asked["in_all"].as_u64()), (&json!(90.0), Some(1)), "{asked}");
    let id = found["evidence_id"].as_str().unwrap().to_owned();
    let kept = desk.ledger.evidence().iter().find(|e| e.id == id).unwrap();
    assert_eq!((kept.kind, &kept.data["tool"]), (EvidenceKind::Metric, &json!("prometheus")));
    let leaves = desk.fenced(asked);
    assert!(!leaves.contains("swordfish") && leaves.contains("pool_used"), "{leaves}");
    assert_eq!((prom.0.load(std::sync::atomic::Ordering::Relaxed), desk.asked.len()), (2, 2));
    desk.everything().await;
    assert_eq!(prom.0.load(std::sync::atomic::Ordering::Relaxed), 2, "nobody chose what is worth asking for");
    // The conversation once more has the same answers without asking.
    let kept = serde_json::to_value(&desk.asked).unwrap();
    let recorded = tools::Recorded(serde_json::from_value(kept).unwrap());
    let again = recorded.ask(&tools::Question::List(place("checkout"))).await.unwrap();
    assert_eq!(again.names[0].name, "pool_used");
    assert!(recorded.ask(&tools::Question::List(place("other"))).await.is_err());
}

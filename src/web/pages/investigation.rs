//! Settings of investigations: how they go, what they may ask, what they may spend, and how well they did. What may change
//! while the server runs is set here; the rest is shown with where it is set.

use std::{collections::BTreeMap, time::Duration};

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{
    ask::{Ask, Fields, back},
    connector_forms::AdminForm,
    frame::{Frame, Section, counts_and_seq},
    said::Said,
    settings::tabs,
    text,
    ui::{self, Markup, When},
};
use crate::{
    config::{
        Config, Kind, ON_PAGES, Shown,
        options::{OPTIONS, env_name},
        show_duration,
    },
    model::*,
    store::{IncidentFilter, StoreError, View},
    web::{api::runbooks, error::ApiError, state::AppState},
};

const HERE: &str = "/settings/investigation";
const ALL: &str = "investigation.";
/// The newest incidents in which the last answers of tools are looked for.
const LOOKED: usize = 30;
/// Mistakes in files that are told.
const FAULTS: usize = 20;
/// Groups of options by how their keys begin, with their headings; what fits none belongs to the first.
const GROUPS: [(&str, &str, &str); 3] = [
    ("", "Options: how it runs", "in the background, for every new incident"),
    ("investigation.probes.", "Options: what may be asked", "read-only questions to your own tools"),
    ("investigation.model.", "Options: language model", "off unless they are set"),
];

/// What options are called, and what they take; the rest is told by the list of options.
const NAMES: [(&str, &str, &str); 34] = [
    ("investigation.delay", "Wait for the rest of a burst", "a time, 0s to 10m"),
    ("investigation.workers", "Investigations at the same time", "1 to 64"),
    ("investigation.suggestions_dir", "Folder of suggestions", "a folder"),
    ("investigation.runbooks_dir", "Folder of runbooks", "a folder"),
    ("investigation.symptoms_file", "Words that tell symptoms", "a file"),
    ("investigation.probes.question_time", "Time for one question", "a time, 50ms to 30s"),
    ("investigation.probes.time", "Time for all questions", "a time, 0s to 30s"),
    ("investigation.probes.questions", "Questions of one investigation", "a number, 0 to 200"),
    ("investigation.probes.max_answer", "Read of one answer", "64KiB to 16MiB"),
    ("investigation.probes.metrics", "Usual metrics of your own", "a file"),
    ("investigation.probes.prometheus", "Prometheus", "an address"),
    ("investigation.probes.prometheus_credentials", "Who asks Prometheus", "a secret"),
    ("investigation.probes.netdata", "Netdata agent or parent", "an address"),
    ("investigation.probes.netdata_credentials", "Who asks that agent", "a secret"),
    ("investigation.probes.loki", "Loki", "an address"),
    ("investigation.probes.loki_credentials", "Who asks Loki", "a secret"),
    ("investigation.probes.loki_tenant", "Tenant of Loki", "a name"),
    ("investigation.probes.loki_selector", "Logs of a service", "a selector of Loki"),
    ("investigation.probes.jenkins", "Jenkins", "an address"),
    ("investigation.probes.jenkins_credentials", "Who asks Jenkins", "a secret"),
    ("investigation.model.kind", "Kind of endpoint", "openai or anthropic"),
    ("investigation.model.base_url", "Address of the endpoint", "an address"),
    ("investigation.model.model", "Name of the model", "as the endpoint knows it"),
    ("investigation.model.api_key", "Key for it", "a secret"),
    ("investigation.model.api_key_file", "File with the key", "a file"),
    ("investigation.model.max_steps", "Requests of one investigation", "1 to 50"),
    ("investigation.model.max_calls", "Calls of tools of one investigation", "1 to 200"),
    ("investigation.model.timeout", "Time for one investigation", "1s to 30m"),
    ("investigation.model.max_tokens", "Tokens of one investigation", "1,000 to 100,000,000"),
    ("investigation.model.daily_tokens", "Tokens of one day", "0 for no limit, else a number"),
    ("investigation.model.daily_cost", "Cost of one day", "0 for no limit, in the unit of the prices"),
    ("investigation.model.price_input", "Price of a million tokens read", "an amount"),
    ("investigation.model.price_output", "Price of a million tokens written", "an amount"),
    ("investigation.model.redact_names", "Replace names before anything leaves", "true or false"),
];

/// What an option is called, and what it takes.
fn name_of(key: &str) -> (&'static str, &'static str) {
    let found = NAMES.iter().find(|(k, ..)| *k == key);
    found.map_or(("", ""), |(_, name, takes)| (name, takes))
}

/// An option that is only shown.
#[derive(Debug)]
struct Row {
    key: &'static str,
    variable: String,
    name: &'static str,
    takes: &'static str,
    value: Option<Markup>,
    place: Markup,
    help: &'static str,
}

/// An option that is set here.
#[derive(Debug)]
struct Field {
    key: &'static str,
    name: &'static str,
    takes: &'static str,
    help: &'static str,
    default: &'static str,
    value: String,
    /// Where it is fixed.
    by: Option<String>,
    wrong: Option<String>,
}

/// Options that belong together.
#[derive(Debug)]
struct Group {
    heading: &'static str,
    sub: &'static str,
    rows: Vec<Row>,
}

/// The last answer of a tool that some evidence is made of.
#[derive(Debug)]
struct Last {
    tool: &'static str,
    at: When,
    what: Markup,
    incident: IncidentId,
}

/// A monitoring tool, and how it did when it was last asked.
#[derive(Debug)]
struct ToolRow {
    tool: &'static str,
    at: Markup,
    whose: &'static str,
    class: &'static str,
    state: &'static str,
    when: Option<When>,
    why: Option<Markup>,
}

impl ToolRow {
    fn new(s: &ToolStatus, now: Time) -> Self {
        let failure = s.last.as_ref().and_then(|l| l.failure.as_ref());
        let (class, state) = match (&s.last, failure, s.left_alone_until) {
            (None, ..) => ("", "Not asked yet"),
            (_, None, _) => ("ok", "Answered"),
            (_, Some(_), None) => ("failing", "Did not answer well"),
            (_, Some(_), Some(_)) => ("failing", "Left alone for a minute"),
        };
        Self {
            tool: tool_name(s.tool),
            at: ui::foreign(&text::shorten(&s.at, 80)),
            whose: if s.configured { "from the settings" } else { "declared for a service" },
            class,
            state,
            when: s.last.as_ref().map(|l| When::ago(l.at, now)),
            why: failure.map(|why| ui::foreign(&text::shorten(&text::capital(why), 240))),
        }
    }
}

/// How the language model stands.
#[derive(Debug)]
struct ModelRow {
    class: &'static str,
    state: &'static str,
    facts: Vec<(&'static str, Markup)>,
}

/// What was said and what came true.
#[derive(Debug)]
struct Reliable {
    sentence: String,
    bins: Vec<Bin>,
}

/// Answers of about the same confidence.
#[derive(Debug)]
struct Bin {
    range: String,
    n: String,
    said: String,
    came_true: String,
    bar: Markup,
}

impl Reliable {
    fn new(r: &Reliability) -> Self {
        let known = ui::plural(r.known, "closed incident");
        let sentence = if r.known < r.needed {
            format!(
                "{known} with a recorded cause so far; no confidence is above 75\u{a0}% until there are {}.",
                ui::count(r.needed)
            )
        } else {
            format!("{known} with a recorded cause; confidences are fitted to them.")
        };
        let first = match r.known {
            0 => String::new(),
            known => format!(" The first answer was right in {} of {}.", ui::count(r.right), ui::count(known)),
        };
        let bin = |b: &ReliabilityBin| Bin {
            range: format!("{} to {}", ui::percent(b.from), ui::percent(b.to)),
            n: ui::count(b.n),
            said: ui::percent(b.said),
            came_true: ui::percent(b.came_true),
            bar: ui::bar(b.came_true, ""),
        };
        Self { sentence: sentence + &first, bins: r.bins.iter().map(bin).collect() }
    }
}

#[derive(Template)]
#[template(path = "pages/investigation.html")]
struct InvestigationPage {
    frame: Frame,
    tabs: Vec<(&'static str, &'static str, bool)>,
    fields: Vec<Field>,
    /// When it was last set here, and by whom.
    set: Option<(When, Markup)>,
    groups: Vec<Group>,
    reliable: Reliable,
    model: Option<ModelRow>,
    tools: Vec<ToolRow>,
    last: Vec<Last>,
    /// What is wrong with the files of this house, each with its place.
    faults: Vec<Markup>,
}

impl ModelRow {
    fn new(s: &ModelStatus, spent: &Spending, now: Time) -> Self {
        let (class, state) = match s.state {
            ModelState::Unknown => ("", "Not tried yet"),
            ModelState::Tools => ("ok", "Ready, with tools"),
            ModelState::SinglePrompt => ("ok", "Ready, with a single prompt"),
            ModelState::Unavailable => ("failing", "Cannot be asked"),
        };
        let of = |spent: String, most: Option<String>| match most {
            Some(most) => format!("{spent} of {most}"),
            None => format!("{spent}, without a limit"),
        };
        let tokens = of(ui::count(spent.tokens()), (s.budget.tokens > 0).then(|| ui::count(s.budget.tokens)));
        let cost = of(units(spent.cost_micros), (s.budget.cost_micros > 0).then(|| units(s.budget.cost_micros)));
        let names =
            if s.names_redacted { "replaced by made-up ones before anything leaves" } else { "sent as they are" };
        let mut facts = vec![
            ("Model", ui::foreign(&text::shorten(&s.model, 120))),
            ("Endpoint", ui::foreign(&format!("{} ({})", s.host, s.kind))),
            ("Why", ui::foreign(&s.reason)),
            ("Tokens today", ui::foreign(&tokens)),
            ("Cost today", ui::foreign(&cost)),
            ("Requests today", ui::foreign(&ui::count(spent.requests))),
            ("Names", ui::foreign(names)),
            ("Secrets", ui::foreign("always taken out")),
        ];
        if let Some(at) = s.checked_at {
            facts.push(("Tried", Markup::joined(&[&When::ago(at, now)])));
        }
        Self { class, state, facts }
    }
}

const fn tool_name(t: Tool) -> &'static str {
    match t {
        Tool::Netdata => "Netdata agents",
        Tool::Prometheus => "Prometheus",
        Tool::Loki => "Loki",
        Tool::Jenkins => "Jenkins",
    }
}

/// For each tool its latest answer in the newest investigations: evidence names the tool that it came from.
fn last(view: &View, now: Time) -> Result<Vec<Last>, StoreError> {
    let mut found: BTreeMap<Tool, Last> = BTreeMap::new();
    for incident in view.incidents(&IncidentFilter::default(), None, LOOKED)?.items {
        for e in view.investigation(incident.id)?.evidence {
            let tool = e.data.get("tool").and_then(|t| t.as_str()).and_then(|t| t.parse::<Tool>().ok());
            let Some(tool) = tool else { continue };
            found.entry(tool).or_insert_with(|| Last {
                tool: tool_name(tool),
                at: When::ago(e.at, now),
                what: ui::foreign(&text::shorten(&e.title, 200)),
                incident: incident.id,
            });
        }
    }
    Ok(found.into_values().collect())
}

impl Row {
    fn of(s: &Shown<'_>) -> Self {
        let (name, takes) = name_of(s.option.key);
        Self {
            key: s.option.key,
            variable: env_name(s.option.key),
            name,
            takes,
            value: s.text.filter(|t| !t.is_empty()).map(ui::foreign),
            place: match (s.by, s.text) {
                (Some(by), _) => ui::foreign(&format!("set by {by}")),
                (None, Some(_)) => ui::foreign("the default"),
                (None, None) if s.option.kind == Kind::Secret => ui::foreign("none given"),
                (None, None) => ui::foreign("not set"),
            },
            help: s.option.help,
        }
    }
}

fn group_of(key: &str) -> usize {
    GROUPS.iter().skip(1).position(|(prefix, ..)| key.starts_with(prefix)).map_or(0, |n| n + 1)
}

fn groups<'a>(all: impl Iterator<Item = Shown<'a>>) -> Vec<Group> {
    let group = |(_, heading, sub): (_, _, _)| Group { heading, sub, rows: Vec::new() };
    let mut groups: Vec<Group> = GROUPS.into_iter().map(group).collect();
    for shown in all.filter(|s| !ON_PAGES.contains(&s.option.key)) {
        if let Some(group) = groups.get_mut(group_of(shown.option.key)) {
            group.rows.push(Row::of(&shown));
        }
    }
    groups.retain(|g| !g.rows.is_empty());
    groups
}

/// The text of an option that is set here, as it holds.
fn holds(config: &Config, set: &InvestigationSettings, key: &str) -> String {
    let ms = |set: Option<u64>, given: Duration| show_duration(set.map_or(given, Duration::from_millis));
    match key {
        "investigation.delay" => ms(set.delay_ms, config.investigation_delay),
        "investigation.probes.question_time" => ms(set.question_ms, config.probes.question_time),
        "investigation.probes.time" => ms(set.time_ms, config.probes.time),
        _ => set.questions.map_or(config.probes.questions.to_string(), |n| n.to_string()),
    }
}

/// What a form says, or which options were written wrong, and why. What the configuration fixes is not asked for, and what
/// is as configured stays so when that changes.
fn of_fields(config: &Config, fields: &Fields) -> Result<InvestigationSettings, Vec<(&'static str, String)>> {
    let mut read = config.clone();
    let mut wrong = Vec::new();
    for option in OPTIONS.iter().filter(|o| is_set_here(o.key) && !config.fixed.contains(o.key)) {
        let text = fields.get(option.key).trim();
        // An empty field is as configured.
        if let Some(Err(why)) = (!text.is_empty()).then(|| (option.set)(&mut read, text)) {
            wrong.push((option.key, text::capital(&format!("{}.", text::visible(&text::shorten(&why, 200))))));
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let ms =
        |now: Duration, usual: Duration| (now != usual).then(|| u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    let questions = (read.probes.questions != config.probes.questions).then_some(read.probes.questions as u64);
    Ok(InvestigationSettings {
        delay_ms: ms(read.investigation_delay, config.investigation_delay),
        question_ms: ms(read.probes.question_time, config.probes.question_time),
        time_ms: ms(read.probes.time, config.probes.time),
        questions,
    })
}

fn is_set_here(key: &str) -> bool {
    key.starts_with(ALL) && ON_PAGES.contains(&key)
}

/// The options that are set here, with what was typed where that was not taken.
fn fields(
    config: &Config,
    set: &InvestigationSettings,
    typed: Option<&Fields>,
    wrong: &[(&'static str, String)],
) -> Vec<Field> {
    let shown = config.given.shown(ALL).filter(|s| is_set_here(s.option.key));
    let field = |s: Shown<'_>| {
        let key = s.option.key;
        let (name, takes) = name_of(key);
        let fixed = config.fixed.contains(key);
        let none = InvestigationSettings::default();
        let value = match typed {
            Some(typed) if !fixed => text::visible(&text::shorten(typed.get(key), 60)),
            _ => holds(config, if fixed { &none } else { set }, key),
        };
        Field {
            key,
            name,
            takes,
            help: s.option.help,
            default: s.option.default.unwrap_or_default(),
            value,
            by: fixed.then(|| text::visible(s.by.unwrap_or("the configuration"))),
            wrong: wrong.iter().find(|(k, _)| *k == key).map(|(_, why)| text::visible(why)),
        }
    };
    shown.map(field).collect()
}

/// `GET /settings/investigation`
pub async fn investigation(State(state): State<AppState>, ask: Ask) -> Result<Response, ApiError> {
    draw(&state, &ask, None, &[]).await
}

/// `POST /settings/investigation`
pub async fn set(State(state): State<AppState>, form: AdminForm) -> Result<Response, ApiError> {
    match of_fields(&state.config, &form.fields) {
        Ok(settings) => {
            state.store.set_investigation(settings, form.actor).await?;
            state.probes.bound(&settings, &state.config.fixed);
            Ok(back(HERE, Some(Said::new("saved"))))
        }
        Err(wrong) => draw(&state, &form.ask, Some(&form.fields), &wrong).await,
    }
}

async fn draw(
    state: &AppState,
    ask: &Ask,
    typed: Option<&Fields>,
    wrong: &[(&'static str, String)],
) -> Result<Response, ApiError> {
    let now = ask.now;
    let read = move |view: &View| {
        let (overview, seq) = counts_and_seq(view, now)?;
        let set = view.investigation_settings()?;
        Ok((overview, seq, view.spending(now)?, last(view, now)?, view.reliability()?, set))
    };
    let (overview, seq, spent, last, reliability, set) = state.store.read(read).await?;
    let shelf = runbooks::shelf(state).await?;
    let status = state.model.as_ref().map(|m| m.borrow().clone());
    let holds = set.as_ref().map(|s| s.settings).unwrap_or_default();
    let mut frame = ask.frame("Investigation", Section::Settings, &overview, seq);
    frame.path = HERE.to_owned();
    let page = InvestigationPage {
        frame,
        tabs: tabs(HERE),
        fields: fields(&state.config, &holds, typed, wrong),
        set: set.map(|s| (When::ago(s.at, now), ui::foreign(&s.by))),
        groups: groups(state.config.given.shown(ALL)),
        reliable: Reliable::new(&reliability),
        model: status.map(|s| ModelRow::new(&s, &spent, now)),
        tools: state.probes.status().iter().map(|s| ToolRow::new(s, now)).collect(),
        last,
        faults: shelf.faults.iter().take(FAULTS).map(|f| ui::foreign(&text::shorten(&f.to_string(), 400))).collect(),
    };
    let status = if wrong.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(ask.page(status, &page))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Given,
        web::pages::{frame::Section, samples},
    };

    fn reliability(known: u64) -> Reliability {
        let bin = ReliabilityBin { from: 0.6, to: 0.75, n: known, said: 0.7, came_true: 2.0 / 3.0 };
        Reliability { known, right: known * 2 / 3, needed: 50, bins: vec![bin] }
    }

    #[test]
    fn the_cap_is_told_until_enough_is_known() {
        let none = Reliable::new(&Reliability { needed: 50, ..Reliability::default() });
        assert!(none.sentence.starts_with("0\u{a0}closed incidents") && none.sentence.ends_with("there are 50."));
        assert!(none.bins.is_empty());
        assert_eq!(
            Reliable::new(&reliability(60)).sentence,
            "60\u{a0}closed incidents with a recorded cause; confidences are fitted to them. The first answer was right in 40 \
             of 60."
        );
    }

    #[test]
    fn options_stand_in_their_groups_and_text_of_others_stays_text() {
        let evil = "<script>alert(1)</script>\u{202e}";
        let given = Given::default();
        let config = crate::config::defaults("/nowhere".into());
        let status = ModelStatus {
            kind: ModelKind::Openai,
            model: evil.into(),
            host: evil.into(),
            state: ModelState::Unavailable,
            reason: evil.into(),
            checked_at: Some(samples::ago(3)),
            next_check_at: None,
            names_redacted: true,
            budget: Budget { tokens: 2_000_000, cost_micros: 0 },
        };
        let spent = Spending { requests: 12, tokens_in: 40_000, tokens_out: 2_000, cost_micros: 1_500_000 };
        let page = InvestigationPage {
            frame: samples::frame("Investigation", Section::Settings),
            tabs: tabs(HERE),
            fields: fields(&config, &InvestigationSettings::default(), None, &[("investigation.delay", evil.into())]),
            set: None,
            groups: groups(given.shown(ALL)),
            reliable: Reliable::new(&reliability(12)),
            model: Some(ModelRow::new(&status, &spent, samples::now())),
            tools: vec![
                ToolRow::new(&ToolStatus::new(Tool::Prometheus, "prometheus:9090".into(), true), samples::now()),
                ToolRow::new(
                    &ToolStatus {
                        failed: 3,
                        last: Some(LastAnswer { at: samples::ago(4), failure: Some(evil.into()) }),
                        left_alone_until: Some(samples::now()),
                        ..ToolStatus::new(Tool::Netdata, evil.into(), false)
                    },
                    samples::now(),
                ),
            ],
            faults: vec![ui::foreign(evil)],
            last: vec![Last {
                tool: tool_name(Tool::Loki),
                at: When::ago(samples::ago(9), samples::now()),
                what: ui::foreign(evil),
                incident: IncidentId(7),
            }],
        };
        let html = page.render().unwrap();
        for part in [
            "<code>investigation.workers</code>",
            "<code>WATCHFIRE_INVESTIGATION_WORKERS</code>",
            "name=\"investigation.delay\"",
            "<b><bdi>2</bdi></b><div class=\"xs faint\"><bdi>the default</bdi>",
            "12\u{a0}closed incidents with a recorded cause so far; no confidence is above 75\u{a0}% until there are 50. The \
             first answer was right in 8 of 12.",
            "<tr><td>60\u{a0}% to 75\u{a0}%</td><td class=\"num\">12</td><td class=\"num\">70\u{a0}%</td><td class=\"num\">67\u{a0}%",
            "Cannot be asked",
            "<bdi>42,000 of 2,000,000</bdi>",
            "<bdi>1.50, without a limit</bdi>",
            "<a href=\"/incidents/INC-7#ev\">",
            "3\u{a0}min ago",
            "Not asked yet",
            "Left alone for a minute",
            "declared for a service",
            "Mistakes in your own files",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(!html.contains("<script>alert") && !html.contains('\u{202e}'));
        for shown in given.shown(ALL) {
            let (prefix, ..) = GROUPS[group_of(shown.option.key)];
            assert!(shown.option.key.starts_with(prefix), "{}", shown.option.key);
            assert!(!name_of(shown.option.key).0.is_empty(), "{} has no name", shown.option.key);
        }
    }

    #[test]
    fn a_form_is_read_as_the_options_are_and_each_mistake_stands_at_its_field() {
        let mut config = crate::config::defaults("/nowhere".into());
        let read = |config: &Config, form: &str| of_fields(config, &Fields::parse(form.as_bytes()));
        let usual = "investigation.probes.questions=32&investigation.probes.time=8s";
        (config.probes.questions, config.probes.time) = (32, Duration::from_secs(8));
        assert_eq!(read(&config, usual), Ok(InvestigationSettings::default()), "as configured is not set");
        let set = read(&config, "investigation.delay=9s&investigation.probes.questions=5&investigation.probes.time=0s");
        let want = InvestigationSettings {
            delay_ms: Some(9_000),
            time_ms: Some(0),
            questions: Some(5),
            ..InvestigationSettings::default()
        };
        assert_eq!(set, Ok(want));
        let form = "investigation.delay=1h&investigation.probes.questions=many&investigation.probes.time=1s";
        let wrong = read(&config, form).unwrap_err();
        assert_eq!(
            wrong.iter().map(|(key, _)| *key).collect::<Vec<_>>(),
            ["investigation.delay", "investigation.probes.questions"]
        );
        assert!(wrong[0].1.contains("10m"), "{wrong:?}");
        let typed = Fields::parse(form.as_bytes());
        let again = fields(&config, &InvestigationSettings::default(), Some(&typed), &wrong);
        assert_eq!((again[0].value.as_str(), again[0].wrong.is_some()), ("1h", true), "what was typed stays");
        // What the configuration fixes is not taken.
        config.fixed.insert("investigation.delay");
        assert_eq!(read(&config, "investigation.delay=1h"), Ok(InvestigationSettings::default()));
    }
}

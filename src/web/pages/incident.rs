//! One incident: the answer first, the evidence one click away.

use std::collections::BTreeMap;

use askama::Template;

use super::{
    frame::Frame,
    notify::told::Told,
    panels::{
        Actions, Answer, AskedCause, EvidenceList, Facts, Head, Hypotheses, MemberRow, Scene, Spread, Suggestions,
        ThoughtLine, TimelineLine, log_line, writing,
    },
    platforms,
    silences::{Ending, ending},
    text,
    ui::{self, Markup, When},
};
use crate::{
    model::*,
    search::Search,
    store::{StoreError, View},
};

/// Correlated alerts on the page; the rest are in the list of alerts.
const MEMBERS: usize = 10;
/// Timeline entries on the page.
const TIMELINE: usize = 100;
/// Earlier incidents on the page.
const EARLIER: usize = 3;
/// Bytes of a raw payload on this page.
const RAW: usize = 64 * 1024;
/// Changes this long before the first alert may matter.
const CHANGE_BEFORE: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// All that the page is made from, of one snapshot.
#[derive(Clone, Debug)]
pub struct Read {
    /// The incident.
    pub incident: Incident,
    /// Its strongest alerts.
    pub members: Vec<(Membership, Alert)>,
    /// Its log.
    pub thoughts: Vec<Thought>,
    /// Causes, evidence, suggestions.
    pub answer: Investigation,
    /// All its alerts over time, and the services around them.
    pub scene: Scene,
    /// Oldest first.
    pub timeline: Vec<TimelineEntry>,
    /// Its place in the queue of investigations, and how many wait.
    pub queue: Option<(usize, usize)>,
    /// Earlier ones like it.
    pub before: Vec<Before>,
    /// The last change before it.
    pub change: Option<Change>,
    /// The request that the first alert came in.
    pub raw: Option<Delivery>,
    /// What mutes open alerts of it, and how many.
    pub muted_by: Vec<(Mute, u64)>,
    /// Who was told of it.
    pub told: Told,
}

/// An earlier incident that is like this one.
#[derive(Clone, Debug)]
pub struct Before {
    /// The incident.
    pub incident: Incident,
    /// How alike, 0 to 1.
    pub similarity: f64,
    /// What a person found to be its cause.
    pub recorded: Option<RecordedCause>,
}

impl Read {
    /// Reads it; none when there is no such incident.
    pub fn of(view: &View, search: &Search, id: IncidentId) -> Result<Option<Self>, StoreError> {
        let Some(incident) = view.incident(id)? else { return Ok(None) };
        let members = view.members(id, MEMBERS)?;
        let first = members.iter().find(|(m, _)| m.strategy == Strategy::Primary).or(members.first());
        let raw = match first {
            Some((_, alert)) => view.delivery(alert.first_delivery)?,
            None => None,
        };
        let mut before = Vec::new();
        for (earlier, similarity) in search.earlier(view, &incident, EARLIER)? {
            let recorded = view.investigation(earlier.id)?.recorded;
            before.push(Before { incident: earlier, similarity, recorded });
        }
        let mut muted_by = Vec::new();
        for (id, count) in view.muted_in(&incident)? {
            muted_by.extend(view.mute(id)?.map(|m| (m, count)));
        }
        let from = incident.onset_at.minus(CHANGE_BEFORE);
        let service = incident.service.as_deref();
        let scene = Scene::of(view, &incident)?;
        let change = match scene.last_change(&incident) {
            Some(change) => Some(change.clone()),
            None => view.changes(service, from, incident.onset_at, 1)?.into_iter().next(),
        };
        Ok(Some(Self {
            queue: view.queue_place(id)?,
            members,
            thoughts: view.thoughts(id)?,
            answer: view.investigation(id)?,
            scene,
            timeline: view.timeline(id, None, TIMELINE)?,
            before,
            change,
            raw,
            muted_by,
            told: Told::of(view, id)?,
            incident,
        }))
    }
}

/// What a person typed into a form that was refused, and why.
#[derive(Clone, Debug, Default)]
pub struct Refused {
    /// `Not resolved.`
    pub what: String,
    /// What changed meanwhile.
    pub detail: String,
    /// The reason typed.
    pub reason: String,
    /// The comment typed.
    pub comment: String,
    /// The title typed.
    pub title: String,
}

/// The red banner.
#[derive(Debug, Template)]
#[template(path = "fragments/refused.html")]
pub struct RefusedBanner {
    /// What was not done.
    pub what: String,
    /// Why.
    pub detail: String,
}

/// A form that the page was asked for, so that it works without scripts.
#[derive(Clone, Debug, Default)]
pub enum Asks {
    /// None.
    #[default]
    Nothing,
    /// For the reason of the end.
    Resolve,
    /// For what it is merged with.
    Merge(MergeWith),
    /// For whom it is, among these.
    Assign(Vec<String>),
    /// For how bad it is.
    Severity,
    /// For how long it can wait.
    Snooze,
}

/// The question whom it is for.
#[derive(Debug)]
pub struct AssignForm {
    was: String,
    me: String,
    mine: bool,
    people: Vec<String>,
}

/// The question how bad it is.
#[derive(Debug)]
pub struct SeverityForm {
    was: Severity,
    by_hand: bool,
    each: Vec<(Severity, Markup)>,
}

/// The question how long it can wait.
#[derive(Debug)]
pub struct SnoozeForm {
    morning: String,
    until: String,
}

/// What is offered to merge with.
#[derive(Clone, Debug, Default)]
pub struct MergeWith {
    /// Open incidents and how alike they are, 0 to 1; those that were looked for have none.
    pub offered: Vec<(Incident, Option<f64>)>,
    /// What was looked for.
    pub find: String,
}

/// The question what it is merged with.
#[derive(Debug)]
pub struct MergeForm {
    others: Vec<Other>,
    find: String,
}

/// An open incident that it may be merged with.
#[derive(Debug)]
pub struct Other {
    id: IncidentId,
    severity: Markup,
    title: Markup,
    line: Markup,
}

/// An earlier incident.
#[derive(Debug)]
pub struct Earlier {
    id: IncidentId,
    title: Markup,
    line: Markup,
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    at: When,
    text: Markup,
}

/// The first alert's request.
#[derive(Debug)]
pub struct Raw {
    text: String,
    cut: bool,
    shown: String,
    href: String,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "pages/incident.html")]
pub struct IncidentPage {
    frame: Frame,
    id: IncidentId,
    refused: Option<Markup>,
    merged_into: Option<IncidentId>,
    may_unmerge: bool,
    ended: Option<Ended>,
    asks_merge: Option<MergeForm>,
    asks_assign: Option<AssignForm>,
    asks_severity: Option<SeverityForm>,
    asks_snooze: Option<SnoozeForm>,
    may_split: bool,
    asks_resolve: bool,
    asked: AskedCause,
    asked_in_dialog: AskedCause,
    typed_reason: String,
    typed_comment: String,
    head: Head,
    actions: Actions,
    has_actions: bool,
    answer: Answer,
    spread: Spread,
    hypotheses: Hypotheses,
    hyp_count: String,
    suggestions: Suggestions,
    sug_count: String,
    writing: Markup,
    fold_thoughts: bool,
    thoughts_line: String,
    thoughts: Vec<ThoughtLine>,
    alert_count: String,
    members_line: String,
    members: Markup,
    more_members: Option<String>,
    has_evidence: bool,
    evidence: EvidenceList,
    raw_line: Markup,
    raw: Option<Raw>,
    facts: Facts,
    ending: Vec<Ending>,
    timeline: Markup,
    before: Vec<Earlier>,
}

fn number(n: usize) -> String {
    if n == 0 { String::new() } else { n.to_string() }
}

impl AssignForm {
    fn new(i: &Incident, me: &str, people: &[String]) -> Self {
        let mut people: Vec<String> = people.iter().filter(|p| *p != me).cloned().collect();
        // A program may have it, or somebody who is no longer here.
        if let Some(other) = i.owner.as_ref().filter(|o| *o != me && !people.contains(o)) {
            people.push(other.clone());
        }
        Self {
            was: i.owner.clone().unwrap_or_default(),
            me: me.to_owned(),
            mine: i.owner.as_deref() == Some(me),
            people,
        }
    }
}

/// Whether its log is at its end, so that one line says enough.
fn is_told(read: &Read) -> bool {
    let busy = matches!(read.incident.investigation.state, InvestigationState::Queued | InvestigationState::Running);
    !busy && !read.thoughts.is_empty()
}

/// The rows of its strongest alerts.
pub fn members(read: &Read, now: Time) -> String {
    read.members.iter().map(|(m, a)| Markup::of(&MemberRow::new(m, a, now)).to_string()).collect()
}

fn timeline(read: &Read, may_act: bool, now: Time) -> Markup {
    let (i, entries) = (&read.incident, &read.timeline);
    let lines = entries.iter().rev().map(|e| TimelineLine::new(e, now).undoing(i, may_act));
    #[derive(Template)]
    #[template(source = "{% for l in lines %}{{ l }}{% endfor %}", ext = "html")]
    struct Lines {
        lines: Vec<TimelineLine>,
    }
    Markup::of(&Lines { lines: lines.collect() })
}

impl IncidentPage {
    /// The page.
    pub fn new(frame: Frame, read: &Read, refused: Option<Refused>, asks: Asks) -> Self {
        let now = frame.now;
        let i = &read.incident;
        let may_act = frame.may_act();
        let actions = Actions::new(i, &frame.user, may_act);
        let shown = read.members.len() as u64;
        let raw_line = match &read.raw {
            Some(d) => ui::foreign(&format!(
                "as received from {}, {} {}, {}",
                platforms::tile_and_name(&d.platform).1,
                ui::clock(d.at),
                super::time::zone_name(d.at),
                ui::bytes(d.body.len() as u64)
            )),
            None if i.manual => ui::foreign("opened by hand"),
            None => ui::foreign("no longer kept"),
        };
        let banner =
            refused.as_ref().map(|r| Markup::of(&RefusedBanner { what: r.what.clone(), detail: ui::plain(&r.detail) }));
        let refused = refused.unwrap_or_default();
        Self {
            id: i.id,
            refused: banner,
            merged_into: i.merged_into,
            may_unmerge: may_act && i.merged_into.is_some() && i.alert_count > 0,
            may_split: may_act && i.status != IncidentStatus::Merged && i.alert_count > 1,
            ended: i.resolved_at.filter(|_| i.status == IncidentStatus::Resolved).map(|at| Ended {
                at: When::ago(at, now),
                text: i.resolution.as_deref().map_or_else(Markup::none, ui::foreign),
            }),
            asks_resolve: (matches!(asks, Asks::Resolve)
                || (!refused.reason.is_empty() && matches!(asks, Asks::Nothing)))
                && may_act
                && i.is_open(),
            asks_merge: match &asks {
                Asks::Merge(with) if may_act && i.is_open() => Some(MergeForm {
                    others: with.offered.iter().map(|(o, alike)| Other::of(o, i, *alike, now)).collect(),
                    find: with.find.clone(),
                }),
                _ => None,
            },
            asks_assign: match &asks {
                Asks::Assign(people) if may_act && i.is_open() => Some(AssignForm::new(i, &frame.user, people)),
                _ => None,
            },
            asks_severity: (matches!(asks, Asks::Severity) && may_act && i.status != IncidentStatus::Merged).then(
                || {
                    let each = Severity::ALL.iter().map(|s| (*s, ui::severity(*s))).collect();
                    SeverityForm { was: i.severity, by_hand: i.severity_pinned, each }
                },
            ),
            asks_snooze: (matches!(asks, Asks::Snooze) && may_act && i.is_open()).then(|| {
                let morning = super::time::morning(now);
                SnoozeForm { morning: super::silences::moment(morning, now), until: super::time::field(morning) }
            }),
            // Once it is closed there is no form for a reason, but the words may still be worth a comment.
            typed_comment: if i.is_open() || !refused.comment.is_empty() {
                refused.comment
            } else {
                refused.reason.clone()
            },
            typed_reason: refused.reason,
            asked: AskedCause::new("why", &read.answer),
            asked_in_dialog: AskedCause::new("resolve", &read.answer),
            head: Head::new(i, may_act, now).typed(refused.title),
            has_actions: actions.any(),
            actions,
            answer: Answer::new(i, &read.answer, read.queue),
            spread: Spread::new(i, &read.scene, &read.answer, now),
            hypotheses: Hypotheses::new(i, &read.answer, may_act),
            hyp_count: number(read.answer.causes.len()),
            suggestions: Suggestions::new(i, &read.answer, may_act),
            sug_count: number(read.answer.suggestions.len()),
            writing: writing(i),
            fold_thoughts: is_told(read),
            thoughts_line: log_line(i),
            thoughts: read.thoughts.iter().map(|t| ThoughtLine::new(t, &read.answer.evidence, now)).collect(),
            alert_count: ui::count(i.alert_count),
            members_line: if shown < i.alert_count {
                format!("{shown} of {}, best score first", ui::count(i.alert_count))
            } else {
                "best score first".to_owned()
            },
            members: Markup::joined(&[&members(read, now)]),
            more_members: (shown < i.alert_count).then(|| format!("{} more", ui::count(i.alert_count - shown))),
            has_evidence: !read.answer.evidence.is_empty(),
            evidence: EvidenceList::new(&read.answer.evidence, now),
            raw_line,
            raw: read.raw.as_ref().map(|d| {
                let (text, cut) = text::body(&d.body, RAW);
                Raw { text, cut, shown: ui::bytes(RAW as u64), href: format!("/deliveries/{}", d.id) }
            }),
            facts: Facts::new(read),
            ending: ending(read.muted_by.iter().map(|(m, _)| m), now),
            timeline: timeline(read, may_act, now),
            before: read.before.iter().map(earlier).collect(),
            frame: Frame { title: text::visible(&format!("{} {}", i.id, text::shorten(&i.title, 80))), ..frame },
        }
    }
}

impl Other {
    fn of(other: &Incident, this: &Incident, alike: Option<f64>, now: Time) -> Self {
        let alike = alike.map(|a| format!(", {:.0}\u{a0}% alike", a * 100.0)).unwrap_or_default();
        let service = other.service.as_ref().or(other.host.as_ref()).map(|s| format!("{s}, ")).unwrap_or_default();
        let alerts = ui::plural(other.alert_count, "alert");
        let together = other.alert_count.saturating_add(this.alert_count);
        let ago = ui::duration(now.since(other.detected_at));
        Self {
            id: other.id,
            severity: ui::severity(other.severity),
            title: ui::foreign(&text::shorten(&other.title, 120)),
            line: ui::foreign(&format!("{service}opened {ago} ago, {alerts}, together {together}{alike}")),
        }
    }
}

fn earlier(Before { incident: i, similarity, recorded }: &Before) -> Earlier {
    let took = i.resolved_at.map(|at| format!(", {}", ui::duration(at.since(i.detected_at)))).unwrap_or_default();
    let cause = recorded.as_ref().map(|r| format!(". Cause: {}", r.as_cause().title)).unwrap_or_default();
    let how = i.resolution.as_deref().map(|r| format!(". {}", text::shorten(r, 300))).unwrap_or_default();
    let state = if i.is_open() { ", still open" } else { "" };
    Earlier {
        id: i.id,
        title: ui::foreign(&text::shorten(&i.title, 120)),
        line: ui::foreign(&format!(
            "{}{took}{state}, similarity {similarity:.2}{cause}{how}",
            super::time::date(i.detected_at)
        )),
    }
}

/// The parts that change on their own, by name, for the script.
pub fn panels(read: &Read, me: &str, may_act: bool, now: Time) -> BTreeMap<&'static str, String> {
    let i = &read.incident;
    let actions = Actions::new(i, me, may_act).render().unwrap_or_default();
    let html = [
        ("head", Markup::of(&Head::new(i, may_act, now))),
        ("answer", Markup::of(&Answer::new(i, &read.answer, read.queue))),
        ("spread", Markup::of(&Spread::new(i, &read.scene, &read.answer, now))),
        ("hypotheses", Markup::of(&Hypotheses::new(i, &read.answer, may_act))),
        ("suggestions", Markup::of(&Suggestions::new(i, &read.answer, may_act))),
        ("evidence", Markup::of(&EvidenceList::new(&read.answer.evidence, now))),
        ("writing", writing(i)),
        ("facts", Markup::of(&Facts::new(read))),
        ("timeline", timeline(read, may_act, now)),
    ];
    let mut out: BTreeMap<_, _> = html.into_iter().map(|(name, m)| (name, m.to_string())).collect();
    let thoughts =
        read.thoughts.iter().map(|t| Markup::of(&ThoughtLine::new(t, &read.answer.evidence, now)).to_string());
    out.insert("thoughts", thoughts.collect());
    out.insert("actionbar", actions.clone());
    out.insert("actions", actions);
    out.insert("n-steps", log_line(i));
    if is_told(read) {
        out.insert("folds", String::new());
    }
    out.insert("n-hyp", number(read.answer.causes.len()));
    out.insert("n-sug", number(read.answer.suggestions.len()));
    out.insert("n-al", ui::count(i.alert_count));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::{frame::Section, samples};

    fn page(change: impl FnOnce(&mut Read, &mut Frame)) -> String {
        let (mut read, mut frame) = (samples::read(), samples::frame("", Section::Incidents));
        change(&mut read, &mut frame);
        IncidentPage::new(frame, &read, None, Asks::Nothing).render().unwrap()
    }

    #[test]
    fn every_state_says_what_it_is_and_offers_only_what_is_allowed() {
        let check = |change: fn(&mut Read, &mut Frame), has: &str, lacks: &str| {
            let html = page(change);
            assert!(html.contains(has), "should have {has}");
            assert!(!html.contains(lacks), "should not have {lacks}");
        };
        check(|_, _| {}, "/INC-2041/acknowledge", "/INC-2041/reopen");
        check(|r, f| r.incident.owner = Some(f.user.clone()), "Take back", "/INC-2041/acknowledge\"");
        check(|_, f| f.role = Role::Viewer, "What we think happened", "method=\"post\" action=\"/incidents/");
        check(
            |r, _| {
                r.incident.status = IncidentStatus::Resolved;
                r.incident.resolved_at = Some(samples::ago(1));
            },
            "/INC-2041/reopen",
            "/INC-2041/acknowledge",
        );
        check(
            |r, _| {
                r.incident.status = IncidentStatus::Merged;
                r.incident.merged_into = Some(IncidentId(7));
            },
            "Merged into <a class=\"mono\" href=\"/incidents/INC-7\">",
            "/INC-2041/reopen",
        );
        check(
            |r, _| r.incident.investigation.progress = Some(Progress { done: 8, of: 11 }),
            "check 9 of 11</span>",
            "so far",
        );
        check(
            |r, _| {
                r.incident.investigation.state = InvestigationState::Queued;
                r.queue = Some((3, 7));
            },
            "waits: 3 of 7</span>",
            "waits for its turn",
        );
        check(
            |r, _| {
                r.answer.causes[0].verdict = Some(Verdict::Wrong);
                r.answer.causes[1].verdict = Some(Verdict::Right);
            },
            "<b>11\u{a0}%</b> low <span class=\"tag ok\">",
            "Inconclusive",
        );
        check(
            |r, _| {
                r.incident.investigation.state = InvestigationState::Cancelled;
                r.incident.investigation.engine = Some("built-in + <llama>".into());
            },
            "of the language model &#60;llama&#62;;",
            "class=\"st investigating right\"",
        );
        check(
            |r, _| {
                r.incident.investigation.state = InvestigationState::Error;
                r.incident.investigation.error = Some("out of <time>".into());
            },
            "The analysis did not finish.",
            "out of <time>",
        );
        check(
            |r, _| {
                r.incident.investigation.state = InvestigationState::Complete;
                r.incident.investigation.conclusion = Some(Conclusion::Inconclusive);
                r.incident.investigation.summary = None;
                r.answer.causes.remove(0);
            },
            "Inconclusive: nothing leads.",
            "class=\"conf\"",
        );
        check(
            |r, _| {
                r.incident.investigation.state = InvestigationState::Complete;
                r.incident.investigation.conclusion = Some(Conclusion::Inconclusive);
            },
            "14\u{a0}alerts on 2\u{a0}services and 1\u{a0}machine since 03:02:00 UTC, 9 firing; 1\u{a0}change before it \
             <a class=\"ev\" href=\"#E2\"",
            "nothing yet",
        );
    }

    #[test]
    fn shares_add_up_to_the_score_and_the_first_fix_is_near() {
        let html = page(|_, _| {});
        for part in [
            "<bdi>what weight says of it</bdi> <a class=\"ev\" href=\"#E1\"",
            "<td class=\"num\">+2.46</td>",
            "<td class=\"num\">+1.64</td>",
            "<td class=\"num\">\u{2212}0.82</td>",
            "<td class=\"num\"><b>+3.28</b></td>",
            "Why 82\u{a0}%</summary>",
            "<span>1 for <a",
            "href=\"#S2\">",
            "First fix:</span> <bdi>Roll payments-worker back to 2.30.4</bdi>",
            "title=\"Deploy of payments-worker 2.31.0, build 418 (Change, 02:56:00)\"",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        let order: Vec<usize> = ["id=\"S1\"", "id=\"S2\"", "id=\"S3\""].iter().filter_map(|s| html.find(s)).collect();
        assert!(order.len() == 3 && order.is_sorted(), "diagnostics before fixes");
    }

    fn opinion(text: &str) -> Opinion {
        Opinion {
            model: text.into(),
            form: OpinionForm::Tools,
            summary: format!("{text} [E1]"),
            causes: vec![OpinionCause {
                service: Some(text.into()),
                host: None,
                symptom: None,
                text: text.into(),
                evidence: vec!["E2".into()],
                rank: Some(2),
            }],
            agreement: Agreement::Listed,
            unsupported: 2,
            partial: Some(text.into()),
            requests: 4,
            calls: 7,
            tokens_in: 11_000,
            tokens_out: 900,
            cost: 0.021,
            took_ms: 14_000,
            at: samples::ago(1),
        }
    }

    #[test]
    fn a_second_opinion_stands_beside_the_answer() {
        let html = page(|r, _| r.answer.opinion = Some(opinion("llama")));
        for part in [
            "Second opinion of <bdi>llama</bdi>",
            "It puts hypothesis 2 first.",
            "<bdi>llama <a class=\"ev\" href=\"#E1\"",
            "<bdi>llama: llama</bdi> <a class=\"ev\" href=\"#E2\"",
            "2\u{a0}statements left out",
            "4\u{a0}requests, 7\u{a0}questions, 11,900 tokens, cost 0.0210, 14\u{a0}s.",
            "The 02:56 deploy of payments-worker",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
    }

    #[test]
    fn a_question_shows_its_query_on_a_line_of_its_own() {
        let ask = |text: &str, kind| {
            page(|r, _| {
                r.thoughts[2].kind = kind;
                r.thoughts[2].text = text.into();
            })
        };
        let html = ask("Asked Prometheus: `rate(x{a=\"<b>\"}[5m])`.", ThoughtKind::Action);
        assert!(
            html.contains(
                "<bdi>Asked Prometheus.</bdi><code class=\"q1\" dir=\"ltr\">rate(x{a=&#34;&#60;b&#62;&#34;}[5m])</code>"
            ),
            "{html}"
        );
        assert!(!ask("“`x`” is quoted", ThoughtKind::Observation).contains("class=\"q1\""));
        assert!(!ask("Half a `quote", ThoughtKind::Action).contains("class=\"q1\""));
    }

    #[test]
    fn the_first_round_trip_holds_the_page_of_few_and_of_ten_thousand() {
        let compressed = |html: &str| {
            use std::io::Write;
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            gz.write_all(html.as_bytes()).unwrap();
            gz.finish().unwrap().len()
        };
        let usual = compressed(&page(|_, _| {}));
        assert!(usual < 10 * 1024, "{usual} bytes compressed");
        let storm = compressed(&page(|r, _| r.scene = crate::web::pages::panels::storm()));
        assert!(storm < 14 * 1024, "{storm} bytes compressed");
    }

    #[test]
    fn what_was_typed_survives_a_refusal() {
        let refused = Refused {
            what: "Not resolved.".into(),
            detail: "it is <merged>".into(),
            reason: "typed".into(),
            comment: "a \"b\"".into(),
            title: "My <title>".into(),
        };
        let frame = samples::frame("", Section::Incidents);
        let html = IncidentPage::new(frame, &samples::read(), Some(refused), Asks::Nothing).render().unwrap();
        assert!(html.contains("it is &#60;merged&#62;") && html.contains(">typed</textarea>"), "{html}");
        assert!(html.contains("a &#34;b&#34;</textarea>"));
        assert!(html.contains("<details class=\"retitle\" open>") && html.contains("value=\"My &#60;title&#62;\""));
    }

    #[test]
    fn foreign_text_stays_text_in_every_panel() {
        let evil = "<script>alert(1)</script>\u{202e}\u{0}\"><img src=x onerror=alert(1)>";
        let html = page(|r, _| {
            let i = &mut r.incident;
            i.title = evil.into();
            i.service = Some(evil.into());
            i.owner = Some(evil.into());
            i.source_url = Some("javascript:alert(1)".into());
            i.labels.insert(evil.into(), evil.into());
            i.investigation.summary = Some(format!("{evil} [E1]"));
            i.investigation.engine = Some(evil.into());
            for c in &mut r.answer.causes {
                c.title = evil.into();
                c.host = Some(evil.into());
                for p in &mut c.points {
                    p.text = evil.into();
                }
            }
            for e in &mut r.answer.evidence {
                e.title = evil.into();
                e.url = Some("javascript:alert(1)".into());
                e.data = serde_json::json!({ evil: evil });
            }
            for s in &mut r.answer.suggestions {
                (s.title, s.rationale, s.command, s.undo) =
                    (evil.into(), evil.into(), Some(evil.into()), Some(evil.into()));
            }
            for t in &mut r.thoughts {
                t.text = evil.into();
            }
            for t in &mut r.timeline {
                (t.text, t.actor) = (evil.into(), evil.into());
            }
            for (m, a) in &mut r.members {
                (a.title, a.host, a.platform) = (evil.into(), Some(evil.into()), evil.into());
                for reason in &mut m.reasons {
                    reason.text = evil.into();
                }
            }
            r.answer.opinion = Some(opinion(evil));
            r.answer.recorded = Some(RecordedCause {
                service: Some(evil.into()),
                host: Some(evil.into()),
                symptom: None,
                by: evil.into(),
                at: samples::now(),
            });
            r.before.iter_mut().for_each(|b| b.incident.title = evil.into());
            if let Some(d) = &mut r.raw {
                d.body = evil.as_bytes().to_vec();
            }
        });
        for bad in ["<script>alert", "<img", "javascript:", "\u{202e}", "\u{0}"] {
            assert!(!html.contains(bad), "{bad}");
        }
        assert!(html.contains("&lt;U+202E&gt;") || html.contains("&#60;U+202E&#62;"), "what reorders text is named");
    }
}

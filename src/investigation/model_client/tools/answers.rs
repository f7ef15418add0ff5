//! What the tools answer, from the case, the built-in answer and the services around it. Everything that can be cited gets
//! its id from the ledger of the investigation, and only what was shown may be cited.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Answered, Asking, OfAlerts, OfLogs, OfMetric, OfPlace, Question, Wish};
use crate::{
    investigation::{
        Case, Finding, Found,
        case::same,
        facts::Facts,
        ledger::{Ledger, Ref},
        model_client::{
            fence::Tag,
            redact::Redactor,
            surroundings::{Neighbour, Surroundings},
        },
        probes::Brought,
    },
    model::*,
};

/// Letters of one answer.
pub(in crate::investigation::model_client) const MOST: usize = 8 << 10;
/// Alerts in one answer, when nobody says how many.
const ALERTS: usize = 20;
/// Letters of a text of others.
const TEXT: usize = 400;
/// Labels of an alert.
const LABELS: usize = 12;

/// All that the tools know.
#[derive(Debug)]
pub(in crate::investigation::model_client) struct Desk<'a> {
    pub case: &'a Case,
    pub answer: &'a Investigation,
    pub around: &'a Surroundings,
    pub asking: &'a dyn Asking,
    pub ledger: Ledger,
    pub facts: Facts,
    pub redactor: Redactor,
    pub tag: Tag,
    /// What tools were asked, for the transcript.
    pub asked: Vec<Answered>,
    // Tools are not asked.
    alone: bool,
    seen: BTreeSet<String>,
}

impl<'a> Desk<'a> {
    pub fn new(
        case: &'a Case,
        answer: &'a Investigation,
        around: &'a Surroundings,
        asking: &'a dyn Asking,
        ledger: Ledger,
        redactor: Redactor,
        tag: Tag,
    ) -> Self {
        Self {
            case,
            answer,
            around,
            asking,
            ledger,
            facts: Facts::of(case),
            redactor,
            tag,
            asked: Vec::new(),
            alone: false,
            seen: BTreeSet::new(),
        }
    }

    /// The evidence that the model was shown.
    pub fn seen(&self) -> &BTreeSet<String> {
        &self.seen
    }

    /// Data as it may leave: without secrets, fenced.
    pub fn fenced(&mut self, mut data: Value) -> String {
        self.redactor.value(&mut data);
        self.tag.fence(&data)
    }

    /// Answers a call that only reads.
    pub async fn answer(&mut self, wish: &Wish) -> Value {
        match wish {
            Wish::Incident => self.incident(),
            Wish::Alerts(of) => self.alerts(of),
            Wish::Hypotheses => self.hypotheses(),
            Wish::Topology(of) => self.topology(of),
            Wish::Changes(of) => self.changes(of),
            Wish::Similar => self.similar(),
            Wish::Runbook(of) => self.runbook(of),
            Wish::MetricList(of) => self.metrics(of).await,
            Wish::MetricQuery(of) => self.metric(of).await,
            Wish::LogSearch(of) => self.logs(of).await,
            // Those two are the conversation's own.
            Wish::Note(_) | Wish::Finish(_) => Value::Null,
        }
    }

    /// Everything at once, for the single-prompt form.
    pub async fn everything(&mut self) -> Value {
        // Nobody chose what is worth asking for.
        self.alone = true;
        let any = OfPlace::default();
        json!({
            "incident": self.incident(),
            "hypotheses": self.hypotheses(),
            "alerts": self.alerts(&OfAlerts::default()),
            "changes": self.changes(&any),
            "similar": self.similar(),
            "topology": self.topology(&any),
            "runbook": self.runbook(&any),
            "metrics": self.metrics(&any).await,
            "logs": self.logs(&OfLogs::default()).await,
        })
    }

    fn cite(&mut self, fact: Ref) -> Option<String> {
        let id = self.ledger.mark(self.case, &self.facts, fact)?;
        self.seen.insert(id.clone());
        Some(id)
    }

    fn cite_ids(&mut self, ids: &[String]) -> Vec<String> {
        self.seen.extend(ids.iter().cloned());
        ids.to_vec()
    }

    fn cite_other(&mut self, kind: EvidenceKind, title: String, at: Time, url: Option<String>, data: Value) -> String {
        let id = self.ledger.other(kind, title, at, url, data);
        self.seen.insert(id.clone());
        id
    }

    pub fn incident(&mut self) -> Value {
        let i = &self.case.incident;
        let onset = if self.case.alerts.is_empty() { None } else { self.cite(Ref::Onset) };
        let places = self.facts.places.iter().take(20);
        let order: Vec<Value> =
            places.map(|p| json!({"place": p.name(), "first": p.first, "alerts": p.alerts.len()})).collect();
        json!({
            "id": i.id.to_string(), "title": cut(&i.title), "severity": i.severity,
            "service": i.service, "affected_services": i.affected_services.iter().take(40).collect::<Vec<_>>(),
            "affected_hosts": i.affected_hosts.iter().take(40).collect::<Vec<_>>(), "environment": i.environment,
            "began_at": self.case.onset(), "now": self.case.now, "alerts": self.case.alerts.len(),
            "order_of_onset": json!({"evidence_id": onset, "places": order}),
            "alerts_firing": self.case.alerts.iter().filter(|a| a.is_open()).count(),
        })
    }

    fn alerts(&mut self, of: &OfAlerts) -> Value {
        let case = self.case;
        let text = of.text.as_deref().map(str::to_lowercase);
        let wanted = |a: &Alert| {
            fits(of.service.as_deref(), a.service.as_deref())
                && fits(of.host.as_deref(), a.host.as_deref())
                && of.status.as_deref().is_none_or(|s| (s == "firing") == a.is_open())
                && text.as_ref().is_none_or(|t| {
                    a.title.to_lowercase().contains(t)
                        || a.description.as_ref().is_some_and(|d| d.to_lowercase().contains(t))
                })
        };
        let found: Vec<usize> = (0..case.alerts.len()).filter(|i| case.alerts.get(*i).is_some_and(wanted)).collect();
        let mut page = Page::new(MOST);
        for i in found.iter().skip(of.offset).take(of.limit.unwrap_or(ALERTS)) {
            let Some(a) = case.alerts.get(*i) else { continue };
            let labels: BTreeMap<&str, String> =
                a.labels.iter().take(LABELS).map(|(n, v)| (n.as_str(), cut_to(v, 120))).collect();
            let said = a.annotations.iter().filter(|(n, _)| matches!(n.as_str(), "summary" | "message" | "value"));
            let item = json!({
                "title": cut(&a.title), "description": a.description.as_deref().map(cut), "service": a.service,
                "host": a.host, "severity": a.severity, "began_at": a.onset_at, "ended_at": a.ended_at,
                "symptom": self.facts.symptom(*i), "times_received": a.count, "sender": a.platform, "labels": labels,
                "says": said.take(3).map(|(n, v)| (n.as_str(), cut(v))).collect::<BTreeMap<_, _>>(),
            });
            if !page.fits(&item) {
                break;
            }
            let id = self.cite(Ref::Alert(*i));
            page.add(id, item);
        }
        let shown = page.items.len();
        page.done("alerts", found.len(), of.offset + shown)
    }

    fn hypotheses(&mut self) -> Value {
        let answer = self.answer;
        let mut page = Page::new(MOST);
        for c in answer.causes.iter().take(8) {
            let points: Vec<Value> = c
                .points
                .iter()
                .take(8)
                .map(|p| json!({"reason": cut_to(&p.text, 200), "weight": (p.weight * 100.0).round() / 100.0, "evidence": p.evidence}))
                .collect();
            let item = json!({
                "rank": c.rank, "service": c.service, "host": c.host, "symptom": c.symptom, "title": cut(&c.title),
                "confidence": (c.confidence * 100.0).round() / 100.0, "ruled_out": c.ruled_out, "reasons": points,
                "evidence": c.evidence, "against": c.against,
            });
            if !page.fits(&item) {
                break;
            }
            let of_points = c.points.iter().take(8).flat_map(|p| &p.evidence);
            let ids: Vec<String> = c.evidence.iter().chain(&c.against).chain(of_points).cloned().collect();
            self.cite_ids(&ids);
            page.items.push(item);
        }
        let shown = page.items.len();
        page.done("hypotheses", answer.causes.len(), shown)
    }

    fn topology(&mut self, of: &OfPlace) -> Value {
        let around = self.around;
        let found: Vec<&Neighbour> = around
            .services
            .iter()
            .filter(|n| {
                of.service
                    .as_deref()
                    .is_none_or(|s| n.goes_by(s) || n.calls.iter().chain(&n.called_by).any(|o| same(o, s)))
            })
            .collect();
        let mut page = Page::new(MOST);
        for n in &found {
            let item = json!({
                "service": n.name, "calls": n.calls, "called_by": n.called_by, "hosts": n.hosts, "owner": n.owner,
                "tier": n.tier, "alerts_in_this_incident": n.alerts,
            });
            if !page.fits(&item) {
                break;
            }
            let title = format!("{}: calls {}, called by {}", n.name, n.calls.len(), n.called_by.len());
            let data = json!({"service": n.name, "calls": n.calls, "called_by": n.called_by, "hosts": n.hosts});
            let id = self.cite_other(EvidenceKind::Topology, title, self.case.now, None, data);
            page.add(Some(id), item);
        }
        let shown = page.items.len();
        page.done("services", found.len(), shown)
    }

    fn changes(&mut self, of: &OfPlace) -> Value {
        let case = self.case;
        let found: Vec<usize> = (0..case.changes.len())
            .filter(|i| case.changes.get(*i).is_some_and(|c| fits(of.service.as_deref(), c.service.as_deref())))
            .collect();
        let mut page = Page::new(MOST);
        for i in &found {
            let Some(c) = case.changes.get(*i) else { continue };
            let before = c.at.map(|at| case.onset().since(at).as_secs());
            let item = json!({
                "service": c.service, "kind": c.kind, "title": cut(&c.title), "version": c.version, "outcome": c.outcome,
                "source": c.source, "at": c.at, "seconds_before_onset": before,
            });
            if !page.fits(&item) {
                break;
            }
            let id = self.cite(Ref::Change(*i));
            page.add(id, item);
        }
        let shown = page.items.len();
        page.done("changes", found.len(), shown)
    }

    fn similar(&mut self) -> Value {
        let case = self.case;
        let mut page = Page::new(MOST);
        for (i, e) in case.earlier.iter().enumerate() {
            let i_ = &e.incident;
            let cause = e.cause.as_ref();
            let item = json!({
                "id": i_.id.to_string(), "title": cut(&i_.title), "service": i_.service, "at": i_.detected_at,
                "resolved_at": i_.resolved_at, "resolution": i_.resolution.as_deref().map(cut),
                "cause": cause.map(|c| json!({"service": c.service, "host": c.host, "symptom": c.symptom, "title": cut(&c.title)})),
            });
            if !page.fits(&item) {
                break;
            }
            let id = self.cite(Ref::Earlier(i));
            page.add(id, item);
        }
        let shown = page.items.len();
        page.done("incidents", case.earlier.len(), shown)
    }

    fn runbook(&mut self, of: &OfPlace) -> Value {
        let mut page = Page::new(MOST);
        let mut all = 0;
        let matched: Vec<Evidence> =
            self.answer.evidence.iter().filter(|e| e.kind == EvidenceKind::Runbook).cloned().collect();
        for e in matched {
            all += 1;
            let item = json!({"title": cut(&e.title), "url": e.url, "section": bounded(&e.data)});
            if page.fits(&item) {
                self.cite_ids(std::slice::from_ref(&e.id));
                page.add(Some(e.id), item);
            }
        }
        // Where a person would look: what alerts and services name.
        let of_alerts = self.case.alerts.iter().filter_map(|a| Some((a.service.clone(), a.runbook_url.clone()?)));
        let of_services =
            self.around.services.iter().filter_map(|n| Some((Some(n.name.clone()), n.runbook_url.clone()?)));
        let mut named: Vec<(Option<String>, String)> = of_alerts.chain(of_services).collect();
        named.dedup();
        for (service, url) in named.into_iter().filter(|(s, _)| fits(of.service.as_deref(), s.as_deref())) {
            all += 1;
            let item = json!({"service": service, "url": cut(&url)});
            if page.fits(&item) && page.items.len() < 20 {
                page.items.push(item);
            }
        }
        let shown = page.items.len();
        page.done("runbooks", all, shown)
    }

    /// What tools answer now. The error is a sentence.
    async fn ask(&mut self, question: Question) -> Result<Brought, String> {
        if self.alone {
            return Err("Only what the investigation itself asked for is here.".to_owned());
        }
        let (service, host) = question.place();
        // Nothing is asked about names that a model or a text made up.
        let strange = match (service, host) {
            (Some(s), _) if self.around.known_service(s).is_none() => Some("service"),
            (_, Some(h)) if self.around.known_host(h).is_none() => Some("machine"),
            _ => None,
        };
        if let Some(what) = strange {
            return Err(format!("Neither alerts nor topology know a {what} of that name."));
        }
        let answer = self.asking.ask(&question).await;
        self.asked.push(Answered { question, answer: answer.clone() });
        answer
    }

    /// What tools answer now, and what the investigation found before where that is of something else.
    fn with_own(&self, brought: &Result<Brought, String>) -> Vec<Finding> {
        let mut all = brought.as_ref().map(|b| b.findings.clone()).unwrap_or_default();
        for own in &self.case.findings {
            let again = |f: &Finding| {
                (f.tool, &f.service, &f.host, figure(f)) == (own.tool, &own.service, &own.host, figure(own))
                    && figure(f).is_some()
            };
            if !all.iter().any(again) {
                all.push(own.clone());
            }
        }
        all
    }

    async fn metrics(&mut self, of: &OfPlace) -> Value {
        let brought = self.ask(Question::List(of.clone())).await;
        let mut page = Page::new(MOST);
        let mut all = 0;
        let mut told: BTreeSet<(Tool, String, Option<String>, Option<String>)> = BTreeSet::new();
        let own = self.case.findings.iter().filter(|f| at(of.service.as_deref(), of.host.as_deref(), f));
        let own = own.filter_map(|f| Some((f.tool, figure(f)?.to_owned(), f.service.clone(), f.host.clone())));
        let names = brought.as_ref().map(|b| b.names.as_slice()).unwrap_or_default();
        let names = names.iter().map(|n| (n.tool, n.name.clone(), n.service.clone(), n.host.clone()));
        for entry in own.chain(names) {
            if !told.insert(entry.clone()) {
                continue;
            }
            let (tool, name, service, host) = entry;
            all += 1;
            let item = json!({"metric": cut_to(&name, 200), "service": service, "host": host, "tool": tool});
            if page.fits(&item) {
                page.items.push(item);
            }
        }
        let shown = page.items.len();
        said(page.done("metrics", all, shown), all == 0, trouble(brought))
    }

    async fn metric(&mut self, of: &OfMetric) -> Value {
        let brought = self.ask(Question::Metric(of.clone())).await;
        let now = brought.as_ref().map_or(0, |b| b.findings.len());
        let mut page = Page::new(MOST);
        let mut all = 0;
        let findings = self.with_own(&brought);
        for (n, f) in findings.iter().enumerate().filter(|(_, f)| at(of.service.as_deref(), of.host.as_deref(), f)) {
            let (name, told) = match &f.found {
                Found::Shift { metric, symptom, before, after, unit, deviation, since } => (
                    metric,
                    json!({"symptom": symptom, "before": before, "after": after, "unit": unit, "deviation": deviation, "since": since}),
                ),
                Found::Alarm { name, symptom, text } => (name, json!({"symptom": symptom, "says": cut(text)})),
                // What was asked for now and stayed is an answer; which of the earlier ones it was is not known.
                Found::Quiet if n < now => (&of.metric, json!({"unusual": false})),
                _ => continue,
            };
            // A chart has several lines, and the one that went farthest is told.
            let part = name.split_whitespace().next().unwrap_or_default();
            if !same(name, &of.metric) && !same(part, &of.metric) {
                continue;
            }
            all += 1;
            let item = json!({
                "metric": cut_to(name, 200), "service": f.service, "host": f.host, "tool": f.tool, "query": cut(&f.query),
                "at": f.at, "found": told,
            });
            if page.fits(&item) {
                let place = f.service.as_ref().or(f.host.as_ref()).map(|p| format!(" of {p}")).unwrap_or_default();
                let title = format!("{}{place}", cut_to(name, 120));
                let data = with_query(told, f);
                let id = self.cite_other(EvidenceKind::Metric, title, f.at, f.url.clone(), data);
                page.add(Some(id), item);
            }
        }
        let shown = page.items.len();
        said(page.done("metrics", all, shown), all == 0, trouble(brought))
    }

    async fn logs(&mut self, of: &OfLogs) -> Value {
        let brought = self.ask(Question::Logs(of.clone())).await;
        let text = of.text.as_deref().map(str::to_lowercase);
        let mut page = Page::new(MOST);
        let mut all = 0;
        let mut told: BTreeSet<Vec<String>> = BTreeSet::new();
        for f in self.with_own(&brought).iter().filter(|f| at(of.service.as_deref(), of.host.as_deref(), f)) {
            let Found::Lines { lines, count } = &f.found else { continue };
            let wanted: Vec<String> = lines
                .iter()
                .filter(|l| text.as_ref().is_none_or(|t| l.to_lowercase().contains(t)))
                .take(15)
                .map(|l| cut(l))
                .collect();
            if wanted.is_empty() || !told.insert(wanted.clone()) {
                continue;
            }
            all += 1;
            let item = json!({
                "service": f.service, "host": f.host, "tool": f.tool, "query": cut(&f.query), "lines": wanted, "such_lines": count,
            });
            if page.fits(&item) {
                let place = f.service.as_ref().or(f.host.as_ref()).map(|p| format!(" of {p}")).unwrap_or_default();
                let data = with_query(json!({"lines": wanted, "count": count}), f);
                let title = format!("Lines of the log{place}");
                let id = self.cite_other(EvidenceKind::Log, title, f.at, f.url.clone(), data);
                page.add(Some(id), item);
            }
        }
        let shown = page.items.len();
        said(page.done("logs", all, shown), all == 0, trouble(brought))
    }
}

/// The name of the figure that a finding is about.
fn figure(f: &Finding) -> Option<&str> {
    match &f.found {
        Found::Shift { metric, .. } => Some(metric),
        Found::Alarm { name, .. } => Some(name),
        _ => None,
    }
}

/// What people see of it beside the figures: who said it, when asked what.
fn with_query(mut data: Value, f: &Finding) -> Value {
    if let Some(fields) = data.as_object_mut() {
        fields.insert("tool".to_owned(), json!(f.tool));
        fields.insert("query".to_owned(), json!(f.query));
    }
    data
}

/// Why there is no answer, or not all of it.
fn trouble(brought: Result<Brought, String>) -> Option<String> {
    brought.map_or_else(Some, |b| b.trouble())
}

/// Items of an answer, as many as fit.
struct Page {
    items: Vec<Value>,
    room: usize,
}

impl Page {
    fn new(room: usize) -> Self {
        Self { items: Vec::new(), room }
    }

    /// Takes the room for an item, if there is some; the first one always has.
    fn fits(&mut self, item: &Value) -> bool {
        let size = item.to_string().len();
        let fits = size <= self.room || self.items.is_empty();
        if fits {
            self.room = self.room.saturating_sub(size);
        }
        fits
    }

    fn add(&mut self, id: Option<String>, mut item: Value) {
        if let (Some(id), Value::Object(fields)) = (id, &mut item) {
            fields.insert("evidence_id".to_owned(), id.into());
        }
        self.items.push(item);
    }

    fn done(self, name: &str, all: usize, next: usize) -> Value {
        let mut out = json!({ name: self.items, "in_all": all });
        if let (true, Value::Object(fields)) = (next < all, &mut out) {
            fields.insert("not_shown_from".to_owned(), next.into());
        }
        out
    }
}

fn said(mut answer: Value, nothing: bool, why: Option<String>) -> Value {
    if let (Some(why), true, Value::Object(fields)) = (why, nothing, &mut answer) {
        fields.insert("remark".to_owned(), why.into());
    }
    answer
}

fn fits(wanted: Option<&str>, has: Option<&str>) -> bool {
    wanted.is_none_or(|w| has.is_some_and(|h| same(w, h)))
}

fn at(service: Option<&str>, host: Option<&str>, f: &Finding) -> bool {
    fits(service, f.service.as_deref()) && fits(host, f.host.as_deref())
}

fn cut(text: &str) -> String {
    cut_to(text, TEXT)
}

fn cut_to(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The facts of an entry, each text bounded.
fn bounded(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(cut_to(text, 2_000)),
        Value::Array(items) => items.iter().take(20).map(bounded).collect(),
        Value::Object(fields) => fields.iter().take(20).map(|(n, v)| (n.clone(), bounded(v))).collect(),
        other => other.clone(),
    }
}

//! Netdata agents: alarms that they raised, the chart of an alert, and the charts that changed most around the onset
//! (`/api/v1/weights`, since 1.35; older agents answer 404 or 400 and are not asked for it again). Agents are those that
//! people declared for a service, and the one, or parent of several, in the settings.
//! <https://learn.netdata.cloud/docs/developer-and-contributor-corner/rest-api>

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Deserialize;

use super::{
    Named, Probe, Question, Reply, Scene, Settings, Step, Wanted, What, credentials,
    robust::{Course, Rule, course},
};
use crate::{
    investigation::{case::same, finding::Found, symptoms},
    model::*,
    outgoing::{Credentials, Url, address},
};

/// Agents, charts of alerts at each, and charts that changed most.
const AGENTS: usize = 4;
const CHARTS: usize = 2;
const CHANGED: usize = 4;
/// Charts that are named when their names are wanted.
const NAMES: usize = 150;
/// Seconds that a point stands for.
const STEP: i64 = 15;
/// Alarms that are older than this before the onset are the house's habit.
const FRESH: Duration = Duration::from_secs(3_600);

/// Charts by the beginning of their names, and what a change in them is a sign of.
const KINDS: &[(&str, Symptom)] = &[
    ("system.cpu", Symptom::Cpu),
    ("cpu.", Symptom::Cpu),
    ("system.load", Symptom::Cpu),
    ("cgroup_cpu", Symptom::Cpu),
    ("system.ram", Symptom::Memory),
    ("system.swap", Symptom::Memory),
    ("mem.", Symptom::Memory),
    ("disk_space.", Symptom::DiskSpace),
    ("disk_inodes.", Symptom::DiskSpace),
    ("disk", Symptom::DiskIo),
    ("system.io", Symptom::DiskIo),
    ("system.pgpgio", Symptom::DiskIo),
    ("net", Symptom::Network),
    ("system.net", Symptom::Network),
    ("system.ip", Symptom::Network),
    ("ip.", Symptom::Network),
    ("ipv4.", Symptom::Network),
    ("ipv6.", Symptom::Network),
];

/// A place to ask: an agent, or a machine at a parent.
#[derive(Clone, Debug)]
struct Agent {
    base: Url,
    who: Option<Credentials>,
    service: Option<String>,
    host: Option<String>,
}

#[derive(Clone, Debug)]
enum Asked {
    Alarms(Agent),
    Weights(Agent),
    // Which charts there are, those that changed most first.
    Charts,
    Chart { chart: String, symptom: Option<Symptom>, unit: Option<String> },
}

#[derive(Debug)]
struct Netdata {
    settings: Arc<Settings>,
    asked: Vec<Asked>,
}

pub(super) fn probe(settings: &Arc<Settings>) -> Box<dyn Probe> {
    Box::new(Netdata { settings: Arc::clone(settings), asked: Vec::new() })
}

impl Probe for Netdata {
    fn begin(&mut self, scene: &Scene) -> Vec<Question> {
        let mut questions = Vec::new();
        for agent in self.agents(scene) {
            questions.push(self.ask(&agent, "api/v1/alarms?active", &[], Asked::Alarms(agent.clone())));
            let mut charts: Vec<String> = Vec::new();
            for (alert, symptom) in &scene.alerts {
                let here = match (&agent.host, &alert.host) {
                    (Some(host), Some(of_alert)) => same(host, of_alert),
                    _ => agent.service.as_deref().is_some_and(|s| alert.service.as_deref().is_some_and(|a| same(a, s))),
                };
                let chart =
                    alert.labels.get("chart").filter(|c| here && &*alert.platform == "netdata" && !charts.contains(c));
                if let Some(chart) = chart.filter(|_| charts.len() < CHARTS) {
                    questions.push(self.chart(scene, &agent, chart, Some(*symptom), None));
                    charts.push(chart.clone());
                }
            }
            questions.push(self.weights(scene, &agent, Asked::Weights(agent.clone())));
        }
        questions
    }

    fn wanted(&mut self, scene: &Scene, wanted: &Wanted) -> Vec<Question> {
        let fits = |name: &Option<String>, wanted: &Option<String>| match (name, wanted) {
            (Some(name), Some(wanted)) => same(name, wanted),
            (_, None) => true,
            (None, Some(_)) => false,
        };
        let agents = self.agents(scene).into_iter();
        let agents: Vec<Agent> =
            agents.filter(|a| fits(&a.service, &wanted.service) && fits(&a.host, &wanted.host)).collect();
        let ask = |agent: &Agent| match &wanted.what {
            What::Names => Some(self.weights(scene, agent, Asked::Charts)),
            // As lists name it: the chart, and maybe one of its dimensions.
            What::Figure(name) => {
                let chart = name.split_whitespace().next().filter(|c| is_chart(c))?;
                Some(self.chart(scene, agent, chart, None, None))
            }
            What::Lines(_) => None,
        };
        agents.iter().filter_map(ask).collect()
    }

    fn read(&mut self, scene: &Scene, question: &Question, reply: &Reply) -> Result<Step, &'static str> {
        match self.asked.get(question.tag).cloned() {
            Some(Asked::Alarms(agent)) => alarms(scene, &agent, question, reply),
            Some(Asked::Weights(agent)) => {
                let weights: Weights = serde_json::from_str(&reply.text).map_err(|_| "an answer of Netdata")?;
                let known: Vec<String> = self
                    .asked
                    .iter()
                    .filter_map(|a| if let Asked::Chart { chart, .. } = a { Some(chart.clone()) } else { None })
                    .collect();
                let charts = weights.most().into_iter().filter(|c| !known.contains(c)).take(CHANGED);
                let further = charts.map(|c| self.chart(scene, &agent, &c, None, None)).collect();
                Ok(Step { further, ..Step::default() })
            }
            Some(Asked::Charts) => {
                let weights: Weights = serde_json::from_str(&reply.text).map_err(|_| "an answer of Netdata")?;
                let named = |name| Named {
                    tool: Tool::Netdata,
                    name,
                    service: question.service.clone(),
                    host: question.host.clone(),
                };
                Ok(Step { names: weights.most().into_iter().take(NAMES).map(named).collect(), ..Step::default() })
            }
            Some(Asked::Chart { chart, symptom, unit }) => figures(scene, question, reply, &chart, symptom, unit),
            None => Ok(Step::default()),
        }
    }

    fn refused(&self, question: &Question, status: u16) -> Option<String> {
        let whose = question.host.as_deref().or(question.service.as_deref()).unwrap_or("the machine");
        match self.asked.get(question.tag)? {
            Asked::Weights(_) | Asked::Charts if matches!(status, 400 | 404) => Some(format!(
                "the Netdata agent of {whose} is too old, or was started too recently, to say what changed most"
            )),
            // A parent knows the machines that stream to it, an agent the charts that it has.
            Asked::Alarms(_) if status == 404 => Some(format!("Netdata at {} does not know {whose}", question.at)),
            Asked::Chart { chart, .. } if matches!(status, 400 | 404) => {
                Some(format!("the Netdata agent of {whose} has no chart {chart}"))
            }
            _ => None,
        }
    }
}

impl Netdata {
    /// Agents of services that alert, then machines at the configured one.
    fn agents(&self, scene: &Scene) -> Vec<Agent> {
        let parent = self.settings.given.netdata.as_ref();
        let who = credentials(self.settings.given.netdata_credentials.as_ref());
        let mut agents: Vec<Agent> = Vec::new();
        for subject in &scene.subjects {
            let Some(declared) = &subject.declared else { continue };
            let Some(base) = declared.netdata.as_deref().and_then(|n| address::base(n).ok()) else { continue };
            let of_it = |a: &Alert| a.service.as_deref().is_some_and(|s| same(s, &subject.name));
            let alerting = scene.alerts.iter().filter(|(a, _)| of_it(a)).find_map(|(a, _)| a.host.clone());
            let host = alerting.or_else(|| declared.hosts.first().cloned());
            // Credentials are for the agent that they were given for.
            let known = parent.is_some_and(|p| p.origin() == base.origin());
            let who = who.clone().filter(|_| known);
            agents.push(Agent { base, who, service: Some(subject.name.clone()), host });
        }
        for host in &scene.hosts {
            let Some(parent) = parent else { break };
            if agents.iter().any(|a| a.host.as_deref().is_some_and(|h| same(h, host))) {
                continue;
            }
            let mut base = parent.clone();
            // As one segment of the path, whatever the alert says the machine is called.
            if let Ok(mut path) = base.path_segments_mut() {
                path.pop_if_empty().extend(["host", host.as_str()]);
            }
            let plain = !matches!(host.as_str(), "." | "..");
            agents.extend(plain.then(|| Agent { base, who: who.clone(), service: None, host: Some(host.clone()) }));
        }
        let mut seen: Vec<Url> = Vec::new();
        agents.retain(|a| {
            !seen.contains(&a.base) && {
                seen.push(a.base.clone());
                true
            }
        });
        agents.truncate(AGENTS);
        agents
    }

    fn ask(&mut self, agent: &Agent, path: &str, fields: &[(&str, &str)], asked: Asked) -> Question {
        self.asked.push(asked);
        let tag = self.asked.len() - 1;
        let (path, bare) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
        let mut question = Question::new(Tool::Netdata, &agent.base, path, fields, agent.who.clone());
        if let Some(bare) = bare {
            question.url.set_query(Some(bare));
            question.query = format!("{}?{bare}", question.query);
        }
        let link = Some(agent.base.to_string());
        Question { tag, link, service: agent.service.clone(), host: agent.host.clone(), ..question }
    }

    /// Which charts changed most around the onset.
    fn weights(&mut self, scene: &Scene, agent: &Agent, asked: Asked) -> Question {
        let (onset, end) = (seconds(scene.onset), seconds(scene.until).max(seconds(scene.onset) + 1));
        let (start, before) = (onset - 3_600, end - onset);
        let fields = [
            ("method", "volume"),
            // Some time before the alert belongs to it, and a few points are needed.
            ("after", &(onset - (60 - before).clamp(0, 60)).to_string()),
            ("before", &end.to_string()),
            ("baseline_after", &start.to_string()),
            ("baseline_before", &(onset - 60).to_string()),
            ("timeout", &self.settings.given.question_time.as_millis().to_string()),
        ];
        self.ask(agent, "api/v1/weights", &fields, asked)
    }

    fn chart(
        &mut self,
        scene: &Scene,
        agent: &Agent,
        chart: &str,
        symptom: Option<Symptom>,
        unit: Option<String>,
    ) -> Question {
        let (start, end) = (seconds(scene.onset.minus(super::BEFORE)), seconds(scene.until));
        let points = ((end - start) / STEP).clamp(1, 1_000);
        let fields = [
            ("chart", chart),
            ("after", &start.to_string()),
            ("before", &end.to_string()),
            ("points", &points.to_string()),
            ("format", "json"),
            ("group", "average"),
            ("options", "seconds|unaligned"),
        ];
        let asked = Asked::Chart { chart: chart.to_owned(), symptom, unit };
        self.ask(agent, "api/v1/data", &fields, asked)
    }
}

/// Whether it can be the name of a chart, such as `disk_space._var`.
fn is_chart(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':' | b'/');
    text.contains('.') && text.len() <= 200 && text.bytes().all(plain)
}

fn seconds(at: Time) -> i64 {
    at.millis().div_euclid(1_000)
}

#[derive(Deserialize)]
struct Alarms {
    #[serde(default)]
    alarms: BTreeMap<String, Alarm>,
}

#[derive(Deserialize)]
struct Alarm {
    name: String,
    #[serde(default)]
    chart: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    info: String,
    #[serde(default)]
    value_string: String,
    #[serde(default)]
    last_status_change: i64,
}

/// Alarms that it raised and that are no alert of the incident.
fn alarms(scene: &Scene, agent: &Agent, question: &Question, reply: &Reply) -> Result<Step, &'static str> {
    let read: Alarms = serde_json::from_str(&reply.text).map_err(|_| "an answer of Netdata")?;
    let mut step = Step::default();
    let mut old = 0;
    for alarm in read.alarms.into_values().filter(|a| matches!(a.status.as_str(), "WARNING" | "CRITICAL")) {
        let says = |a: &Alert| a.labels.values().any(|v| *v == alarm.name) || a.title.contains(&alarm.name);
        let here = |a: &Alert| a.host.as_deref().is_none_or(|h| agent.host.as_deref().is_none_or(|o| same(h, o)));
        if scene.alerts.iter().any(|(a, _)| says(a) && here(a)) {
            continue;
        }
        let at = Time::from_secs(alarm.last_status_change);
        if at < scene.onset.minus(FRESH) {
            old += 1;
            continue;
        }
        let said = format!("{} {}", alarm.name.replace(['_', '.'], " "), alarm.info);
        let symptom =
            symptoms::of_text(&scene.table, &said).map(|r| r.symptom).unwrap_or_else(|| kind(scene, &alarm.chart));
        let text = format!("{}: {} ({})", alarm.status.to_lowercase(), alarm.info, alarm.value_string);
        step.findings.push(question.found(at, Found::Alarm { name: alarm.name, symptom, text }));
    }
    if step.findings.is_empty() {
        let older =
            if old > 0 { format!(" that is new; {old} older than an hour before the onset") } else { String::new() };
        let whose = question.host.as_deref().or(question.service.as_deref()).unwrap_or("the machine");
        step.note = Some(format!("the Netdata agent of {whose} has no alarm of its own{older}"));
    }
    Ok(step)
}

#[derive(Deserialize)]
struct Weights {
    #[serde(default)]
    contexts: BTreeMap<String, Context>,
}

#[derive(Deserialize)]
struct Context {
    #[serde(default)]
    charts: BTreeMap<String, Chart>,
}

#[derive(Deserialize)]
struct Chart {
    #[serde(default)]
    dimensions: BTreeMap<String, f64>,
}

impl Weights {
    /// The charts that changed most, one of each context. Answers are spread evenly from 0, what changed most, to 1, so
    /// only the order counts; whether a figure really left is asked of the chart itself.
    fn most(&self) -> Vec<String> {
        let lowest = |c: &Chart| c.dimensions.values().copied().filter(|w| w.is_finite()).min_by(f64::total_cmp);
        let mut best: Vec<(f64, &String)> = self
            .contexts
            .values()
            .filter_map(|c| {
                c.charts
                    .iter()
                    .filter_map(|(id, c)| Some((lowest(c)?, id)))
                    .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)))
            })
            .collect();
        best.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
        best.into_iter().map(|(_, id)| id.clone()).collect()
    }
}

#[derive(Deserialize)]
struct Data {
    labels: Vec<String>,
    data: Vec<Vec<Option<f64>>>,
}

/// The dimension of a chart that went farthest.
fn figures(
    scene: &Scene,
    question: &Question,
    reply: &Reply,
    chart: &str,
    symptom: Option<Symptom>,
    unit: Option<String>,
) -> Result<Step, &'static str> {
    let read: Data = serde_json::from_str(&reply.text).map_err(|_| "an answer of Netdata")?;
    let mut farthest: Option<(f64, Time, Found)> = None;
    let mut steady = false;
    for (n, dimension) in read.labels.iter().enumerate().skip(1) {
        let point = |row: &Vec<Option<f64>>| Some((Time::from_secs((*row.first()?)? as i64), (*row.get(n)?)?));
        let points: Vec<(Time, f64)> = read.data.iter().filter_map(point).collect();
        match course(&points, scene.onset, Rule::default()) {
            Course::Left { before, after, deviation, since } => {
                if farthest.as_ref().is_none_or(|(d, ..)| deviation > *d) {
                    let found = Found::Shift {
                        metric: format!("{chart} {dimension}"),
                        symptom: symptom.filter(|s| *s != Symptom::Unknown).unwrap_or_else(|| kind(scene, chart)),
                        before,
                        after,
                        unit: unit.clone(),
                        deviation,
                        since: Some(since),
                    };
                    farthest = Some((deviation, since, found));
                }
            }
            Course::Steady => steady = true,
            Course::Unknown => {}
        }
    }
    Ok(match farthest {
        Some((_, at, found)) => Step { findings: vec![question.found(at, found)], ..Step::default() },
        None if steady => Step { findings: vec![question.found(scene.until, Found::Quiet)], ..Step::default() },
        None => Step::note(format!("Netdata has too few points of {chart} around the onset")),
    })
}

fn kind(scene: &Scene, chart: &str) -> Symptom {
    let known = KINDS.iter().find(|(start, _)| chart.starts_with(start)).map(|(_, s)| *s);
    known
        .or_else(|| symptoms::of_text(&scene.table, &chart.replace(['_', '.'], " ")).map(|r| r.symptom))
        .unwrap_or(Symptom::Unknown)
}

//! The correlator alone over simulated streams with known truth: how well it groups, and what an alert costs it. Reads
//! folders with `topology.json`, `events.jsonl` and `truth.jsonl`; one line for each and their mean.
//!
//! It keeps the lifecycle as the store does (repeats by fingerprint, an end when all have ended, a second life within 15
//! minutes), without a store: for weighing evidence and for the cost of a decision. `watchfire backtest` is the whole.
//!
//! `groups --dirs A,B,C [--set name=value,name=value] [--crowd N]`: with `--crowd`, N other incidents are open all the time,
//! of services and machines of the same topology, so that the cost of looking among many shows.
//! `--tune ROUNDS` seeks better weights, one at a time.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use watchfire::{
    connectors::{Registry, Request},
    correlation::{
        self,
        topology::Topology,
        weighted::{Engine, Subject, Weights},
    },
    model::*,
};
use watchfire_bench::args::{arg, quit, text};

/// Incidents of fewer alerts may become part of another as a whole.
const SMALL: usize = 6;

struct Event {
    at: Time,
    parsed: Parsed,
    platform: String,
}

struct Stream {
    name: String,
    events: Vec<Event>,
    truth: Vec<Truth>,
    services: Vec<Service>,
}

struct Truth {
    incident: String,
    first: bool,
    noise: bool,
    of: Option<usize>,
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| quit(&format!("{}: {e}", path.display())));
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap_or_else(|e| quit(&format!("{}: {e}", path.display()))))
        .collect()
}

fn load(dir: &str) -> Stream {
    let path = Path::new(dir);
    let topology: Value =
        lines(&path.join("topology.json").with_extension("json")).into_iter().next().unwrap_or_default();
    let strings = |v: &Value| -> Vec<String> {
        v.as_array().into_iter().flatten().filter_map(|x| x.as_str().map(str::to_owned)).collect()
    };
    let services = topology["services"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|s| Service {
            name: s["name"].as_str().unwrap_or_default().to_owned(),
            aliases: s["entity"].as_str().map(str::to_owned).into_iter().collect(),
            depends_on: strings(&s["depends_on"]),
            hosts: strings(&s["hosts"]),
            ..Service::default()
        })
        .collect();
    let registry = Registry::default();
    let events = lines(&path.join("events.jsonl"))
        .into_iter()
        .map(|e| {
            let at = Time::from_millis((e["t"].as_f64().unwrap_or_default() * 1000.0) as i64);
            let platform = e["platform"].as_str().unwrap_or_default().to_owned();
            let body = e["payload"].to_string().into_bytes();
            let request = Request { headers: &[], query: &[], body: &body, received_at: at, rca_enabled: true };
            let connector = registry.find(&platform).unwrap_or_else(|| quit(&format!("no connector {platform}")));
            let mut parsed = connector.parse(&request).unwrap_or_else(|p| quit(&p.detail));
            for s in &mut parsed.signals {
                s.quiet_after_secs = s.quiet_after_secs.or(connector.quiet_secs());
            }
            Event { at, parsed, platform }
        })
        .collect();
    let truth = lines(&path.join("truth.jsonl"))
        .into_iter()
        .map(|t| Truth {
            incident: t["incident"].as_str().unwrap_or_default().to_owned(),
            first: t["first"].as_bool().unwrap_or_default(),
            noise: t["fault"] == "noise",
            of: t["of"].as_u64().map(|n| n as usize),
        })
        .collect();
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    Stream { name, events, truth, services }
}

fn alert(s: &Signal, platform: &str, at: Time, number: u64) -> Alert {
    let quiet = s.quiet_after_secs.map(|n| at.plus(Duration::from_secs(n.into())));
    let row = json!({
        "id": AlertId::new(at, number), "fingerprint": s.fingerprint(), "dedup_key": s.dedup_key, "platform": platform,
        "title": s.title, "description": s.description, "service": s.service, "host": s.host,
        "environment": s.environment, "severity": s.severity, "status": "firing",
        "started_at": s.started_at.unwrap_or(at), "onset_at": correlation::onset(s.started_at, at),
        "first_seen": at, "last_seen": at, "count": 1, "labels": s.labels, "first_delivery": 0, "last_delivery": 0,
        "quiet_at": quiet,
    });
    serde_json::from_value(row).unwrap_or_else(|e| quit(&e.to_string()))
}

struct Live {
    incident: u64,
    closed: Option<Time>,
    quiet: Option<Time>,
}

#[derive(Default)]
struct Run {
    live: HashMap<Fingerprint, Live>,
    incidents: HashMap<u64, Incident>,
    merged: HashMap<u64, u64>,
    subjects: HashMap<u64, Vec<(Fingerprint, Subject)>>,
    looks: std::collections::VecDeque<(Time, Fingerprint, Subject)>,
    moves: usize,
    relabel: Vec<(Fingerprint, u64)>,
    first: BTreeMap<(Fingerprint, u64), u64>,
    fingers: Vec<(usize, Fingerprint)>,
    last: u64,
    costs: Vec<u64>,
}

impl Run {
    fn root(&self, mut n: u64) -> u64 {
        while let Some(m) = self.merged.get(&n) {
            n = *m;
        }
        n
    }

    fn fuse(&mut self, engine: &mut Engine, m: u64, id: u64) {
        let Some(gone) = self.incidents.remove(&m) else { return };
        let known = engine.profile(IncidentId(m)).cloned();
        engine.close(IncidentId(m));
        self.merged.insert(m, id);
        let subjects = self.subjects.remove(&m).unwrap_or_default();
        if let Some(i) = self.incidents.get_mut(&id) {
            i.alert_count += gone.alert_count;
            i.firing_count += gone.firing_count;
            engine.open(i);
        }
        self.subjects.entry(id).or_default().extend(subjects);
        if let (Some(known), Some(kept)) = (known, engine.profile(IncidentId(id))) {
            let mut kept = kept.clone();
            kept.merge(known);
            engine.know(IncidentId(id), kept, false);
        }
    }

    /// The second look: with what is known now, does it belong elsewhere?
    fn look(&mut self, engine: &mut Engine, f: Fingerprint, s: &Subject) {
        let Some(live) = self.live.get(&f) else { return };
        let own = self.root(live.incident);
        if self.incidents.get(&own).is_none_or(|i| i.status == IncidentStatus::Resolved) {
            return;
        }
        let Some(better) = engine.better(s, IncidentId(own), &BTreeSet::new(), |_| None) else { return };
        let to = better.to.incident.0;
        if better.without.size > 0 && (better.without.size as usize) < SMALL {
            let members: Vec<Subject> = self.subjects.get(&own).into_iter().flatten().map(|(_, s)| s.clone()).collect();
            if engine.fits_all(&members, IncidentId(to), |_| None) {
                self.fuse(engine, own, to);
                return;
            }
        }
        if !better.clearly {
            return;
        }
        if better.without.size == 0 {
            self.fuse(engine, own, to);
            return;
        }
        self.moves += 1;
        let firing = live.closed.is_none();
        let Some(list) = self.subjects.get_mut(&own) else { return };
        let Some(at) = list.iter().position(|(g, _)| *g == f) else { return };
        let moved = list.remove(at);
        engine.know(IncidentId(own), better.without, false);
        if let Some(i) = self.incidents.get_mut(&own) {
            i.alert_count -= 1;
            i.firing_count -= u64::from(firing);
            if i.firing_count == 0 {
                i.status = IncidentStatus::Resolved;
                engine.close(i.id);
            } else {
                engine.open(i);
            }
        }
        if let Some(i) = self.incidents.get_mut(&to) {
            i.alert_count += 1;
            i.firing_count += u64::from(firing);
            engine.open(i);
        }
        engine.add(IncidentId(to), s, false);
        self.subjects.entry(to).or_default().push(moved);
        if let Some(live) = self.live.get_mut(&f) {
            live.incident = to;
        }
        self.first.insert((f, own), to);
        self.relabel.push((f, to));
    }

    fn ended(&mut self, engine: &mut Engine, n: u64) {
        let n = self.root(n);
        if let Some(i) = self.incidents.get_mut(&n) {
            i.firing_count = i.firing_count.saturating_sub(1);
            if i.firing_count == 0 {
                i.status = IncidentStatus::Resolved;
                engine.close(i.id);
            } else {
                engine.open(i);
            }
        }
    }
}

fn row(id: u64, at: Time) -> Incident {
    let row = json!({
        "id": format!("INC-{id}"), "status": "investigating", "severity": "high", "title": "", "source": "x",
        "started_at": at, "onset_at": at, "detected_at": at, "updated_at": at, "last_alert_at": at,
        "alert_count": 0, "firing_count": 0,
    });
    serde_json::from_value(row).unwrap_or_else(|e| quit(&e.to_string()))
}

/// Other open incidents, of one alert each: what alerts are compared with when a whole company burns.
fn crowd(stream: &Stream, engine: &mut Engine, run: &mut Run) {
    let many = arg("crowd", 0u64);
    let firing: Vec<(&Event, &Signal)> = stream
        .events
        .iter()
        .flat_map(|e| e.parsed.signals.iter().map(move |s| (e, s)))
        .filter(|(_, s)| s.status == SignalStatus::Firing)
        .collect();
    let Some((first, _)) = firing.first() else { return };
    for n in 0..many {
        let Some((e, s)) = firing.get(n as usize * 31 % firing.len()) else { break };
        // An hour before the stream begins, half a second apart.
        let at = first.at.minus(Duration::from_millis(3_600_000 + n * 500));
        let signal = Signal { started_at: None, ..(*s).clone() };
        run.last += 1;
        let id = run.last;
        let mut incident = row(id, at);
        (incident.alert_count, incident.firing_count) = (1, 1);
        engine.note_opened(incident.id, at, id);
        engine.open(&incident);
        let subject = Subject::of(&alert(&signal, &e.platform, at, 1_000_000 + n), None, &engine.topology);
        engine.add(incident.id, &subject, true);
        run.incidents.insert(id, incident);
    }
}

fn play(stream: &Stream, weights: &Weights) -> (Vec<Option<u64>>, Vec<u64>) {
    let mut engine = Engine::new(Topology::new(&stream.services, []));
    engine.weights = weights.clone();
    let mut run = Run::default();
    crowd(stream, &mut engine, &mut run);
    let mut of: Vec<Option<u64>> = vec![None; stream.events.len()];
    let look = arg("look", 90u64);
    for (n, e) in stream.events.iter().enumerate() {
        // What fell quiet meanwhile.
        let due: Vec<Fingerprint> = run
            .live
            .iter()
            .filter(|(_, l)| l.closed.is_none() && l.quiet.is_some_and(|q| q <= e.at))
            .map(|(f, _)| *f)
            .collect();
        for f in due {
            let Some(l) = run.live.get_mut(&f) else { continue };
            l.closed = l.quiet;
            let i = l.incident;
            run.ended(&mut engine, i);
        }
        while run.looks.front().is_some_and(|l| l.0 <= e.at) {
            let Some((_, f, subject)) = run.looks.pop_front() else { break };
            run.look(&mut engine, f, &subject);
        }
        for s in &e.parsed.signals {
            let f = s.fingerprint();
            run.fingers.push((n, f));
            let quiet = s.quiet_after_secs.map(|q| e.at.plus(Duration::from_secs(q.into())));
            let met = run.live.get(&f).map(|l| (l.incident, l.closed));
            match (s.status, met) {
                (SignalStatus::Firing, Some((i, None))) => {
                    if let Some(l) = run.live.get_mut(&f) {
                        l.quiet = quiet;
                    }
                    of[n] = Some(i);
                }
                (SignalStatus::Firing, Some((i, Some(closed)))) if e.at.since(closed) <= Duration::from_secs(900) => {
                    if let Some(l) = run.live.get_mut(&f) {
                        (l.closed, l.quiet) = (None, quiet);
                    }
                    of[n] = Some(i);
                    let i = run.root(i);
                    if let Some(incident) = run.incidents.get_mut(&i) {
                        incident.firing_count += 1;
                        let again = incident.status == IncidentStatus::Resolved;
                        incident.status = IncidentStatus::Investigating;
                        engine.open(incident);
                        if again {
                            for (_, s) in run.subjects.get(&i).into_iter().flatten() {
                                engine.add(IncidentId(i), s, false);
                            }
                        }
                    }
                }
                (SignalStatus::Firing, _) => {
                    let alert = alert(s, &e.platform, e.at, n as u64 + 1);
                    let began = Instant::now();
                    let subject = Subject::of(&alert, None, &engine.topology);
                    let decision = engine.place(&subject, &BTreeSet::new(), |_| None);
                    let id = match &decision.placed {
                        Some(p) => p.incident.0,
                        None => {
                            run.last += 1;
                            run.incidents.insert(run.last, row(run.last, e.at));
                            engine.note_opened(IncidentId(run.last), e.at, run.last);
                            run.last
                        }
                    };
                    if let Some(i) = run.incidents.get_mut(&id) {
                        i.alert_count += 1;
                        i.firing_count += 1;
                        engine.open(i);
                    }
                    engine.add(IncidentId(id), &subject, false);
                    run.costs.push(began.elapsed().as_nanos() as u64);
                    if decision.doubtful {
                        run.looks.push_back((e.at.plus(Duration::from_secs(look)), f, subject.clone()));
                    }
                    run.subjects.entry(id).or_default().push((f, subject));
                    for m in decision.merge {
                        run.fuse(&mut engine, m.incident.0, id);
                    }
                    run.live.insert(f, Live { incident: id, closed: None, quiet });
                    of[n] = Some(id);
                }
                (SignalStatus::Resolved, Some((i, None))) => {
                    if let Some(l) = run.live.get_mut(&f) {
                        l.closed = Some(e.at);
                    }
                    of[n] = Some(i);
                    run.ended(&mut engine, i);
                }
                (_, Some((i, _))) => of[n] = Some(i),
                (_, None) => {}
            }
        }
    }
    // A moved alert takes its repeats and its end along: all events of its episode.
    let moved: HashMap<Fingerprint, u64> = run.relabel.iter().copied().collect();
    for (n, f) in &run.fingers {
        if let Some(to) = moved.get(f)
            && run.first.contains_key(&(*f, of[*n].unwrap_or(0)))
        {
            of[*n] = Some(*to);
        }
    }
    if arg("verbose", 0u32) > 0 {
        eprintln!("{} moves", run.moves);
    }
    let of = of.into_iter().map(|i| i.map(|i| run.root(i))).collect();
    (of, run.costs)
}

#[derive(Clone, Copy, Default)]
struct Figures {
    f1: f64,
    p: f64,
    r: f64,
    bad: f64,
    purity: f64,
    frag: f64,
    repeat: f64,
}

fn figures(truth: &[Truth], of: &[Option<u64>]) -> Figures {
    let mut cell: BTreeMap<(&str, u64), f64> = BTreeMap::new();
    let (mut t_size, mut p_size): (BTreeMap<&str, f64>, BTreeMap<u64, f64>) = Default::default();
    let label = |n: usize| of[n].unwrap_or(u64::MAX - n as u64);
    let mut faults: BTreeSet<&str> = BTreeSet::new();
    for (n, t) in truth.iter().enumerate().filter(|(_, t)| t.first) {
        *cell.entry((&t.incident, label(n))).or_default() += 1.0;
        *t_size.entry(&t.incident).or_default() += 1.0;
        *p_size.entry(label(n)).or_default() += 1.0;
        if !t.noise {
            faults.insert(&t.incident);
        }
    }
    let (mut p, mut r, mut n) = (0.0, 0.0, 0.0);
    let mut best: BTreeMap<u64, f64> = BTreeMap::new();
    let mut held: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
    let mut parts = 0.0;
    for ((t, i), v) in &cell {
        let b = best.entry(*i).or_default();
        *b = b.max(*v);
        if faults.contains(t) {
            p += v * v / p_size[i];
            r += v * v / t_size[t];
            n += v;
            held.entry(*i).or_default().insert(t);
            parts += 1.0;
        }
    }
    let (p, r) = (p / n.max(1.0), r / n.max(1.0));
    let all: f64 = t_size.values().sum();
    let repeats: Vec<bool> = truth
        .iter()
        .enumerate()
        .filter(|(_, t)| !t.first)
        .filter_map(|(n, t)| Some(of[n].is_some() && of[n] == of[t.of?]))
        .collect();
    Figures {
        f1: if p + r > 0.0 { 2.0 * p * r / (p + r) } else { 0.0 },
        p,
        r,
        bad: held.values().filter(|s| s.len() > 1).count() as f64,
        purity: best.values().sum::<f64>() / all,
        frag: parts / faults.len().max(1) as f64,
        repeat: repeats.iter().filter(|x| **x).count() as f64 / repeats.len().max(1) as f64,
    }
}

fn mean(all: &[Figures]) -> Figures {
    let n = all.len().max(1) as f64;
    let of = |f: fn(&Figures) -> f64| all.iter().map(f).sum::<f64>() / n;
    Figures {
        f1: of(|f| f.f1),
        p: of(|f| f.p),
        r: of(|f| f.r),
        bad: of(|f| f.bad),
        purity: of(|f| f.purity),
        frag: of(|f| f.frag),
        repeat: of(|f| f.repeat),
    }
}

fn show(name: &str, f: Figures, costs: &mut [u64]) {
    costs.sort_unstable();
    let at = |q: f64| costs.get(((costs.len() as f64 - 1.0).max(0.0) * q) as usize).map_or(0.0, |n| *n as f64 / 1e3);
    println!(
        "{name:<16} F1 {:.3}  P {:.3}  R {:.3}  bad {:5.2}  purity {:.3}  frag {:5.2}  repeats {:.4}  µs p50 {:.0} p99 {:.0}",
        f.f1,
        f.p,
        f.r,
        f.bad,
        f.purity,
        f.frag,
        f.repeat,
        at(0.5),
        at(0.99)
    );
}

macro_rules! fields {
    ($w:ident; $($name:ident),+) => {{
        let list: Vec<(&'static str, &mut f64)> = vec![$((stringify!($name), &mut $w.$name)),+];
        list
    }};
}

fn knobs(w: &mut Weights) -> Vec<(String, &mut f64)> {
    let Weights { needs, needed, .. } = w;
    let [n1, n2, n3] = needs;
    let [d1, d2, d3] = needed;
    let mut all: Vec<(String, &mut f64)> = vec![
        ("needs1".into(), n1),
        ("needs2".into(), n2),
        ("needs3".into(), n3),
        ("needed1".into(), d1),
        ("needed2".into(), d2),
        ("needed3".into(), d3),
    ];
    all.extend(
        fields!(w; bias, same, same_lasts, symptom, symptom_lasts, topology_lasts, root, sibling, sibling_lasts, hub, host, host_itself,
            host_lasts, runs, runs_lasts, named, named_lasts, text, text_lasts, network, network_text, burst, burst_lasts, busy, busy_most, soon, soon_lasts, soon_most,
            chance, ended, silence, environment, merge, merge_age, again, together, idle)
        .into_iter()
        .map(|(n, v)| (n.to_owned(), v)),
    );
    all
}

/// What is sought: the mean F1 of the families, with a price on incidents that hold two faults.
fn worth(streams: &[Stream], w: &Weights) -> (f64, Figures) {
    let workers = arg("threads", 2usize);
    let all: Vec<Figures> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..workers)
            .map(|k| {
                scope.spawn(move || {
                    streams
                        .iter()
                        .enumerate()
                        .filter(|(n, _)| n % workers == k)
                        .map(|(n, s)| (n, figures(&s.truth, &play(s, w).0)))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let mut all: Vec<(usize, Figures)> = handles.into_iter().filter_map(|h| h.join().ok()).flatten().collect();
        all.sort_by_key(|(n, _)| *n);
        all.into_iter().map(|(_, f)| f).collect()
    });
    let m = mean(&all);
    (m.f1 - 0.01 * m.bad + 0.2 * m.purity, m)
}

fn main() {
    let dirs = text("dirs");
    if dirs.is_empty() {
        quit("--dirs A,B,C is needed: folders with topology.json, events.jsonl and truth.jsonl");
    }
    let streams: Vec<Stream> = dirs.split(',').map(load).collect();
    let mut weights = Weights::default();
    for set in text("set").split(',').filter(|s| !s.is_empty()) {
        let (name, value) = set.split_once('=').unwrap_or_else(|| quit("--set name=value"));
        let value: f64 = value.parse().unwrap_or_else(|_| quit("--set name=number"));
        match knobs(&mut weights).into_iter().find(|(n, _)| n == name) {
            Some((_, knob)) => *knob = value,
            None => quit(&format!("no weight {name}")),
        }
    }
    let rounds = arg("tune", 0u32);
    let mut best = if rounds > 0 { worth(&streams, &weights).0 } else { 0.0 };
    let mut step = 0.35;
    for round in 0..rounds {
        let names: Vec<String> = knobs(&mut weights).into_iter().map(|(n, _)| n).collect();
        let mut moved = false;
        for name in names {
            for factor in [1.0 + step, 1.0 / (1.0 + step)] {
                let mut tried = weights.clone();
                if let Some((_, knob)) = knobs(&mut tried).into_iter().find(|(n, _)| *n == name) {
                    *knob *= factor;
                }
                let (got, f) = worth(&streams, &tried);
                if got > best + 0.0003 {
                    (best, weights, moved) = (got, tried, true);
                    println!("round {round}: {name} x {factor:.2} → {got:.4} (F1 {:.4}, bad {:.2})", f.f1, f.bad);
                    break;
                }
            }
        }
        if !moved {
            step /= 2.0;
        }
    }
    if rounds > 0 {
        println!("{weights:#?}");
    }
    let mut by_family: BTreeMap<String, (Vec<Figures>, Vec<u64>)> = BTreeMap::new();
    for s in &streams {
        let (of, costs) = play(s, &weights);
        let family = s.name.split('-').next().unwrap_or_default().to_owned();
        let entry = by_family.entry(family).or_default();
        entry.0.push(figures(&s.truth, &of));
        entry.1.extend(costs);
    }
    let mut means = Vec::new();
    let mut every = Vec::new();
    for (family, (all, mut costs)) in by_family {
        let m = mean(&all);
        show(&family, m, &mut costs);
        means.push(m);
        every.extend(costs);
    }
    show("mean", mean(&means), &mut every);
}

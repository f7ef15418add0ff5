//! From what happened to an incident to messages, rule by rule, with a sentence for each.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{Rule, on_call, times};
use crate::model::*;

/// Rules named in what was considered.
const NAMED: usize = 50;

/// What people have set.
#[derive(Clone, Copy, Debug)]
pub struct Book<'a> {
    /// In their order.
    pub rules: &'a [Rule],
    /// By name.
    pub people: &'a BTreeMap<String, Contacts>,
    /// By number.
    pub schedules: &'a BTreeMap<u64, OnCallSchedule>,
    /// By number.
    pub policies: &'a BTreeMap<u64, EscalationPolicy>,
    /// By number.
    pub channels: &'a BTreeMap<u64, ChannelRow>,
}

/// Something that happened to an incident.
#[derive(Clone, Copy, Debug)]
pub struct Happened<'a> {
    /// What.
    pub event: NoticeEvent,
    /// The incident as it is now.
    pub incident: &'a Incident,
    /// What its severity was.
    pub severity_before: Option<Severity>,
    /// When.
    pub now: Time,
}

/// A message that is to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// What is told.
    pub event: NoticeEvent,
    /// What the severity was.
    pub severity_before: Option<Severity>,
    /// By which rule.
    pub rule: RuleId,
    /// By which step of a policy.
    pub rung: Option<Rung>,
    /// Where to.
    pub channel: ChannelId,
    /// Who is reached there.
    pub person: Option<String>,
    /// The person's own address.
    pub address: Option<String>,
    /// Why this target.
    pub reason: String,
    /// When.
    pub due_at: Time,
    /// It may be told together with others.
    pub gathers: bool,
    /// Its rule reminds.
    pub remind_secs: Option<u32>,
}

type Place = (ChannelId, Option<String>);

impl Wish {
    fn place(&self) -> Place {
        (self.channel, self.address.clone())
    }
}

/// What follows from something that happened.
#[derive(Debug, Default)]
pub struct Plan {
    /// Messages.
    pub wishes: Vec<Wish>,
    /// What each rule did, and which of the messages (from, to) are its own.
    pub considered: Vec<(Considered, (usize, usize))>,
    /// The policy that begins, and by which rule.
    pub escalate: Option<(PolicyId, RuleId)>,
    /// Messages that are no longer needed, and why.
    pub drop: Vec<(NoticeId, String)>,
}

/// What is to be told of a change of an incident, in order, with the severity before.
pub fn told(before: Option<&Incident>, after: &Incident) -> Vec<(NoticeEvent, Option<Severity>)> {
    use NoticeEvent as E;
    let mut events = Vec::new();
    let Some(before) = before else {
        // What was over before it could be told of needs nobody.
        if after.is_open() {
            events.push((E::Opened, None));
        }
        return events;
    };
    match (before.is_open(), after.status) {
        (true, IncidentStatus::Merged) => return vec![(E::Merged, None)],
        (true, IncidentStatus::Resolved) => return vec![(E::Resolved, None)],
        (true, _) => {}
        (false, _) if after.is_open() => return vec![(E::Reopened, None)],
        (false, _) => return events,
    }
    if before.is_quiet() && !after.is_quiet() {
        events.push((E::Opened, None));
    }
    if after.severity < before.severity {
        events.push((E::SeverityUp, Some(before.severity)));
    }
    let cause = |i: &Incident| i.leading.as_ref().map(|l| l.title.clone());
    let first = before.analyzed_at.is_none() && after.analyzed_at.is_some();
    let other = after.analyzed_at.is_some() && cause(after).is_some() && cause(before) != cause(after);
    if after.investigation.state == InvestigationState::Complete && (first || other) {
        events.push((E::Analyzed, None));
    }
    if before.acknowledged_at.is_none() && after.acknowledged_at.is_some() {
        events.push((E::Acknowledged, None));
    }
    events
}

/// What happens because of it. `earlier` are all messages about the incident so far.
pub fn plan(book: Book<'_>, happened: Happened<'_>, earlier: &[Notice]) -> Plan {
    let mut plan = Plan { drop: no_longer(happened, earlier), ..Plan::default() };
    let unmentioned = if happened.incident.test {
        Some("it is a test")
    } else if happened.event == NoticeEvent::Resolved {
        // Whoever was told before it fell quiet is told that it is over.
        None
    } else if happened.incident.muted {
        Some("a silence or maintenance window mutes all of its alerts")
    } else if happened.incident.is_quiet() {
        Some("it is snoozed")
    } else {
        None
    };
    if let Some(why) = unmentioned {
        let considered = Considered {
            rule: None,
            name: "Every rule".to_owned(),
            outcome: Considering::Muted,
            why: format!("Nobody is told: {why}."),
            notices: Vec::new(),
        };
        plan.considered.push((considered, (0, 0)));
        return plan;
    }
    let gone: BTreeSet<NoticeId> = plan.drop.iter().map(|(id, _)| *id).collect();
    let mut stopped: Option<String> = None;
    for rule in book.rules {
        let from = plan.wishes.len();
        let (outcome, why) = match &stopped {
            Some(by) => (Considering::NotReached, format!("Rule “{by}” before it is the last.")),
            None => one(book, rule, happened, earlier, &gone, &mut plan),
        };
        let fitted = !matches!(outcome, Considering::NotForThis | Considering::Off | Considering::NotReached);
        if rule.row.last && fitted && stopped.is_none() {
            stopped = Some(rule.row.name.clone());
        }
        if plan.considered.len() < NAMED {
            let name = rule.row.name.clone();
            let considered = Considered { rule: Some(rule.row.id), name, outcome, why, notices: Vec::new() };
            plan.considered.push((considered, (from, plan.wishes.len())));
        }
    }
    plan
}

/// What one rule does.
fn one(
    book: Book<'_>,
    rule: &Rule,
    h: Happened<'_>,
    earlier: &[Notice],
    gone: &BTreeSet<NoticeId>,
    plan: &mut Plan,
) -> (Considering, String) {
    use NoticeEvent as E;
    let row = &rule.row;
    if !row.enabled {
        return (Considering::Off, "It is switched off.".to_owned());
    }
    let mine: Vec<&Notice> = earlier
        .iter()
        .filter(|n| n.rule == Some(row.id) && (!gone.contains(&n.id) || n.may_have_arrived()))
        .filter(|n| counts(n))
        .collect();
    // A rule that tells of no beginning begins with what it tells of, or it would never tell anybody.
    let begins =
        row.policy.is_some() || row.events.iter().any(|e| matches!(e, E::Opened | E::Reopened | E::SeverityUp));
    let follows =
        matches!(h.event, E::Merged) || begins && matches!(h.event, E::Acknowledged | E::Resolved | E::Analyzed);
    if follows && mine.is_empty() {
        return (Considering::NotForThis, "It has told nobody of this incident.".to_owned());
    }
    if !follows
        && (mine.is_empty() || h.event != E::SeverityUp)
        && let Err(why) = rule.fits(h.incident, h.now)
    {
        return (Considering::NotForThis, format!("{}.", capital(&why)));
    }
    // That it got worse is what makes it one of this rule: the same as opened.
    let first = mine.is_empty() && h.event == E::SeverityUp;
    let tells = row.events.contains(&h.event)
        || h.event == E::Merged
        || (first && row.events.contains(&E::Opened))
        || (h.event == E::Reopened && row.events.contains(&E::Opened));
    let opens = matches!(h.event, E::Opened | E::Reopened) || first;
    if opens && plan.escalate.is_none() {
        plan.escalate = row.policy.map(|policy| (policy, row.id));
    }
    if !tells {
        return (Considering::NotOfThis, format!("It does not tell of {}.", event_words(h.event)));
    }
    let mut nobody = Vec::new();
    let wishes = if opens || (mine.is_empty() && !follows) {
        let mut wishes = Vec::new();
        for target in &row.targets {
            let why = format!("Rule “{}”", row.name);
            wishes.extend(reach(book, target, h, row, &why, &mut nobody));
        }
        wishes
    } else {
        again(h, row, &mine)
    };
    let mut taken: BTreeSet<Place> = plan.wishes.iter().map(Wish::place).collect();
    if h.event == E::Opened {
        // Once it is loud again, only those are told who were not before.
        let known = earlier.iter().filter(|n| counts(n));
        taken.extend(known.map(|n| (n.channel, n.address.clone())));
    }
    let (mut told, mut twice) = (Vec::new(), 0);
    for wish in wishes {
        // Whoever takes it knows.
        let own = h.event == E::Acknowledged && wish.person.is_some() && wish.person == h.incident.owner;
        if own || !taken.insert(wish.place()) {
            twice += 1;
            continue;
        }
        let wish = Wish { due_at: when(row, h, &wish, &mine), ..wish };
        told.push(name_of(book, &wish));
        plan.wishes.push(wish);
    }
    let nobody = nobody.join(" ");
    match (told.is_empty(), twice) {
        (false, _) => (Considering::Tells, format!("It tells {}. {nobody}", told.join(", ")).trim().to_owned()),
        (true, 0) if row.policy.is_some() && row.targets.is_empty() => {
            (Considering::Tells, "Its escalation policy tells, step by step.".to_owned())
        }
        (true, 0) => {
            (Considering::Nobody, if nobody.is_empty() { "There is nobody to tell.".to_owned() } else { nobody })
        }
        (true, _) => (Considering::AlreadyTold, "Whom it would tell is told already.".to_owned()),
    }
}

/// Whether whoever it was for knows of it, will, or may.
fn counts(n: &Notice) -> bool {
    !matches!(n.state, NoticeState::Dropped | NoticeState::Failed) || n.may_have_arrived()
}

/// Messages that wait and are not needed any more. Steps and reminders also when they were tried: what may have arrived
/// counts all the same, and an end follows it.
fn no_longer(h: Happened<'_>, earlier: &[Notice]) -> Vec<(NoticeId, String)> {
    use NoticeEvent as E;
    let waits = |n: &&Notice| n.state == NoticeState::Waiting;
    let drops = |n: &&Notice| match h.event {
        E::Resolved | E::Merged => {
            let untried = n.tries == 0 && !n.may_have_arrived();
            (untried && n.due_at > h.now) || matches!(n.event, E::Escalated | E::Reminder)
        }
        E::Acknowledged => n.event == E::Escalated,
        _ => false,
    };
    let why = match (h.event, h.incident.owner.as_deref()) {
        (E::Acknowledged, Some(owner)) => format!("{owner} acknowledged the incident before."),
        (E::Acknowledged, None) => "The incident was acknowledged before.".to_owned(),
        (E::Merged, _) => "The incident became part of another one before.".to_owned(),
        _ => "The incident was over before.".to_owned(),
    };
    earlier.iter().filter(waits).filter(drops).map(|n| (n.id, why.clone())).collect()
}

/// The same targets as before, for what happens later.
fn again(h: Happened<'_>, row: &NoticeRule, mine: &[&Notice]) -> Vec<Wish> {
    let mut seen = BTreeSet::new();
    let places = mine.iter().filter(|n| seen.insert((n.channel, n.address.clone())));
    places
        .map(|n| Wish {
            event: h.event,
            severity_before: h.severity_before,
            rule: row.id,
            rung: n.rung,
            channel: n.channel,
            person: n.person.clone(),
            address: n.address.clone(),
            reason: n.reason.clone(),
            due_at: h.now,
            gathers: row.gather_secs > 0,
            remind_secs: None,
        })
        .collect()
}

/// The messages that reach a target, and why some do not.
fn reach(
    book: Book<'_>,
    target: &Target,
    h: Happened<'_>,
    row: &NoticeRule,
    why: &str,
    nobody: &mut Vec<String>,
) -> Vec<Wish> {
    let wish = |channel: ChannelId, person: Option<&str>, address: Option<&String>, reason: String| Wish {
        event: h.event,
        severity_before: h.severity_before,
        rule: row.id,
        rung: None,
        channel,
        person: person.map(ToOwned::to_owned),
        address: address.cloned(),
        reason,
        due_at: h.now,
        gathers: row.gather_secs > 0,
        remind_secs: row.remind_secs,
    };
    let usable = |id: ChannelId| book.channels.get(&id.0).filter(|c| c.enabled);
    let person = |name: &str, reason: String, nobody: &mut Vec<String>| {
        let contacts = book.people.get(name).map_or(&[][..], |p| &p.contacts);
        let enough = |c: &&Contact| c.from.is_none_or(|from| h.incident.severity <= from);
        let found: Vec<Wish> = contacts
            .iter()
            .filter(enough)
            .filter(|c| usable(c.channel).is_some())
            .map(|c| wish(c.channel, Some(name), c.address.as_ref(), reason.clone()))
            .collect();
        if found.is_empty() {
            nobody.push(format!("{name} has no contact method for {} that is switched on.", h.incident.severity));
        }
        found
    };
    match target {
        Target::Channel(id) => match book.channels.get(&id.0) {
            Some(channel) if channel.enabled => vec![wish(*id, None, None, format!("{why} tells this channel."))],
            Some(channel) => {
                nobody.push(format!("Channel “{}” is switched off.", channel.name));
                Vec::new()
            }
            None => {
                nobody.push(format!("Channel {id} is gone."));
                Vec::new()
            }
        },
        Target::Person(name) => person(name, format!("{why} tells {name}."), nobody),
        Target::OnCall(id) => match book.schedules.get(&id.0) {
            Some(schedule) => match on_call::who(schedule, h.now) {
                Some(name) => {
                    let reason = format!("{why} tells whoever is on call in “{}”: {name}.", schedule.name);
                    person(&name, reason, nobody)
                }
                None => {
                    nobody.push(format!("Nobody is on call in “{}” now.", schedule.name));
                    Vec::new()
                }
            },
            None => {
                nobody.push(format!("Schedule {id} is gone."));
                Vec::new()
            }
        },
    }
}

/// When a message goes out.
fn when(row: &NoticeRule, h: Happened<'_>, wish: &Wish, mine: &[&Notice]) -> Time {
    let secs = |n: u32| Duration::from_secs(u64::from(n));
    // What is held back in case it ends by itself; an end, an answer or an acknowledgement does not.
    let news = matches!(h.event, NoticeEvent::Acknowledged | NoticeEvent::Resolved | NoticeEvent::Analyzed);
    let opens = matches!(h.event, NoticeEvent::Opened | NoticeEvent::Reopened) || (mine.is_empty() && !news);
    let mut due = h.now.plus(secs(row.gather_secs));
    if opens {
        due = due.plus(secs(row.wait_secs));
    }
    let due = loud(row, h.incident.severity, due);
    // Not before what it follows.
    let before = mine.iter().filter(|n| {
        let untried = n.state == NoticeState::Waiting && n.tries == 0 && !n.may_have_arrived();
        untried && n.place() == (wish.channel, wish.address.as_deref())
    });
    before.map(|n| n.due_at).chain([due]).max().unwrap_or(due)
}

/// The first moment from `due` on at which a rule does not keep quiet about such a severity.
pub fn loud(row: &NoticeRule, severity: Severity, due: Time) -> Time {
    let quiet = row.quiet.as_ref().filter(|q| q.but_from.is_none_or(|from| severity > from));
    quiet.and_then(|q| times::until(&q.times, due)).unwrap_or(due)
}

/// The messages of one step of a policy, and why some targets are not reached.
pub fn escalate(
    book: Book<'_>,
    policy: &EscalationPolicy,
    rung: Rung,
    rule: RuleId,
    h: Happened<'_>,
) -> (Vec<Wish>, Considered) {
    let step = usize::try_from(rung.step).unwrap_or(usize::MAX);
    let number = rung.step + 1;
    let name = format!("{}, step {number}", policy.name);
    let why = format!("Step {number} of “{}”", policy.name);
    let row = NoticeRule { id: rule, ..blank(h.now) };
    let mut nobody = Vec::new();
    let mut taken = BTreeSet::new();
    let mut wishes = Vec::new();
    for target in policy.steps.get(step).iter().flat_map(|s| &s.targets) {
        for wish in reach(book, target, h, &row, &why, &mut nobody) {
            if taken.insert(wish.place()) {
                wishes.push(Wish { rung: Some(rung), ..wish });
            }
        }
    }
    let nobody = nobody.join(" ");
    let (outcome, why) = if wishes.is_empty() {
        (Considering::Nobody, if nobody.is_empty() { "There is nobody to tell.".to_owned() } else { nobody })
    } else {
        let names: Vec<String> = wishes.iter().map(|w| name_of(book, w)).collect();
        (Considering::Tells, format!("It tells {}. {nobody}", names.join(", ")).trim().to_owned())
    };
    (wishes, Considered { rule: Some(rule), name, outcome, why, notices: Vec::new() })
}

/// A rule that says nothing: what a step of a policy goes by.
fn blank(now: Time) -> NoticeRule {
    NoticeRule {
        id: RuleId(0),
        name: String::new(),
        enabled: true,
        position: 0,
        from: None,
        matchers: Vec::new(),
        condition: None,
        times: None,
        events: Vec::new(),
        targets: Vec::new(),
        policy: None,
        wait_secs: 0,
        gather_secs: 0,
        quiet: None,
        remind_secs: None,
        last: false,
        created_at: now,
        created_by: String::new(),
        updated_at: now,
    }
}

/// Whom a message reaches, in words: `ada by Mail`, `#incidents`.
fn name_of(book: Book<'_>, wish: &Wish) -> String {
    let channel = book.channels.get(&wish.channel.0).map_or_else(|| wish.channel.to_string(), |c| c.name.clone());
    match &wish.person {
        Some(person) => format!("{person} by {channel}"),
        None => channel,
    }
}

fn event_words(event: NoticeEvent) -> &'static str {
    match event {
        NoticeEvent::Opened => "incidents that open",
        NoticeEvent::Reopened => "incidents that open again",
        NoticeEvent::SeverityUp => "incidents that get worse",
        NoticeEvent::Analyzed => "answers of investigations",
        NoticeEvent::Acknowledged => "acknowledgements",
        NoticeEvent::Resolved => "incidents that are over",
        NoticeEvent::Escalated | NoticeEvent::Reminder | NoticeEvent::Merged | NoticeEvent::Test => "this",
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

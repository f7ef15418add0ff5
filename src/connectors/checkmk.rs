//! Checkmk: a notification script on its server sends what it finds in its environment. Ours is on the page; scripts that
//! send the same under names of their own are read too.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    Connector, Info, Overload, Request, body,
    fields::Obj,
    identity, labels, moment,
    states::{self, State},
    text,
};
use crate::model::{Parsed, Problem, Severity, Signal, SignalStatus, Time};

pub(super) struct Checkmk;

static INFO: Info = Info {
    slug: "checkmk",
    name: "Checkmk",
    tile: "Cm",
    way: "Notification script",
    success: 202,
    overload: Overload::NeverRefuse,
    lenient: false,
    builds: false,
    signature: None,
    steps: &[
        "As the user of the Checkmk site, put these lines into ~/local/share/check_mk/notifications/watchfire:",
        "`#!/usr/bin/env python3` new line `# Watchfire` new line `import json, os, urllib.request as u` new line \
         `e = {k[7:].lower(): v for k, v in os.environ.items() if k.startswith('NOTIFY_')}` new line `p = [e.pop(k, '') for k in \
         ('parameter_1', 'parameter_2', 'parameter_3')]` new line `e = {k: v for k, v in e.items() if not \
         k.startswith('parameter')}` new line `e['base_url'] = p[2]` new line `u.urlopen(u.Request(p[0], \
         json.dumps(e).encode(), {'Content-Type': 'application/json', 'X-Watchfire-Key': p[1]}), timeout=10)`",
        "Make it executable with chmod +x. In Setup, Events, Notifications, Add rule, choose the Notification method \
         Watchfire and Call with the following parameters: {url}, {key}, and the address of the site such as \
         https://monitoring.example.com/mysite/check_mk.",
        "Let the rule match Recovery as well: without it nothing will ever resolve here.",
        "Try it under Test notifications, or with Fake check results on a service.",
    ],
    fields: &[
        ("Title", "host, service and state"),
        ("Description", "output, long output"),
        ("Severity", "DOWN is critical, CRIT high, WARN, UNKNOWN and UNREACH medium"),
        ("Host", "host"),
        ("Service", "a service of Checkmk is one check of a host: it is kept as label check"),
        ("Identity", "site, host and service"),
        (
            "State",
            "notification type PROBLEM or RECOVERY, and the state; ACKNOWLEDGEMENT; others are lines in the timeline",
        ),
        ("Link", "url, or the host's or service's in base_url"),
        ("Time", "micro time; others are the site's own zone and only kept as text"),
    ],
    sample: include_str!("samples/checkmk.json"),
};

impl Connector for Checkmk {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        let body = body::read(request)?;
        let root = body.object(INFO.name)?;
        let Some(mut signal) = Message::new(root).signal() else {
            let looked_for = "`hostname` or `host`, with `servicestate`, `hoststate` or `status`";
            return Err(body::unrecognised(INFO.name, looked_for, root));
        };
        signal.repaired = body.repaired;
        Ok(Parsed { signals: vec![signal], notes: body.notes, ..Parsed::default() })
    }
}

/// Fields by what they mean: `HOSTNAME`, `NOTIFY_HOSTNAME`, `host_name` and `hostname` are one.
struct Message<'a>(HashMap<String, &'a Value>);

fn normal(name: &str) -> String {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    plain.strip_prefix("notify").map(str::to_owned).unwrap_or(plain)
}

impl<'a> Message<'a> {
    fn new(root: Obj<'a>) -> Self {
        let mut fields = HashMap::new();
        for (name, value) in root.iter() {
            fields.entry(normal(name)).or_insert(value);
        }
        Self(fields)
    }

    /// The first that says something; a macro that was not filled in stays as `$SERVICEDESC$`.
    fn text(&self, names: &[&str]) -> Option<String> {
        let macro_name = |t: &String| t.len() > 1 && t.starts_with('$') && t.ends_with('$');
        names.iter().find_map(|name| self.0.get(*name).and_then(|v| text::scalar(v)).filter(|t| !macro_name(t)))
    }

    fn time(&self, names: &[&str]) -> Option<Time> {
        names.iter().find_map(|name| self.0.get(*name).and_then(|v| moment::time(v)))
    }

    fn signal(&self) -> Option<Signal> {
        let host = self.text(&["hostname", "host"])?;
        let what = self.text(&["what"]);
        let of_host = what.as_deref().is_some_and(|w| w.eq_ignore_ascii_case("HOST"));
        let check = self.text(&["servicedesc", "service", "servicedescription"]).filter(|_| !of_host);
        let word = match check {
            // A notification about a service tells of its host as well.
            Some(_) => self.text(&["servicestate", "serviceshortstate", "status", "state"]),
            None => self.text(&["hoststate", "hostshortstate", "status", "state"]),
        };
        let state = word.as_deref().and_then(|w| State::read(w, check.is_some()));
        let kind = self.text(&["notificationtype"]);
        let status = states::status(kind.as_deref(), state)?;
        let site = self.text(&["omdsite", "site"]);
        let subject = check.as_ref().map_or_else(|| host.clone(), |c| format!("{host}: {c}"));
        let shown = state.map_or("", State::as_str);
        let title = text::title(&format!("{subject} {shown}"))?;
        let parts = [("site", site.as_deref()), ("host", Some(host.as_str())), ("service", check.as_deref())];
        let mut signal = identity::signal(INFO.slug, "Site, host and service of Checkmk.", &parts, title);
        signal.status = status;
        let level = self.text(&["severity"]);
        let known = state.map(State::severity).or_else(|| level.as_deref().and_then(text::severity));
        signal.severity = known.unwrap_or(Severity::Medium);
        signal.severity_raw = word.or(level).and_then(|w| text::name(&w));
        signal.host = text::host(&host);
        // Of its host, a notification about a service tells as well; the other way round nothing is filled in.
        let own = |service: &'static str, host: &'static str| if check.is_some() { service } else { host };
        let output = self.text(&[own("serviceoutput", "hostoutput"), "output", "summary"]);
        let comment = self.text(&["notificationcomment", "ackcomment"]);
        let long = self.text(&[own("longserviceoutput", "longhostoutput"), "longoutput"]);
        // Line ends come as two characters.
        let long = long.map(|l| l.replace("\\n", "\n"));
        let said: Vec<&str> = [&comment, &output, &long].into_iter().flatten().map(String::as_str).collect();
        signal.description = text::description(&said.join("\n"));
        let at = self.time(&["microtime"]);
        signal.observed_at = at;
        match status {
            SignalStatus::Firing => signal.started_at = at,
            SignalStatus::Resolved => signal.ended_at = at,
            SignalStatus::Acknowledged | SignalStatus::Info => {}
        }
        signal.url = self.link(check.is_some());
        for (name, value) in [
            ("site", site),
            ("check", check),
            ("alias", self.text(&["hostalias", "alias"])),
            ("address", self.text(&["hostaddress", "address"])),
            ("check_command", self.text(&["servicecheckcommand", "hostcheckcommand", "checkcommand"])),
            ("hostgroups", self.text(&["hostgroupnames"])),
            ("servicegroups", self.text(&["servicegroupnames"])),
        ] {
            labels::add(&mut signal.labels, name, value.as_deref());
        }
        for (name, value) in [
            ("notification_type", kind),
            ("event", self.text(&["event"])),
            ("perf_data", self.text(&["serviceperfdata", "hostperfdata", "perfdata"])),
            ("server_time", self.text(&["longdatetime", "shortdatetime"])),
        ] {
            labels::add(&mut signal.annotations, name, value.as_deref());
        }
        Some(signal)
    }

    /// Checkmk writes its links from the site's root on: `/check_mk/index.py?start_url=…`.
    fn link(&self, of_service: bool) -> Option<String> {
        let own = if of_service { "serviceurl" } else { "hosturl" };
        let sent = self.text(&[own, "url"])?;
        if let Some(whole) = text::url(&sent) {
            return Some(whole);
        }
        let base = self.text(&["baseurl"]).and_then(|b| text::url(&b))?;
        let base = base.trim_end_matches('/').trim_end_matches("/check_mk");
        let path = sent.strip_prefix('/')?;
        text::url(&format!("{base}/{path}"))
    }
}

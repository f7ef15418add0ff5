//! What the tools of the demo's company send: the forms of `tests/fixtures`, with other contents.

use serde_json::{Value, json};

use crate::model::Time;

/// A tool that sends alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// Prometheus by way of Alertmanager.
    Alertmanager,
    /// Unified alerting.
    Grafana,
    /// A webhook with the connector's template.
    Datadog,
    /// Issues.
    Sentry,
    /// Netdata Cloud.
    Netdata,
    /// Probes from outside.
    UptimeKuma,
}

impl Tool {
    /// As in URLs.
    pub const fn platform(self) -> &'static str {
        match self {
            Self::Alertmanager => "alertmanager",
            Self::Grafana => "grafana",
            Self::Datadog => "datadog",
            Self::Sentry => "sentry",
            Self::Netdata => "netdata",
            Self::UptimeKuma => "uptime-kuma",
        }
    }
}

/// How bad a sender says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// The worst.
    Critical,
    /// An error.
    Error,
    /// A warning.
    Warning,
}

/// An alert of the company.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Who sends it.
    pub tool: Tool,
    /// The rule.
    pub rule: &'static str,
    /// One line.
    pub title: &'static str,
    /// More.
    pub text: &'static str,
    /// The service; Netdata names the machine only.
    pub service: &'static str,
    /// The machine.
    pub host: &'static str,
    /// How bad.
    pub bad: Bad,
}

/// A request: for which connector, with which headers, and its body.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// As in URLs.
    pub platform: &'static str,
    /// Those that connectors read.
    pub headers: Vec<(String, String)>,
    /// JSON.
    pub body: Value,
}

impl Alarm {
    /// A number of its own, the same each time.
    fn number(&self) -> u64 {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        let bytes = [self.rule, self.service, self.host].into_iter().flat_map(str::bytes);
        bytes.fold(0xcbf2_9ce4_8422_2325, step)
    }

    /// It fires, or it is over. `began` is when it began, `at` now, `turn` another number for each request.
    pub fn sent(&self, firing: bool, began: Time, at: Time, turn: u64) -> Sent {
        let (mut headers, body) = match self.tool {
            Tool::Alertmanager => (Vec::new(), self.alertmanager(firing, began, at)),
            Tool::Grafana => (Vec::new(), self.grafana(firing, began, at)),
            Tool::Datadog => (Vec::new(), self.datadog(firing, at, turn)),
            Tool::Sentry => {
                let id = format!("{:016x}{turn:016x}", self.number());
                let headers =
                    vec![("sentry-hook-resource".to_owned(), "issue".to_owned()), ("request-id".to_owned(), id)];
                (headers, self.sentry(firing, began, at))
            }
            Tool::Netdata => (Vec::new(), self.netdata(firing, turn)),
            Tool::UptimeKuma => (Vec::new(), self.uptime_kuma(firing, at)),
        };
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
        Sent { platform: self.tool.platform(), headers, body }
    }

    fn word(&self) -> &'static str {
        match self.bad {
            Bad::Critical => "critical",
            Bad::Error => "error",
            Bad::Warning => "warning",
        }
    }

    fn alertmanager(&self, firing: bool, began: Time, at: Time) -> Value {
        let status = if firing { "firing" } else { "resolved" };
        let ends = if firing { "0001-01-01T00:00:00Z".to_owned() } else { at.to_string() };
        json!({
            "receiver": "watchfire",
            "status": status,
            "alerts": [{
                "status": status,
                "labels": {
                    "alertname": self.rule, "service": self.service, "instance": format!("{}:9100", self.host),
                    "severity": self.word(), "env": "production"
                },
                "annotations": { "summary": self.title, "description": self.text },
                "startsAt": began.to_string(),
                "endsAt": ends,
                "generatorURL": format!("https://prometheus.example.com/graph?g0.expr={}&g0.tab=1", self.rule),
                "fingerprint": format!("{:016x}", self.number())
            }],
            "groupLabels": { "alertname": self.rule },
            "commonLabels": { "alertname": self.rule },
            "commonAnnotations": {},
            "externalURL": "https://alertmanager.example.com",
            "version": "4",
            "groupKey": format!("{{}}:{{alertname=\"{}\"}}", self.rule),
            "truncatedAlerts": 0
        })
    }

    fn grafana(&self, firing: bool, began: Time, at: Time) -> Value {
        let status = if firing { "firing" } else { "resolved" };
        let ends = if firing { "0001-01-01T00:00:00Z".to_owned() } else { at.to_string() };
        let number = self.number();
        json!({
            "receiver": "watchfire",
            "status": status,
            "orgId": 1,
            "alerts": [{
                "status": status,
                "labels": {
                    "alertname": self.rule, "service": self.service, "severity": self.word(), "env": "production",
                    "grafana_folder": "Shop"
                },
                "annotations": { "summary": self.title, "description": self.text },
                "startsAt": began.to_string(),
                "endsAt": ends,
                "values": { "B": 4.8, "C": 1 },
                "generatorURL": format!("https://grafana.example.com/alerting/grafana/{number:x}/view?orgId=1"),
                "fingerprint": format!("{number:016x}"),
                "silenceURL": "https://grafana.example.com/alerting/silence/new",
                "dashboardURL": "https://grafana.example.com/d/shop?orgId=1",
                "panelURL": "",
                "ruleUID": format!("{number:x}")
            }],
            "groupLabels": { "alertname": self.rule },
            "commonLabels": { "alertname": self.rule },
            "commonAnnotations": {},
            "externalURL": "https://grafana.example.com/",
            "version": "1",
            "groupKey": format!("{{}}:{{alertname=\"{}\"}}", self.rule),
            "truncatedAlerts": 0,
            "title": self.title,
            "state": if firing { "alerting" } else { "ok" }
        })
    }

    fn datadog(&self, firing: bool, at: Time, turn: u64) -> Value {
        let transition = if firing { "Triggered" } else { "Recovered" };
        let priority = match self.bad {
            Bad::Critical => "P1",
            Bad::Error => "P2",
            Bad::Warning => "P4",
        };
        let monitor = self.number() % 10_000_000;
        json!({
            "id": format!("{}", self.number().wrapping_add(turn)),
            "title": format!("[{priority}] [{transition} on {{host:{},env:production}}] {}", self.host, self.title),
            "text": format!("%%%\n{} @webhook-watchfire\n%%%", self.text),
            "event_type": "metric_alert_monitor",
            "alert_id": format!("{monitor}"),
            "alert_transition": transition,
            "alert_type": if firing { "error" } else { "success" },
            "alert_title": self.title,
            "alert_metric": self.rule,
            "alert_scope": format!("host:{},env:production", self.host),
            "alert_priority": priority,
            "hostname": self.host,
            "tags": format!("env:production,service:{},monitor", self.service),
            "date": format!("{}", at.millis()),
            "last_updated": format!("{}", at.millis()),
            "link": format!("https://app.datadoghq.com/monitors/{monitor}"),
            "org": { "id": "415600", "name": "Acme" }
        })
    }

    fn sentry(&self, firing: bool, began: Time, at: Time) -> Value {
        let id = self.number() % 10_000_000_000;
        let level = if self.bad == Bad::Warning { "warning" } else { "error" };
        json!({
            "action": if firing { "created" } else { "resolved" },
            "actor": { "id": "sentry", "name": "Sentry", "type": "application" },
            "data": { "issue": {
                "id": format!("{id}"),
                "shortId": format!("{}-7K", self.service.to_uppercase()),
                "title": self.title,
                "culprit": self.rule,
                "level": level,
                "status": if firing { "unresolved" } else { "resolved" },
                "substatus": "new",
                "permalink": null,
                "web_url": format!("https://acme.sentry.io/issues/{id}/"),
                "platform": "python",
                "project": { "id": "1", "name": self.service, "slug": self.service },
                "firstSeen": began.to_string(),
                "lastSeen": at.to_string(),
                "count": "212",
                "userCount": 87,
                "metadata": { "type": self.rule, "value": self.text, "filename": "pool.py" }
            } },
            "installation": { "uuid": "a8e5d37a-696c-4c54-adb5-b3f28d64c7de" }
        })
    }

    fn netdata(&self, firing: bool, turn: u64) -> Value {
        let number = self.number();
        let (status, verb) = match (firing, self.bad) {
            (false, _) => ("Clear", "Recovered from"),
            (true, Bad::Warning) => ("Warning", "Raised to Warning,"),
            (true, _) => ("Critical", "Raised to Critical,"),
        };
        let node = format!("1f1b3c5e-7a9b-4c3d-8e5f-{:012x}", number & 0xffff_ffff_ffff);
        let transition = format!("7d444840-9dc0-4bd1-{:04x}-{:012x}", number & 0xffff, turn & 0xffff_ffff_ffff);
        json!({
            "message": format!("{verb} {}, on {}", self.title, self.host),
            "space": { "id": "0d2c", "name": "Acme", "slug": "acme" },
            "node": { "hostname": self.host },
            "Rooms": ["All nodes", "production"],
            "alert": {
                "name": self.rule,
                "state": { "status": status, "value": 94.2, "value_str": "94.2%" },
                "chart": { "id": self.rule, "name": self.rule },
                "context": self.rule,
                "rendered": { "info": self.text, "summary": self.title },
                "duration": { "value": 120, "value_str": "2m" },
                "url": format!("https://app.netdata.cloud/spaces/acme/rooms/all-nodes/alerts/{}:::{node}?alarm={}&transition={transition}", self.rule, self.rule),
                "config": { "classification": "Utilization" }
            }
        })
    }

    fn uptime_kuma(&self, firing: bool, at: Time) -> Value {
        let number = self.number() % 1_000;
        json!({
            "heartbeat": {
                "monitorID": number,
                "status": u8::from(!firing),
                "time": at.timestamp().strftime("%Y-%m-%d %H:%M:%S.%3f").to_string(),
                "msg": if firing { self.text } else { "200 - OK" },
                "ping": null,
                "important": true,
                "duration": 60,
                "retries": 2,
                "timezone": "Etc/UTC",
                "timezoneOffset": "+00:00",
                "localDateTime": at.timestamp().strftime("%Y-%m-%d %H:%M:%S").to_string()
            },
            "monitor": {
                "id": number,
                "name": self.title,
                "description": null,
                "pathName": format!("Production / {}", self.title),
                "url": format!("https://{}/health", self.host),
                "method": "GET",
                "hostname": null,
                "port": null,
                "type": "http",
                "interval": 60,
                "maxretries": 2,
                "active": true,
                "tags": [
                    { "tag_id": 1, "monitor_id": number, "value": self.service, "name": "service", "color": "#2563EB" },
                    { "tag_id": 2, "monitor_id": number, "value": "production", "name": "env", "color": "#DC2626" }
                ],
                "accepted_statuscodes": ["200-299"]
            },
            "msg": format!("[{}] [{}] {}", self.title, if firing { "🔴 Down" } else { "✅ Up" }, self.text)
        })
    }
}

/// A deployment that GitHub tells of.
pub fn deployed(service: &str, version: &str, what: &str, at: Time, turn: u64) -> Sent {
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("x-github-event", "deployment_status".to_owned()),
        ("x-github-delivery", format!("72d3162e-cc78-11e3-81ab-{:012x}", turn & 0xffff_ffff_ffff)),
    ];
    let body = json!({
        "action": "created",
        "deployment_status": {
            "id": turn,
            "state": "success",
            "description": what,
            "environment": "production",
            "target_url": format!("https://deploy.example.com/{service}/{version}"),
            "log_url": format!("https://deploy.example.com/{service}/{version}/log"),
            "created_at": at.to_string(),
            "updated_at": at.to_string(),
            "creator": { "login": "mara" }
        },
        "deployment": {
            "id": turn,
            "sha": format!("{:040x}", u128::from(turn) * 0x9e37_79b9_7f4a_7c15),
            "ref": version,
            "task": "deploy",
            "environment": "production",
            "description": what,
            "creator": { "login": "mara" },
            "created_at": at.to_string()
        },
        "repository": { "id": 1, "name": service, "full_name": format!("acme/{service}") }
    });
    Sent { platform: "github", headers: headers.map(|(n, v)| (n.to_owned(), v)).to_vec(), body }
}

//! Netdata Cloud's bodies: flat as documented (`alarm` until 2023, then `alert`), nested as seen, and reachability.

use serde_json::Value;

use super::{Alert, INFO, rooms, state, value_in};
use crate::{
    connectors::{
        body::{limited, problem},
        fields::Obj,
        identity,
        labels::{self, Labels},
        text,
    },
    model::{Problem, Signal, SignalStatus},
};

/// The flat body. It has no field for the host.
pub(super) fn flat(root: Obj<'_>) -> Option<Signal> {
    let link = root.first(&["alert_url", "alarm_url"]);
    let from_link = |name| link.as_deref().and_then(|url| text::url_parameter(url, name));
    let name = root.first(&["alert", "alarm"]).or_else(|| from_link("alarm"))?;
    let message = root.text("message");
    let mut labels = Labels::new();
    for field in ["context", "family", "class"] {
        labels::add(&mut labels, field, root.text(field).as_deref());
    }
    labels::add(&mut labels, "rooms", rooms(root).as_deref());
    let alert = Alert {
        space: root.text("space").or_else(|| root.object("space").first(&["name", "slug"])),
        host: root
            .first(&["hostname", "host"])
            .and_then(|h| text::host(&h))
            .or_else(|| message.as_deref().and_then(host_of)),
        chart: root.text("chart").or_else(|| from_link("chart")),
        state: root.first(&["severity", "status"]).unwrap_or_else(|| "warning".to_owned()),
        info: root.text("info"),
        value: root.first(&["value_string", "value"]).or_else(|| value_in(message.as_deref()?)),
        node: None,
        name,
        message,
        labels,
    };
    let mut signal = alert.signal();
    dates(&mut signal, root);
    signal.url = link.and_then(|url| text::url(&url));
    for field in [
        "duration",
        "additional_active_critical_alerts",
        "additional_active_warning_alerts",
        "critical_count",
        "warning_count",
    ] {
        labels::add(&mut signal.annotations, field, root.text(field).as_deref());
    }
    Some(signal)
}

/// The time of a Cloud message is that of the change it tells of.
fn dates(signal: &mut Signal, root: Obj<'_>) {
    let at = root.time("date").or_else(|| root.time("when"));
    signal.observed_at = at;
    match signal.status {
        SignalStatus::Firing => signal.started_at = at,
        SignalStatus::Resolved => signal.ended_at = at,
        SignalStatus::Acknowledged | SignalStatus::Info => {}
    }
}

/// The host at the end of `…, on web-1`: the word after the last ` on `, if it is one word.
fn host_of(message: &str) -> Option<String> {
    let (_, host) = message.rsplit_once(" on ")?;
    let host = host.trim().trim_end_matches(['.', ',', ';', '!']);
    (!host.contains(char::is_whitespace)).then(|| text::host(host)).flatten()
}

/// The nested body.
pub(super) fn nested(root: Obj<'_>) -> Result<Signal, Problem> {
    let alert = root.object("alert");
    let message = root.text("message");
    let url = alert.text("url").or_else(|| root.first(&["alert_url", "url"]));
    let from_link = |name| url.as_deref().and_then(|u| text::url_parameter(u, name));
    let name = alert.text("name").or_else(|| from_link("alarm")).ok_or_else(|| {
        problem(
            "unrecognised",
            "`alert` is an object without `name`: no alert is named.",
            Some("/alert/name".to_owned()),
        )
    })?;
    let (chart, config, rendered) = (alert.object("chart"), alert.object("config"), alert.object("rendered"));
    let state = alert.object("state");
    let (node, space) = (root.object("node"), root.object("space"));
    let mut labels = Labels::new();
    labels::add(&mut labels, "context", alert.text("context").as_deref());
    labels::add(&mut labels, "class", config.text("classification").as_deref());
    labels::add(&mut labels, "rooms", rooms(root).as_deref());
    let read = Alert {
        space: root.text("space").or_else(|| space.first(&["name", "slug", "id"])),
        host: node
            .first(&["hostname", "name"])
            .or_else(|| root.first(&["hostname", "host"]))
            .or_else(|| message.as_deref().and_then(host_of))
            .and_then(|h| text::host(&h)),
        chart: chart.first(&["id", "name"]).or_else(|| alert.text("chart")).or_else(|| from_link("chart")),
        state: state
            .text("status")
            .or_else(|| alert.first(&["status", "severity"]))
            .or_else(|| root.text("severity"))
            .unwrap_or_else(|| "warning".to_owned()),
        info: rendered.first(&["info", "summary"]).or_else(|| alert.text("info")),
        value: state.first(&["value_str", "value"]).or_else(|| value_in(message.as_deref()?)),
        node: url.as_deref().and_then(node_id),
        name,
        message,
        labels,
    };
    let mut signal = read.signal();
    dates(&mut signal, root);
    signal.url = url.and_then(|u| text::url(&u));
    signal.path = "/alert".to_owned();
    labels::add(&mut signal.annotations, "summary", rendered.text("summary").as_deref());
    labels::add(
        &mut signal.annotations,
        "duration",
        alert.object("duration").first(&["value_str", "value"]).as_deref(),
    );
    Ok(signal)
}

/// The node in `…/alerts/<chart>.<name>:::<uuid>?…&transition=<uuid>`. One that only repeats the transition changes
/// with every message and names nothing.
fn node_id(url: &str) -> Option<String> {
    let (path, _) = url.split_once('?').unwrap_or((url, ""));
    let (_, node) = path.rsplit_once(":::")?;
    let plain = node.len() == 36 && node.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    (plain && text::url_parameter(url, "transition").as_deref() != Some(node)).then(|| node.to_ascii_lowercase())
}

/// Nodes that are gone or back; one message may tell of several.
pub(super) fn reachability(root: Obj<'_>) -> Result<Vec<Signal>, Problem> {
    let status = root.object("status");
    let word = match status.flag("reachable") {
        Some(true) => "reachable".to_owned(),
        Some(false) => "unreachable".to_owned(),
        None => status
            .text("text")
            .or_else(|| root.first(&["status", "severity"]))
            .unwrap_or_else(|| "unreachable".to_owned()),
    };
    let message = root.text("message");
    let url = root.text("url");
    let space = root
        .text("space")
        .or_else(|| root.object("space").first(&["name", "slug", "id"]))
        .or_else(|| url.as_deref().and_then(space_of));
    let nodes: Vec<(String, Option<String>)> = match root.get("nodes") {
        Some(Value::Array(list)) => limited(list, "/nodes")?
            .iter()
            .enumerate()
            .map(|(index, node)| {
                let name = text::scalar(node).or_else(|| Obj::of(Some(node)).first(&["hostname", "name", "host"]));
                (format!("/nodes/{index}"), name.and_then(|h| text::host(&h)))
            })
            .collect(),
        _ => vec![(String::new(), root.first(&["host", "hostname"]).and_then(|h| text::host(&h)))],
    };
    let several = nodes.len() > 1;
    let mut signals = Vec::new();
    for (path, host) in nodes {
        let Some(host) = host.or_else(|| message.as_deref().filter(|_| !several).and_then(host_before)) else {
            continue;
        };
        let title = message.as_deref().filter(|_| !several).and_then(text::title);
        let mut signal = identity::signal(
            INFO.slug,
            "Whether that host in that space can be reached.",
            &[("space", space.as_deref()), ("host", Some(&host)), ("kind", Some("reachability"))],
            title.unwrap_or_else(|| format!("{host} is {}", text::line(&word, 40))),
        );
        (signal.status, signal.severity) = state(&word);
        signal.severity_raw = root.text("severity").or(Some(word.clone())).and_then(|s| text::name(&s));
        signal.url = url.as_deref().and_then(text::url);
        signal.path = path;
        dates(&mut signal, root);
        labels::add(&mut signal.labels, "alert", Some("reachability"));
        labels::add(&mut signal.labels, "host", Some(&host));
        labels::add(&mut signal.labels, "space", space.as_deref());
        labels::add(&mut signal.labels, "rooms", rooms(root).as_deref());
        signal.environment = super::environment(&signal.labels);
        signal.host = Some(host);
        signals.push(signal);
    }
    if signals.is_empty() {
        let path = if root.has("nodes") { "/nodes" } else { "/host" };
        return Err(problem(
            "unrecognised",
            "A reachability message without `host` or `nodes[].hostname`: no node is named.",
            Some(path.to_owned()),
        ));
    }
    Ok(signals)
}

/// The space in `…/spaces/<slug>/…`.
fn space_of(url: &str) -> Option<String> {
    text::name(url.split_once("/spaces/")?.1.split(['/', '?']).next()?)
}

/// The host in `<Space>/<host> is unreachable`.
fn host_before(message: &str) -> Option<String> {
    let (before, _) = message.split_once(" is ")?;
    text::host(before.rsplit('/').next()?).filter(|h| !h.contains(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_in_messages() {
        assert_eq!(host_of("Raised to Critical, CPU = 99%, on web-1").as_deref(), Some("web-1"));
        assert_eq!(host_of("disk_full on / on web-1.example.com.").as_deref(), Some("web-1.example.com"));
        assert_eq!(host_of("High load on the server cluster"), None);
        assert_eq!(host_before("Acme/web-1 is unreachable").as_deref(), Some("web-1"));
    }

    #[test]
    fn nodes_in_links() {
        let node = "1f1b3c5e-7a9b-4c3d-8e5f-0a1b2c3d4e5f";
        let link = |transition: &str| {
            format!("https://app.netdata.cloud/spaces/a/rooms/b/alerts/c.d:::{node}?transition={transition}")
        };
        assert_eq!(node_id(&link("99")).as_deref(), Some(node));
        assert_eq!(node_id(&link(node)), None);
        assert_eq!(node_id("https://app.netdata.cloud/spaces/a"), None);
        assert_eq!(space_of(&link("")).as_deref(), Some("a"));
    }
}

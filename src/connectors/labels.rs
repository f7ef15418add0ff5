//! Labels and tags: reading them, and what they tell of service, host and environment.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{fields::Obj, text};

/// Names and values, as every signal carries them.
pub(super) type Labels = BTreeMap<String, String>;

const SERVICE: &[&str] =
    &["service", "service_name", "service.name", "app", "application", "app_kubernetes_io_name", "component"];
const HOST: &[&str] = &["host", "hostname", "host.name", "instance", "node", "nodename", "server"];
const ENVIRONMENT: &[&str] = &[
    "environment",
    "env",
    "deployment_environment",
    "deployment.environment",
    "deployment.environment.name",
    "stage",
    "tier",
];

/// An object of labels. Values that say nothing (empty, `null`, a variable that was not filled in) are dropped, several
/// scalars are joined by commas, and what else is no scalar is kept as compact JSON.
pub(super) fn read(value: Option<&Value>) -> Labels {
    Obj::of(value).iter().filter_map(|(name, value)| Some((text::name(name)?, plain(value)?))).collect()
}

/// Any value as the text of a label.
fn plain(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(s) => text::label(s),
        // Several values of one name, as Splunk has them.
        Value::Array(list) if list.iter().all(|v| !v.is_array() && !v.is_object()) => {
            text::label(&list.iter().filter_map(text::scalar).collect::<Vec<_>>().join(","))
        }
        other => text::label(&other.to_string()),
    };
    (!text::absent(&text)).then_some(text)
}

/// Adds a label if there is something to add and nothing there.
pub(super) fn add(labels: &mut Labels, name: &str, value: Option<&str>) {
    if let Some(value) = value.map(text::label).filter(|v| !v.is_empty()) {
        labels.entry(name.to_owned()).or_insert(value);
    }
}

/// Tags as a comma list, a list of texts, or a list of `{key, value}`. A tag without a value is a flag: `true`. A name
/// that comes twice keeps both values.
pub(super) fn tags(value: Option<&Value>) -> Labels {
    let mut labels = Labels::new();
    match value {
        Some(Value::String(list)) if !text::absent(list) => list.split(',').for_each(|t| tag(&mut labels, t)),
        Some(Value::Array(list)) => {
            for item in list {
                match item {
                    Value::String(t) => tag(&mut labels, t),
                    Value::Object(map) => {
                        let item = Obj::new(map);
                        if let Some(key) = item.first(&["key", "name"]).and_then(|k| text::name(&k)) {
                            insert(&mut labels, key, item.text("value").as_deref().unwrap_or("true"));
                        }
                    }
                    _ => {}
                }
            }
        }
        Some(object @ Value::Object(_)) => return read(Some(object)),
        _ => {}
    }
    labels
}

fn tag(labels: &mut Labels, tag: &str) {
    // Dynatrace writes the origin of a tag before it: `[AWS]Name:web`.
    let tag = tag.trim();
    let tag = tag.strip_prefix('[').and_then(|t| t.split_once(']')).map_or(tag, |(_, rest)| rest);
    let (name, value) = tag.split_once(':').unwrap_or((tag, "true"));
    if let Some(name) = text::name(name) {
        insert(labels, name, value);
    }
}

/// As much as a tag that comes again and again may hold, in bytes.
const MAX_VALUES: usize = 1000;

fn insert(labels: &mut Labels, name: String, value: &str) {
    let value = text::label(value);
    if text::absent(&value) {
        return;
    }
    labels
        .entry(name)
        .and_modify(|all| {
            if all.len() + value.len() < MAX_VALUES && !all.split(',').any(|v| v == value) {
                all.push(',');
                all.push_str(&value);
            }
        })
        .or_insert(value);
}

/// The first of these labels that says something; names are compared without regard to case.
pub(super) fn first(labels: &Labels, names: &[&str]) -> Option<String> {
    names.iter().find_map(|wanted| {
        labels
            .get(*wanted)
            .or_else(|| labels.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value))
            .and_then(|value| text::name(value))
    })
}

/// The same for longer texts, whole: annotations.
pub(super) fn first_text(labels: &Labels, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| labels.get(*name).filter(|value| !text::absent(value)).cloned())
}

/// The service, by the names that all platforms share.
pub(super) fn service(labels: &Labels) -> Option<String> {
    first(labels, SERVICE)
}

/// The machine, by the names that all platforms share.
pub(super) fn host(labels: &Labels) -> Option<String> {
    first(labels, HOST).and_then(|h| text::host(&h))
}

/// The environment, by the names that all platforms share.
pub(super) fn environment(labels: &Labels) -> Option<String> {
    first(labels, ENVIRONMENT)
}

/// The label fingerprint of Prometheus: 64-bit FNV-1a over the labels in byte order of their names, each name and each
/// value followed by 0xFF.
pub(super) fn fingerprint(labels: Obj<'_>) -> String {
    let mut pairs: Vec<(&str, String)> = labels
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    pairs.sort();
    let bytes = pairs
        .iter()
        .flat_map(|(name, value)| name.bytes().chain([0xFF]).chain(value.bytes()).chain([0xFF]).collect::<Vec<u8>>());
    format!("{:016x}", fnv(bytes))
}

/// 64-bit FNV-1a.
pub(super) fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(14_695_981_039_346_656_037, |hash, b| (hash ^ u64::from(b)).wrapping_mul(1_099_511_628_211))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn fingerprint_is_the_one_that_grafana_computes() {
        let labels = json!({"lbl1": "val1", "alertname": "alert1"});
        assert_eq!(fingerprint(Obj::of(Some(&labels))), "fac0861a85de433a");
        assert_eq!(fingerprint(Obj::default()), "cbf29ce484222325");
    }

    proptest! {
        #[test]
        fn fingerprint_ignores_the_order_of_labels(pairs in prop::collection::btree_map("[a-z_]{1,8}", ".{0,8}", 0..8)) {
            let write = |pairs: Vec<(&String, &String)>| {
                let members: Vec<String> = pairs.iter().map(|(k, v)| format!("{}:{}", json!(k), json!(v))).collect();
                serde_json::from_str::<Value>(&format!("{{{}}}", members.join(","))).unwrap()
            };
            let (there, back) = (write(pairs.iter().collect()), write(pairs.iter().rev().collect()));
            prop_assert_eq!(fingerprint(Obj::of(Some(&there))), fingerprint(Obj::of(Some(&back))));
        }
    }

    #[test]
    fn tags_of_every_form() {
        let want = |value: Value| serde_json::to_string(&tags(Some(&value))).unwrap();
        assert_eq!(
            want(json!("env:production, service:api,monitor")),
            r#"{"env":"production","monitor":"true","service":"api"}"#
        );
        assert_eq!(want(json!(["team:a", "team:b", "team:a", "url:http://x"])), r#"{"team":"a,b","url":"http://x"}"#);
        assert_eq!(want(json!("[AWS]Name:web,[Context]flag")), r#"{"Name":"web","flag":"true"}"#);
        assert_eq!(want(json!([{"context": "X", "key": "Service", "value": "API"}, 7])), r#"{"Service":"API"}"#);
        assert_eq!(want(json!("$TAGS")), "{}");
        assert_eq!(want(json!(" , ,")), "{}");
    }

    #[test]
    fn rules_read_by_rank_and_without_regard_to_case() {
        let labels =
            read(Some(&json!({"App": "shop", "Service": "api", "instance": "web-1:9100", "tier": "prod", "n": 1})));
        assert_eq!(service(&labels).as_deref(), Some("api"));
        assert_eq!(host(&labels).as_deref(), Some("web-1"));
        assert_eq!(environment(&labels).as_deref(), Some("prod"));
        assert_eq!(labels.get("n").map(String::as_str), Some("1"));
        assert_eq!(service(&read(Some(&json!({"service": "N/A", "app": "shop"})))).as_deref(), Some("shop"));
    }
}

//! Reading fields of objects that senders fill in as they like: any scalar may be a text, and absent has many spellings.

use serde_json::{Map, Value};

use super::{moment, text};
use crate::model::Time;

/// An object, or nothing where none was sent: asking nothing for a field gives nothing.
#[derive(Clone, Copy, Default)]
pub(super) struct Obj<'a>(Option<&'a Map<String, Value>>);

impl<'a> Obj<'a> {
    pub fn new(map: &'a Map<String, Value>) -> Self {
        Self(Some(map))
    }

    pub fn of(value: Option<&'a Value>) -> Self {
        Self(value.and_then(Value::as_object))
    }

    pub fn keys(self) -> impl Iterator<Item = &'a String> {
        self.0.into_iter().flat_map(Map::keys)
    }

    pub fn iter(self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.0.into_iter().flatten()
    }

    pub fn len(self) -> usize {
        self.0.map_or(0, Map::len)
    }

    pub fn exists(self) -> bool {
        self.0.is_some()
    }

    /// The field as sent; none when it is missing or null.
    pub fn get(self, name: &str) -> Option<&'a Value> {
        self.0.and_then(|map| map.get(name)).filter(|v| !v.is_null())
    }

    pub fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub fn object(self, name: &str) -> Self {
        Self::of(self.get(name))
    }

    pub fn list(self, name: &str) -> &'a [Value] {
        self.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// A scalar as text; none when it is absent in any spelling.
    pub fn text(self, name: &str) -> Option<String> {
        self.get(name).and_then(text::scalar)
    }

    /// The first of these that says something.
    pub fn first(self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.text(name))
    }

    pub fn time(self, name: &str) -> Option<Time> {
        self.get(name).and_then(moment::time)
    }

    /// A link that may be shown as one.
    pub fn url(self, name: &str) -> Option<String> {
        self.text(name).and_then(|u| text::url(&u))
    }

    pub fn int(self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    pub fn flag(self, name: &str) -> Option<bool> {
        match self.text(name)?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Some(true),
            "false" | "no" | "0" => Some(false),
            _ => None,
        }
    }
}

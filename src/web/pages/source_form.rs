//! The form of a declared source: what was typed, as a declaration, and back.

use super::{ask::Fields, source::coded, text, ui::Markup};
use crate::{
    config::{options::SOURCE_OPTIONS, show_duration},
    connectors::declared::{self, Declared},
    model::*,
};

/// A field that is wrong, and why.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) field: &'static str,
    pub(super) what: Markup,
}

/// What stands in the form.
#[derive(Default)]
pub(super) struct Typed {
    pub(super) slug: String,
    pub(super) values: Vec<(&'static str, String)>,
    pub(super) sample: String,
    pub(super) on: String,
}

/// The names of the form's fields, which are those of the configuration.
fn names() -> impl Iterator<Item = &'static str> {
    SOURCE_OPTIONS.iter().map(|o| o.key).filter(|key| *key != "sample")
}

impl Typed {
    pub(super) fn of_form(fields: &Fields) -> Self {
        Self {
            slug: fields.get("slug").trim().to_owned(),
            values: names().map(|name| (name, fields.get(name).trim().to_owned())).collect(),
            // Browsers send line ends as networks do.
            sample: fields.get("sample").replace("\r\n", "\n"),
            on: fields.get("on").to_owned(),
        }
    }

    pub(super) fn of_declared(declared: &Declared, slug: &str) -> Self {
        let d = declared.declaration();
        let value = |name: &'static str| match name {
            "resolved" => d.resolved.join(", "),
            "severities" => d.severities.iter().map(|(w, s)| format!("{w}={s}")).collect::<Vec<_>>().join(", "),
            "quiet_after" => d
                .quiet_after_secs
                .map_or_else(String::new, |secs| show_duration(std::time::Duration::from_secs(secs.into()))),
            field => field.parse().ok().and_then(|f| d.expression(f)).unwrap_or_default().to_owned(),
        };
        Self {
            slug: slug.to_owned(),
            values: names().map(|name| (name, value(name))).collect(),
            sample: d.sample.clone().unwrap_or_default(),
            on: String::new(),
        }
    }

    /// The declaration; everything that is wrong with it.
    pub(super) fn declaration(&self, slug: &str, fixed: bool) -> Result<Declaration, Vec<Wrong>> {
        let mut declaration = Declaration::default();
        let mut wrong = Vec::new();
        for (name, value) in self.values.iter().filter(|(_, value)| !value.is_empty()) {
            match name.parse::<DeclaredField>() {
                Ok(field) => declaration.set(field, value),
                // The same reading as in the configuration.
                Err(_) => {
                    let option = SOURCE_OPTIONS.iter().find(|o| o.key == *name);
                    if let Some(Err(what)) = option.map(|o| (o.set)(&mut declaration, value)) {
                        wrong.push(Wrong { field: name, what: coded(&what) });
                    }
                }
            }
        }
        declaration.sample = Some(self.sample.clone()).filter(|s| !s.trim().is_empty());
        if let Err(more) = Declared::new(slug, declaration.clone(), fixed) {
            wrong.extend(wrong_parts(&more));
        }
        if wrong.is_empty() { Ok(declaration) } else { Err(wrong) }
    }
}

/// What is wrong with a declaration, at the fields of the form.
pub(super) fn wrong_parts(parts: &[declared::Wrong]) -> Vec<Wrong> {
    parts.iter().map(|w| Wrong { field: form_name(w.field), what: coded(&w.what) }).collect()
}

fn form_name(field: &'static str) -> &'static str {
    if field == "quiet_after_secs" { "quiet_after" } else { field }
}

/// What a field is called on the page.
pub(super) fn label(name: &str) -> String {
    match name {
        "items" => "List of alerts".to_owned(),
        "key" => "Identity".to_owned(),
        "status" => "State".to_owned(),
        "resolved" => "Words that mean that it is over".to_owned(),
        "severities" => "Words of severity, with ours".to_owned(),
        "quiet_after" => "Over without a word after".to_owned(),
        other => text::capital(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_like_the_configuration_and_comes_back_as_it_was() {
        let form = Fields::parse(
            b"slug=batch-jobs&title=+item.job+&resolved=done,+gone&severities=red%3Dcritical&quiet_after=2h&sample=%7B%7D",
        );
        let typed = Typed::of_form(&form);
        let declaration = typed.declaration("batch-jobs", false).ok().unwrap();
        assert_eq!(declaration.title.as_deref(), Some("item.job"));
        assert_eq!(declaration.resolved, ["done", "gone"]);
        assert_eq!(declaration.severities["red"], Severity::Critical);
        assert_eq!((declaration.quiet_after_secs, declaration.sample.as_deref()), (Some(7200), Some("{}")));
        let declared = Declared::new("batch-jobs", declaration, false).unwrap();
        let again = Typed::of_declared(&declared, "batch-jobs");
        assert_eq!(again.values, typed.values);
        let wrong = Typed::of_form(&Fields::parse(b"title=x&severities=red&quiet_after=soon&host=item.h+|"));
        let wrong: Vec<&str> = wrong.declaration("B", false).unwrap_err().iter().map(|w| w.field).collect();
        assert_eq!(wrong, ["severities", "quiet_after", "slug", "title", "host"]);
        let words = ["resolved", "severities", "quiet_after"];
        assert!(names().all(|name| name.parse::<DeclaredField>().is_ok() || words.contains(&name)));
    }
}

//! Why a list is empty: which term is to blame, and what was probably meant by it.

use super::terms;
use crate::{
    model::*,
    query::{self, Asker, INCIDENTS, IncidentFilter, Values, spans},
    search::Search,
    store::{StoreError, View},
    text::nearest,
};

/// Terms that are tried one by one.
const TERMS: usize = 8;
/// Names among which a near one is looked for.
const NAMES: usize = 5_000;

/// What is said of an empty list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nothing {
    /// The term without which there would be something; the query without it, and how many fit that.
    pub guilty: Option<(String, String, u64)>,
    /// The term that was probably meant, the query with it, and how many open ones fit that.
    pub meant: Option<(String, String, u64)>,
}

/// Why nothing fits a query.
pub fn why(view: &View, search: &Search, q: &str, asker: Asker<'_>) -> Result<Nothing, StoreError> {
    let total = |q: &str| -> Result<u64, StoreError> {
        let mut filter = IncidentFilter::default();
        match query::incidents(q, asker, &mut filter) {
            Ok(()) => Ok(search.incidents(view, &filter, None, 1)?.total),
            Err(_) => Ok(0),
        }
    };
    let mut nothing = Nothing::default();
    let all = spans(q);
    for (n, span) in all.iter().enumerate().take(TERMS) {
        if nothing.meant.is_none()
            && let Some(term) = near(search, span)
        {
            let mut fixed: Vec<&str> = all.iter().map(|s| s.text).collect();
            if let Some(slot) = fixed.get_mut(n) {
                *slot = &term;
            }
            let fixed = fixed.join(" ");
            let open = total(&format!("{fixed} status:open"))?;
            nothing.meant = Some((term, fixed, open));
        }
        if nothing.guilty.is_none() && all.len() > 1 {
            let rest = query::without(q, n);
            let left = total(&rest)?;
            if left > 0 {
                nothing.guilty = Some((span.text.to_owned(), rest, left));
            }
        }
    }
    Ok(nothing)
}

/// The term with a name that is in use in place of one that is not.
fn near(search: &Search, span: &query::Span<'_>) -> Option<String> {
    let name = span.field.as_deref().filter(|_| !span.not)?;
    let field = query::field(INCIDENTS, name).filter(|f| f.values == Values::Names)?;
    let value = span.values.iter().find(|v| !v.is_empty() && !v.ends_with('*'))?;
    if value == "none" || value == "me" {
        return None;
    }
    let every = IncidentFilter { statuses: IncidentStatus::ALL.to_vec(), ..IncidentFilter::default() };
    let names = search.names(&every, field.name, "", NAMES).ok()?;
    let known: Vec<&str> = names.iter().map(|n| n.name.as_str()).filter(|n| *n != "none").collect();
    let small = value.to_lowercase();
    if known.contains(&small.as_str()) {
        return None;
    }
    // A near word, or one that has this in it: `checkout` is `checkout-api`.
    let near = nearest(&small, known.iter().copied()).or_else(|| known.iter().copied().find(|n| n.contains(&small)))?;
    Some(span.text.replacen(value, terms::quote(near).trim_matches('"'), 1))
}

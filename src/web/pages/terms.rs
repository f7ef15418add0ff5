//! Addresses of lists.

pub use crate::query::{exchange, quote, values};

/// `/incidents?q=…`, or the bare path for an empty query.
pub fn href(path: &str, q: &str, more: &[(&str, &str)]) -> String {
    let mut s = form_urlencoded::Serializer::new(String::new());
    if !q.is_empty() {
        s.append_pair("q", q);
    }
    for (k, v) in more {
        s.append_pair(k, v);
    }
    let query = s.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_encoded() {
        assert_eq!(href("/incidents", "", &[]), "/incidents");
        assert_eq!(href("/incidents", "a:<b&", &[("before", "4")]), "/incidents?q=a%3A%3Cb%26&before=4");
    }
}

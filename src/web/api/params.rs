//! Query parameters of lists: repeatable, and checked where they are used.

use axum::{extract::FromRequestParts, http::request::Parts};

use crate::{
    model::Time,
    web::{
        error::{ApiError, FieldError},
        query,
        state::AppState,
    },
};

/// The most rows of one page.
pub const MOST: usize = 200;

/// The parameters of a request, in order.
#[derive(Clone, Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl FromRequestParts<AppState> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect()))
    }
}

impl Params {
    /// These parameters.
    #[cfg(any(test, fuzzing))]
    pub fn of(query: &[(String, String)]) -> Self {
        Self(query.to_vec())
    }

    /// The first value of a parameter, if it is not empty.
    pub fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.trim()).filter(|v| !v.is_empty())
    }

    /// Every value of a parameter.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(n, _)| n == name).map(|(_, v)| v.clone()).collect()
    }

    /// Every value of a parameter, split at commas.
    pub fn words(&self, name: &str) -> Vec<String> {
        let split = |v: String| v.split(',').map(|w| w.trim().to_owned()).collect::<Vec<_>>();
        self.all(name).into_iter().flat_map(split).filter(|w| !w.is_empty()).collect()
    }

    /// How many rows: 1 to 200, 50 when left out.
    pub fn limit(&self) -> Result<usize, ApiError> {
        match self.one("limit").map(str::parse::<usize>) {
            None => Ok(50),
            Some(Ok(n)) if n > 0 => Ok(n.min(MOST)),
            Some(_) => Err(wrong("limit", "a number from 1 to 200 is needed")),
        }
    }

    /// Where to go on.
    pub fn cursor(&self) -> Result<Option<u64>, ApiError> {
        self.one("cursor")
            .map(|c| c.parse().map_err(|_| wrong("cursor", "the `next_cursor` of an earlier answer is needed")))
            .transpose()
    }

    /// A time, as `6h` or RFC 3339.
    pub fn time(&self, name: &'static str, now: Time) -> Result<Option<Time>, ApiError> {
        self.one(name)
            .map(|t| query::time(t, now).ok_or_else(|| wrong(name, "a time is such as 6h, 7d or 2026-03-02T15:14Z")))
            .transpose()
    }
}

/// A parameter that is wrong.
pub fn wrong(name: &'static str, message: &str) -> ApiError {
    ApiError::bad_request("invalid_query", format!("{name}: {message}"))
        .with_errors(vec![FieldError::new(name, message)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(q: &str) -> Params {
        Params(form_urlencoded::parse(q.as_bytes()).into_owned().collect())
    }

    #[test]
    fn limits_and_cursors() {
        for (q, want) in
            [("", Some(50)), ("limit=7", Some(7)), ("limit=1000", Some(200)), ("limit=0", None), ("limit=x", None)]
        {
            assert_eq!(params(q).limit().ok(), want, "{q}");
        }
        assert_eq!(params("cursor=12").cursor().unwrap(), Some(12));
        assert!(params("cursor=abc").cursor().is_err());
    }

    #[test]
    fn words_are_repeated_or_joined() {
        assert_eq!(params("status=a,b&x=1&status=c").words("status"), ["a", "b", "c"]);
    }
}

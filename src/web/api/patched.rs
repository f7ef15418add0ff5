//! Bodies of changes: what is left out stays as it is, null takes a value back to its default.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::web::{error::ApiError, extract::parse_value};

/// What a body becomes by a change of some of its fields.
///
/// # Errors
/// 422 with the place of what cannot be read.
pub fn patched<T: Serialize + DeserializeOwned>(before: &T, patch: Map<String, Value>) -> Result<T, ApiError> {
    let Ok(Value::Object(mut whole)) = serde_json::to_value(before) else { return Err(ApiError::internal()) };
    for (key, value) in patch {
        match value {
            Value::Null => drop(whole.remove(&key)),
            value => drop(whole.insert(key, value)),
        }
    }
    parse_value(Value::Object(whole))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct Body {
        name: String,
        secs: u32,
        from: Option<u32>,
    }

    impl Default for Body {
        fn default() -> Self {
            Self { name: String::new(), secs: 5, from: None }
        }
    }

    #[test]
    fn what_is_left_out_stays_and_null_is_the_default() {
        let before = || Body { name: "a".to_owned(), secs: 9, from: Some(1) };
        for (patch, want) in [
            (json!({}), Some(before())),
            (json!({"secs": 7}), Some(Body { secs: 7, ..before() })),
            (json!({"secs": null, "from": null}), Some(Body { secs: 5, from: None, ..before() })),
            (json!({"unknown": 1}), Some(before())),
            (json!({"secs": "many"}), None),
        ] {
            let got = patched(&before(), patch.as_object().unwrap().clone());
            assert_eq!(got.as_ref().ok(), want.as_ref(), "{patch}");
            assert_eq!(got.err().map(|e| e.errors[0].path.clone()), want.is_none().then(|| "/secs".to_owned()));
        }
    }
}

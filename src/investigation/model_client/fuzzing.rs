//! What must hold for any bytes that leave for a model or come from one.

use serde_json::Value;

use super::{
    fence::{Tag, plain},
    redact::{Named, Redactor, secrets},
    tools,
    wire::{Reading, Sse},
};
use crate::model::ModelKind;

/// A secret that stands in any text between two spaces is gone, what was redacted stays as it is, and nothing in a text
/// ends the fence around it.
pub fn redaction(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let once = secrets(&text).into_owned();
    assert_eq!(secrets(&once), once, "redacted twice");
    for secret in ["AKIAIOSFODNN7EXAMPLE", "ghp_0123456789abcdefghij0123456789abcdef"] {
        let half = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
        let (before, after) = text.split_at(half);
        let out = secrets(&format!("{before} {secret} {after}")).into_owned();
        assert!(!out.contains(secret), "{out}");
    }
    let mut redactor =
        Redactor::new(vec!["own-secret".to_owned()]).with_names([(Named::Service, "payments"), (Named::Host, "db-1")]);
    let out = redactor.out(&format!("{text} payments own-secret db-1"));
    assert!(!out.contains("own-secret") && !out.contains(" payments ") && !out.ends_with("db-1"), "{out}");
    let tag = Tag::known("0123456789abcdef");
    let fenced = tag.fence(&Value::String(text.clone().into_owned()));
    assert_eq!(fenced.lines().count(), 3, "{fenced}");
    assert_eq!(fenced.matches("0123456789abcdef").count(), 2, "{fenced}");
    let shown = plain(&text, 200);
    assert!(shown.chars().count() <= 260 && !shown.contains("://") && !shown.contains('<'), "{shown}");
}

/// The stream of an endpoint: the first byte chooses its kind and how the rest is cut into pieces. However it is cut, the
/// same is read; what is read as a call is answered or refused.
pub fn streams(bytes: &[u8]) {
    let Some((how, body)) = bytes.split_first() else { return };
    let kind = if how & 1 == 0 { ModelKind::Openai } else { ModelKind::Anthropic };
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (mut sse, mut reading) = (Sse::default(), Reading::new(kind));
        for piece in pieces {
            for data in sse.feed(piece)? {
                reading.event(&data)?;
            }
        }
        if let Some(data) = sse.end() {
            reading.event(&data)?;
        }
        reading.reply()
    };
    let whole = read(&mut std::iter::once(body));
    let cut = read(&mut body.chunks(usize::from(how >> 1).max(1)));
    assert_eq!(whole, cut, "it depends on how the stream is cut");
    let text = String::from_utf8_lossy(body);
    let one = Reading::whole(kind, &text);
    for reply in [whole, one].into_iter().flatten() {
        assert!(reply.calls.len() <= 32 && !(reply.text.is_empty() && reply.calls.is_empty()));
        for call in &reply.calls {
            assert!(!call.id.is_empty());
            if let Err(why) = tools::read(&call.name, &call.arguments) {
                assert!(!why.is_empty() && why.len() < 4096, "{why}");
            }
        }
    }
    for tool in tools::TOOLS {
        let _ = tools::read(tool.name, &text);
    }
    let _ = tools::read_finish(&text);
}

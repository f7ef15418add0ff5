//! Anthropic's messages. Source: Anthropic's API reference, "Messages", "Streaming messages", "Errors" and "Tool use";
//! the version of 2023-06-01.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Ask, Call, Message, Offer, Quirks, Reply, grow, object, offered, sound, too_many};

pub(super) fn body(model: &str, ask: &Ask<'_>, quirks: &Quirks) -> Value {
    let messages = ask.messages.iter().map(|message| match message {
        Message::User(text) => json!({"role": "user", "content": text}),
        Message::Model { text, calls } => {
            // An empty text is refused.
            let said = Some(json!({"type": "text", "text": text})).filter(|_| !text.trim().is_empty());
            let calls = calls
                .iter()
                .map(|c| json!({"type": "tool_use", "id": c.id, "name": c.name, "input": object(&c.arguments)}));
            json!({"role": "assistant", "content": said.into_iter().chain(calls).collect::<Vec<_>>()})
        }
        Message::Results(results) => {
            let results = results
                .iter()
                .map(|r| json!({"type": "tool_result", "tool_use_id": r.id, "content": r.text, "is_error": r.refused}));
            json!({"role": "user", "content": results.collect::<Vec<_>>()})
        }
    });
    let mut body = json!({
        "model": model, "system": ask.system, "messages": messages.collect::<Vec<_>>(), "max_tokens": ask.most_out,
        "stream": true,
    });
    let Value::Object(fields) = &mut body else { return body };
    if !quirks.has("temperature") {
        fields.insert("temperature".to_owned(), json!(0.2));
    }
    let tools: Vec<Value> = offered(ask.tools)
        .into_iter()
        .map(|(name, about, schema)| json!({"name": name, "description": about, "input_schema": schema}))
        .collect();
    if !tools.is_empty() {
        fields.insert("tools".to_owned(), tools.into());
        if ask.tools == Offer::Finish && !quirks.has("tool_choice") {
            fields.insert("tool_choice".to_owned(), json!({"type": "tool", "name": "finish"}));
        }
    }
    body
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Whole,
    },
    ContentBlockStart {
        index: usize,
        content_block: Block,
    },
    ContentBlockDelta {
        index: usize,
        delta: Delta,
    },
    MessageDelta {
        #[serde(default)]
        delta: Stop,
        #[serde(default)]
        usage: Usage,
    },
    MessageStop,
    Error {
        error: Fault,
    },
    // Pings, ends of blocks, and what may come later: new kinds of events are to be passed over.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Whole {
    #[serde(default)]
    usage: Usage,
    #[serde(default)]
    content: Vec<Block>,
    #[serde(default)]
    stop_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        #[serde(default)]
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
        #[serde(default)]
        input: Value,
    },
    // Thinking and others.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "input_json_delta")]
    Json { partial_json: String },
    #[serde(other)]
    Other,
}

#[derive(Default, Deserialize)]
struct Stop {
    #[serde(default)]
    stop_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Usage {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    message: String,
}

#[derive(Debug, Default)]
pub struct Reading {
    reply: Reply,
    // The block that each call came as.
    blocks: Vec<usize>,
    pub(super) ended: bool,
}

impl Reading {
    pub(super) fn event(&mut self, data: &str) -> Result<(), String> {
        let event: Event = serde_json::from_str(data).map_err(|_| "its stream is not what it should be".to_owned())?;
        match event {
            Event::MessageStart { message } => self.usage(message.usage),
            Event::ContentBlockStart { index, content_block } => self.block(index, content_block)?,
            Event::ContentBlockDelta { delta: Delta::Text { text }, .. } => grow(&mut self.reply.text, &text)?,
            Event::ContentBlockDelta { index, delta: Delta::Json { partial_json } } => {
                let at = self.blocks.iter().position(|b| *b == index);
                if let Some(call) = at.and_then(|at| self.reply.calls.get_mut(at)) {
                    grow(&mut call.arguments, &partial_json)?;
                }
            }
            Event::MessageDelta { delta, usage } => {
                self.usage(usage);
                self.reply.cut = delta.stop_reason.as_deref() == Some("max_tokens");
            }
            Event::MessageStop => self.ended = true,
            Event::Error { error } => return Err(format!("it says: {} ({})", error.message, error.kind)),
            Event::ContentBlockDelta { .. } | Event::Other => {}
        }
        Ok(())
    }

    fn usage(&mut self, usage: Usage) {
        if let Some(fresh) = usage.input_tokens {
            let cached = usage
                .cache_creation_input_tokens
                .unwrap_or(0)
                .saturating_add(usage.cache_read_input_tokens.unwrap_or(0));
            self.reply.tokens_in = Some(fresh.saturating_add(cached));
        }
        self.reply.tokens_out = usage.output_tokens.or(self.reply.tokens_out);
    }

    fn block(&mut self, index: usize, block: Block) -> Result<(), String> {
        match block {
            Block::Text { text } => {
                // Blocks of text are paragraphs of their own.
                let gap = if self.reply.text.is_empty() { "" } else { "\n" };
                grow(&mut self.reply.text, gap)?;
                grow(&mut self.reply.text, &text)
            }
            Block::ToolUse { id, name, input } => {
                // In a stream it begins empty and its text follows.
                let begun = input.as_object().is_none_or(serde_json::Map::is_empty);
                let arguments = if begun { String::new() } else { input.to_string() };
                self.reply.calls.push(Call { id, name, arguments: String::new() });
                self.blocks.push(index);
                too_many(self.reply.calls.len())?;
                self.reply.calls.last_mut().map_or(Ok(()), |c| grow(&mut c.arguments, &arguments))
            }
            Block::Other => Ok(()),
        }
    }

    pub(super) fn reply(self) -> (Reply, bool) {
        (self.reply, self.ended)
    }
}

pub(super) fn whole(body: &str) -> Result<Reply, String> {
    let message: Whole =
        serde_json::from_str(body).map_err(|_| "its answer is not the JSON it should be".to_owned())?;
    let mut reading = Reading::default();
    reading.usage(message.usage);
    reading.reply.cut = message.stop_reason.as_deref() == Some("max_tokens");
    for (index, block) in message.content.into_iter().enumerate() {
        reading.block(index, block)?;
    }
    sound(reading.reply)
}

//! Chat completions. Source: OpenAI's API reference, "Chat" and "Streaming", and how others depart from it: Ollama gives all
//! calls of an answer the index 0 and once gave none; vLLM ends with a chunk whose `choices` is null; llama.cpp sends whole
//! calls in one chunk; newer models of OpenAI take `max_completion_tokens` and no temperature.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Ask, Call, Message, Offer, Quirks, Reply, grow, object, offered, sound, too_many};

pub(super) fn body(model: &str, ask: &Ask<'_>, quirks: &Quirks) -> Value {
    let mut messages = vec![json!({"role": "system", "content": ask.system})];
    for message in ask.messages {
        match message {
            Message::User(text) => messages.push(json!({"role": "user", "content": text})),
            Message::Model { text, calls } => {
                let mut said = json!({"role": "assistant", "content": text});
                if !calls.is_empty() {
                    let calls = calls.iter().map(|c| {
                        let function = json!({"name": c.name, "arguments": object(&c.arguments).to_string()});
                        json!({"id": c.id, "type": "function", "function": function})
                    });
                    set(&mut said, "tool_calls", calls.collect());
                }
                messages.push(said);
            }
            Message::Results(results) => {
                let results = results.iter().map(|r| json!({"role": "tool", "tool_call_id": r.id, "content": r.text}));
                messages.extend(results);
            }
        }
    }
    let mut body = json!({"model": model, "messages": messages, "stream": true});
    if !quirks.has("stream_options") {
        set(&mut body, "stream_options", json!({"include_usage": true}));
    }
    if !quirks.has("temperature") {
        set(&mut body, "temperature", json!(0.2));
    }
    if !quirks.has("max_tokens") {
        set(&mut body, "max_tokens", json!(ask.most_out));
    } else if !quirks.has("max_completion_tokens") {
        set(&mut body, "max_completion_tokens", json!(ask.most_out));
    }
    let tools = offered(ask.tools).into_iter().map(|(name, about, schema)| {
        json!({"type": "function", "function": {"name": name, "description": about, "parameters": schema}})
    });
    let tools: Vec<Value> = tools.collect();
    if !tools.is_empty() {
        set(&mut body, "tools", tools.into());
        if ask.tools == Offer::Finish && !quirks.has("tool_choice") {
            set(&mut body, "tool_choice", json!({"type": "function", "function": {"name": "finish"}}));
        }
    }
    body
}

fn set(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(fields) = object {
        fields.insert(name.to_owned(), value);
    }
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    // A chunk has a delta, a whole answer a message.
    #[serde(default, alias = "message")]
    delta: Option<Delta>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<CallDelta>>,
}

#[derive(Deserialize)]
struct CallDelta {
    #[serde(default)]
    index: Option<usize>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    #[serde(default)]
    name: Option<String>,
    // Text; some write an object.
    #[serde(default)]
    arguments: Option<Value>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
}

#[derive(Debug, Default)]
pub struct Reading {
    reply: Reply,
    // The index that each call came with.
    indexes: Vec<Option<usize>>,
    ended: bool,
    // After the last words counts of tokens may come.
    pub(super) over: bool,
}

impl Reading {
    pub(super) fn event(&mut self, data: &str) -> Result<(), String> {
        if data.trim() == "[DONE]" {
            self.ended = true;
            self.over = true;
            return Ok(());
        }
        let chunk: Chunk = serde_json::from_str(data).map_err(|_| "its stream is not what it should be".to_owned())?;
        self.take(chunk)
    }

    fn take(&mut self, chunk: Chunk) -> Result<(), String> {
        if let Some(error) = chunk.error.filter(|e| !e.is_null()) {
            let said = error.pointer("/message").unwrap_or(&error);
            let said = said.as_str().unwrap_or("an error");
            return Err(format!("it says: {}", said.chars().take(300).collect::<String>()));
        }
        if let Some(usage) = chunk.usage {
            self.reply.tokens_in = usage.prompt_tokens.or(self.reply.tokens_in);
            self.reply.tokens_out = usage.completion_tokens.or(self.reply.tokens_out);
        }
        // One answer was asked for; an endpoint that gives several is heard to its first.
        let Some(choice) = chunk.choices.unwrap_or_default().into_iter().next() else { return Ok(()) };
        let delta = choice.delta.unwrap_or_default();
        grow(&mut self.reply.text, delta.content.as_deref().unwrap_or_default())?;
        for call in delta.tool_calls.unwrap_or_default() {
            self.call(call)?;
        }
        if let Some(reason) = choice.finish_reason {
            self.reply.cut = reason == "length";
            self.ended = true;
        }
        Ok(())
    }

    fn call(&mut self, delta: CallDelta) -> Result<(), String> {
        let id = delta.id.filter(|id| !id.is_empty());
        let function = delta.function.unwrap_or(Function { name: None, arguments: None });
        let same = self.indexes.iter().rposition(|i| *i == delta.index).filter(|at| {
            let known = self.reply.calls.get(*at).map(|c| c.id.as_str()).unwrap_or_default();
            // The same index with another id is another call.
            id.as_deref().is_none_or(|id| known == id || known.is_empty())
        });
        let at = match same {
            Some(at) => at,
            None => {
                self.reply.calls.push(Call::default());
                self.indexes.push(delta.index);
                too_many(self.reply.calls.len())?;
                self.reply.calls.len() - 1
            }
        };
        let Some(call) = self.reply.calls.get_mut(at) else { return Ok(()) };
        if let Some(id) = id {
            call.id = id;
        }
        if call.name.is_empty() {
            call.name = function.name.unwrap_or_default();
        }
        match function.arguments {
            Some(Value::String(text)) => grow(&mut call.arguments, &text),
            Some(Value::Null) | None => Ok(()),
            Some(other) => grow(&mut call.arguments, &other.to_string()),
        }
    }

    pub(super) fn reply(self) -> (Reply, bool) {
        (self.reply, self.ended)
    }
}

pub(super) fn whole(body: &str) -> Result<Reply, String> {
    let chunk: Chunk = serde_json::from_str(body).map_err(|_| "its answer is not the JSON it should be".to_owned())?;
    let mut reading = Reading::default();
    reading.take(chunk)?;
    sound(reading.reply)
}

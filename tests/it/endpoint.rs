//! An endpoint of a language model that says what a test wants, and misbehaves where it should. Threads and sockets, so
//! that an answer can break off or trickle.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use serde_json::{Value, json};
use watchfire::model::ModelKind;

/// What is done with a request.
pub enum Act {
    /// An answer with a status, more headers (each with its line end), and a body.
    Answer(u16, String, String),
    /// The events of a stream.
    Stream(Vec<String>),
    /// The same, broken off before the last of them.
    Cut(Vec<String>),
    /// A comment now and then, and never an end.
    Drip,
    /// Nothing, until the peer goes.
    Hang,
    /// A stream without end, at full speed.
    Flood,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its first line and headers, in lower case.
    pub head: String,
    pub body: Value,
}

impl Asked {
    /// All texts in it, one after the other.
    pub fn texts(&self) -> String {
        let mut out = String::new();
        texts(&self.body, &mut out);
        out
    }

    /// The last id of evidence that it shows.
    pub fn shown(&self) -> String {
        let texts = self.texts();
        let id = texts.rsplit("\"evidence_id\":\"").next().and_then(|t| t.split('"').next());
        id.unwrap_or_default().to_owned()
    }
}

fn texts(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => {
            out.push_str(text);
            out.push('\n');
        }
        Value::Array(items) => items.iter().for_each(|i| texts(i, out)),
        Value::Object(fields) => fields.values().for_each(|f| texts(f, out)),
        _ => {}
    }
}

/// The endpoint.
pub struct Endpoint {
    pub url: String,
    seen: Arc<Mutex<Vec<Asked>>>,
    /// Tells when a request is left without an answer, and again when its peer has gone.
    pub gone: mpsc::Receiver<()>,
}

impl Endpoint {
    /// `script` gets the number of the request, trials not counted and without a number.
    pub fn start(script: impl Fn(Option<usize>, &Asked) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (tell, gone) = mpsc::channel();
        let (of, script) = (Arc::clone(&seen), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, script, tell) = (Arc::clone(&of), Arc::clone(&script), tell.clone());
                std::thread::spawn(move || {
                    let Some(asked) = read(&stream) else { return };
                    let trial = asked.body["tools"][0].to_string().contains("\"ready\"");
                    let trial = trial || asked.texts().contains("one word: ready");
                    let number = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(asked.clone());
                        seen.iter().filter(|a| !a.texts().contains("You are tried out")).count()
                    };
                    let act = script((!trial).then(|| number - 1), &asked);
                    let _ = play(stream, act, &tell);
                });
            }
        });
        Self { url, seen, gone }
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Asked> {
        self.seen.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line.to_lowercase());
    }
    let length = head.lines().find_map(|l| l.strip_prefix("content-length: "))?.trim().parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { head, body: serde_json::from_slice(&body).ok()? })
}

const STREAM: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

fn play(mut stream: TcpStream, act: Act, gone: &mpsc::Sender<()>) -> std::io::Result<()> {
    match act {
        Act::Answer(status, headers, body) => {
            write!(
                stream,
                "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            )
        }
        Act::Stream(events) => {
            write!(stream, "{STREAM}")?;
            for event in events {
                write!(stream, "{}", chunk(&event))?;
            }
            write!(stream, "0\r\n\r\n")
        }
        Act::Cut(mut events) => {
            events.pop();
            write!(stream, "{STREAM}{}", events.iter().map(|e| chunk(e)).collect::<String>())
        }
        Act::Drip => {
            write!(stream, "{STREAM}")?;
            loop {
                write!(stream, "{}", chunk(": wait\n\n"))?;
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Act::Hang => {
            let _ = gone.send(());
            let _ = stream.read(&mut [0]);
            let _ = gone.send(());
            Ok(())
        }
        Act::Flood => {
            write!(stream, "{STREAM}")?;
            let event =
                chunk(&format!("data: {}\n\n", json!({"choices": [{"delta": {"content": "x".repeat(20_000)}}]})));
            loop {
                write!(stream, "{event}")?;
            }
        }
    }
}

/// An answer of a kind: words, and calls of tools.
pub fn say(kind: ModelKind, text: &str, calls: &[(&str, Value)]) -> Act {
    match kind {
        ModelKind::Openai => openai(text, calls),
        ModelKind::Anthropic => anthropic(text, calls),
    }
}

fn halves(text: &str) -> (&str, &str) {
    let half = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
    text.split_at(half)
}

fn openai(text: &str, calls: &[(&str, Value)]) -> Act {
    let delta = |delta: Value| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta}]}));
    let mut events = vec![delta(json!({"role": "assistant", "content": text}))];
    for (n, (name, arguments)) in calls.iter().enumerate() {
        let arguments = arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned);
        let (first, rest) = halves(&arguments);
        let function = json!({"name": name, "arguments": first});
        events.push(delta(
            json!({"tool_calls": [{"index": n, "id": format!("call_{n}"), "type": "function", "function": function}]}),
        ));
        events.push(delta(json!({"tool_calls": [{"index": n, "function": {"arguments": rest}}]})));
    }
    events.push(format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})));
    events.push(format!(
        "data: {}\n\n",
        json!({"choices": null, "usage": {"prompt_tokens": 100, "completion_tokens": 20}})
    ));
    events.push("data: [DONE]\n\n".to_owned());
    Act::Stream(events)
}

fn anthropic(text: &str, calls: &[(&str, Value)]) -> Act {
    let event = |data: Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap());
    let mut events = vec![
        event(
            json!({"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 100, "output_tokens": 1}}}),
        ),
        event(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})),
        event(json!({"type": "ping"})),
        event(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})),
        event(json!({"type": "content_block_stop", "index": 0})),
    ];
    for (n, (name, arguments)) in calls.iter().enumerate() {
        let arguments = arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned);
        let (first, rest) = halves(&arguments);
        let block = json!({"type": "tool_use", "id": format!("toolu_{n}"), "name": name, "input": {}});
        events.push(event(json!({"type": "content_block_start", "index": n + 1, "content_block": block})));
        for part in [first, rest] {
            let delta = json!({"type": "input_json_delta", "partial_json": part});
            events.push(event(json!({"type": "content_block_delta", "index": n + 1, "delta": delta})));
        }
        events.push(event(json!({"type": "content_block_stop", "index": n + 1})));
    }
    events.push(event(
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 20}}),
    ));
    events.push(event(json!({"type": "message_stop"})));
    Act::Stream(events)
}

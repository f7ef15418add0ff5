use serde_json::json;

use super::*;
use ModelKind::{Anthropic, Openai};

fn call(id: &str, name: &str, arguments: &str) -> Call {
    Call { id: id.into(), name: name.into(), arguments: arguments.into() }
}

fn seed(name: &str) -> Vec<u8> {
    let path = format!("{}/fuzz/seeds/model_streams/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap().split_off(1)
}

/// A stream in pieces of one, seven and all bytes.
fn read(kind: ModelKind, stream: &[u8]) -> Result<Reply, String> {
    let one = |size: usize| {
        let (mut sse, mut reading) = (Sse::default(), Reading::new(kind));
        for piece in stream.chunks(size.max(1)) {
            for data in sse.feed(piece)? {
                reading.event(&data)?;
            }
        }
        if let Some(data) = sse.end() {
            reading.event(&data)?;
        }
        reading.reply()
    };
    let (bytes, sevens, whole) = (one(1), one(7), one(stream.len()));
    assert_eq!(bytes, whole);
    assert_eq!(sevens, whole);
    whole
}

fn events(data: &[&str]) -> Vec<u8> {
    data.iter().map(|d| format!("data: {d}\n\n")).collect::<String>().into_bytes()
}

#[test]
fn streams_of_both_kinds_are_put_together() {
    let reply = read(Openai, &seed("openai")).unwrap();
    let want = Reply {
        text: "ok".into(),
        calls: vec![call("c1", "alerts", r#"{"service":"api"}"#)],
        tokens_in: Some(12),
        tokens_out: Some(3),
        cut: false,
    };
    assert_eq!(reply, want);
    let reply = read(Anthropic, &seed("anthropic")).unwrap();
    let want = Reply {
        text: "Let me see.".into(),
        calls: vec![call("t1", "finish", r#"{"statements":[],"causes":[]}"#)],
        tokens_in: Some(20),
        tokens_out: Some(15),
        cut: false,
    };
    assert_eq!(reply, want);
}

#[test]
fn departures_of_servers_are_read() {
    // All calls with the index 0, whole in one chunk; arguments as an object; no id; no [DONE].
    let ollama = events(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"alerts","arguments":"{}"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"b","function":{"name":"changes","arguments":{"service":"x"}}}]}}]}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#,
    ]);
    let reply = read(Openai, &ollama).unwrap();
    assert_eq!(reply.calls, [call("a", "alerts", "{}"), call("b", "changes", r#"{"service":"x"}"#)]);
    assert_eq!(reply.tokens_in, None);
    let nameless = r#"{"choices":[{"delta":{"tool_calls":[{"function":{"name":"similar"}}]},"finish_reason":"stop"}]}"#;
    assert_eq!(read(Openai, &events(&[nameless])).unwrap().calls, [call("call_0", "similar", "")]);
    // Comments, carriage returns, a mark at the beginning, several lines of data, no empty line at the end.
    let odd = "\u{feff}: hello\r\ndata: {\"choices\":\r\ndata: [{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"length\"}]}\r\n\r\ndata: [DONE]";
    let reply = read(Openai, odd.as_bytes()).unwrap();
    assert_eq!((reply.text.as_str(), reply.cut), ("hi", true));
    // A new kind of event and of block.
    let more = events(&[
        r#"{"type":"later_event","x":1}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}"#,
        r#"{"type":"message_stop"}"#,
    ]);
    assert_eq!(read(Anthropic, &more).unwrap().text, "hi");
}

#[test]
fn what_is_no_answer_says_why() {
    let check = |kind: ModelKind, stream: &[u8], want: &str| {
        let why = read(kind, stream).unwrap_err();
        assert!(why.contains(want), "{why}");
    };
    check(Openai, b"", "broke off");
    check(Openai, &events(&[r#"{"choices":[{"delta":{"content":"half"}}]}"#]), "broke off");
    check(Openai, &events(&["<html>"]), "not what it should be");
    check(Openai, &events(&[r#"{"error":{"message":"out of memory"}}"#]), "it says: out of memory");
    check(Openai, &events(&["[DONE]"]), "empty");
    let long = format!(r#"{{"choices":[{{"delta":{{"content":"{}"}}}}]}}"#, "x".repeat(300 << 10));
    check(Openai, &events(&[&long]), "too long");
    check(Openai, &vec![b'x'; 2 << 20], "too long");
    let calls: Vec<String> = (0..40)
        .map(|n| format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{{"index":{n},"id":"{n}"}}]}}}}]}}"#))
        .collect();
    let calls: Vec<&str> = calls.iter().map(String::as_str).collect();
    check(Openai, &events(&calls), "more than 32 tools");
    check(
        Anthropic,
        &events(&[r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#]),
        "Overloaded",
    );
    check(Anthropic, &events(&[r#"{"type":"message_start","message":{}}"#]), "broke off");
    for (body, want) in [
        (r#"{"error":{"message":"no such model"}}"#, "no such model"),
        (r#"{"error":"model not found"}"#, "model not found"),
        (r#"{"detail":[{"msg":"field required"}]}"#, "field required"),
        ("plain words", "plain words"),
        ("{}", ""),
    ] {
        assert_eq!(error_text(body), want);
    }
}

#[test]
fn bodies_that_come_in_one_piece() {
    let reply = Reading::whole(Openai, r#"{"choices":[{"message":{"content":"hi","tool_calls":[{"id":"c","function":{"name":"similar","arguments":"{}"}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#).unwrap();
    assert_eq!((reply.text.as_str(), reply.calls.len(), reply.tokens_out), ("hi", 1, Some(2)));
    let reply = Reading::whole(Anthropic, r#"{"content":[{"type":"text","text":"hi"},{"type":"tool_use","id":"t","name":"note","input":{"text":"x"}}],"usage":{"input_tokens":3,"output_tokens":4}}"#).unwrap();
    assert_eq!(reply.calls, [call("t", "note", r#"{"text":"x"}"#)]);
    assert!(Reading::whole(Openai, "<html>").is_err() && Reading::whole(Anthropic, "{}").is_err());
}

/// What is sent, as the documents of both say.
#[test]
fn requests_of_both_kinds() {
    let messages = [
        Message::User("begin".into()),
        Message::Model {
            text: String::new(),
            calls: vec![call("c1", "alerts", "{broken"), call("c2", "similar", "{}")],
        },
        Message::Results(vec![
            Answered { id: "c1".into(), text: "no".into(), refused: true },
            Answered { id: "c2".into(), text: "yes".into(), refused: false },
        ]),
    ];
    let ask = Ask { system: "rules", messages: &messages, tools: Offer::Finish, most_out: 9 };
    let sent = body(Openai, "m", &ask, &Quirks::default());
    assert_eq!(sent["messages"][0], json!({"role": "system", "content": "rules"}));
    assert_eq!(sent["messages"][2]["tool_calls"][0]["function"], json!({"name": "alerts", "arguments": "{}"}));
    assert_eq!(sent["messages"][4], json!({"role": "tool", "tool_call_id": "c2", "content": "yes"}));
    assert_eq!(sent["tool_choice"]["function"]["name"], "finish");
    assert_eq!(sent["tools"].as_array().unwrap().len(), 12);
    assert_eq!((&sent["max_tokens"], &sent["stream"]), (&json!(9), &json!(true)));
    let sent = body(Anthropic, "m", &ask, &Quirks::default());
    assert_eq!(sent["system"], "rules");
    assert_eq!(
        sent["messages"][1]["content"][0],
        json!({"type": "tool_use", "id": "c1", "name": "alerts", "input": {}})
    );
    assert_eq!(sent["messages"][2]["content"][0]["is_error"], true);
    assert_eq!(sent["messages"][2]["role"], "user");
    assert_eq!(sent["tool_choice"], json!({"type": "tool", "name": "finish"}));
    let plain = Ask { tools: Offer::None, ..ask };
    for kind in [Openai, Anthropic] {
        let sent = body(kind, "m", &plain, &Quirks::default());
        assert!(sent.get("tools").is_none() && sent.get("tool_choice").is_none());
    }
}

#[test]
fn what_an_endpoint_refuses_is_left_out() {
    let ask = Ask { system: "", messages: &[], tools: Offer::Finish, most_out: 9 };
    let mut quirks = Quirks::default();
    let why =
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
    assert!(quirks.learn(why));
    assert!(!quirks.learn(why), "once");
    assert!(quirks.learn("'temperature' does not support 0.2") && quirks.learn("unknown field stream_options"));
    let sent = body(Openai, "m", &ask, &quirks);
    assert_eq!(sent["max_completion_tokens"], 9);
    assert!(["max_tokens", "temperature", "stream_options"].iter().all(|n| sent.get(n).is_none()), "{sent}");
    assert!(!quirks.learn("the model is overloaded"));
    assert_eq!(path(Anthropic, "/v1"), "messages");
    assert_eq!(path(Anthropic, ""), "v1/messages");
}

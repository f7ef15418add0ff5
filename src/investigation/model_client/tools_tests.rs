use serde_json::json;

use super::*;

fn check(name: &str, arguments: &str, want: Result<Wish, &str>) {
    match (read(name, arguments), want) {
        (Ok(got), Ok(want)) => assert_eq!(got, want, "{name} {arguments}"),
        (Err(why), Err(part)) => assert!(why.contains(part), "{name} {arguments}: {why}"),
        (got, want) => panic!("{name} {arguments}: {got:?}, not {want:?}"),
    }
}

#[test]
fn arguments_are_read_or_the_mistake_is_named() {
    let some = |t: &str| Some(t.to_owned());
    check("alerts", "", Ok(Wish::Alerts(OfAlerts::default())));
    check("alerts", "null", Ok(Wish::Alerts(OfAlerts::default())));
    let of = OfAlerts { service: some("api"), limit: Some(5), ..OfAlerts::default() };
    check("alerts", r#"{"service":"api","limit":"5","host":null}"#, Ok(Wish::Alerts(of)));
    check("alerts", r#""{\"text\":\"x\"}""#, Ok(Wish::Alerts(OfAlerts { text: some("x"), ..OfAlerts::default() })));
    check("alerts", r#"{"limit":0}"#, Err("`limit` must be a whole number from 1 to 50"));
    check("alerts", r#"{"limit":1.5}"#, Err("whole number"));
    check("alerts", r#"{"status":"open"}"#, Err("`status` must be one of firing, resolved"));
    check("alerts", r#"{"servce":"api"}"#, Err("`servce` is unknown, known are service, host"));
    check("alerts", r#"{"service":7}"#, Err("`service` must be text"));
    check("alerts", "{", Err("not JSON"));
    check("alerts", "[]", Err("they must be an object"));
    check("incident", r#"{"id":1}"#, Err("it takes none"));
    check("metric_query", "{}", Err("`metric` is missing"));
    check("shell", r#"{"command":"id"}"#, Err("There is no such tool. There are: incident, alerts"));
    check("alerts; drop", "{}", Err("no such tool"));
    let note = Statement { text: "x".into(), evidence: vec!["E1".into(), "E2".into()] };
    check("note", r#"{"text":"x","evidence":["[E1]","e2"]}"#, Ok(Wish::Note(note)));
    check("note", r#"{"text":"x","evidence":["1"]}"#, Err("ids such as E3"));
    check("note", r#"{"text":"x"}"#, Err("`evidence` is missing"));
    let long = json!({"text": "x".repeat(601), "evidence": ["E1"]}).to_string();
    check("note", &long, Err("600 letters at most"));
    let end = Finishing {
        statements: vec![Statement { text: "s".into(), evidence: vec!["E1".into()] }],
        causes: vec![Named {
            host: some("h"),
            symptom: Some(Symptom::Cpu),
            text: "t".into(),
            evidence: vec!["E2".into()],
            service: None,
        }],
    };
    let whole = r#"{"statements":[{"text":"s","evidence":["E1"]}],"causes":[{"host":"h","symptom":"cpu","text":"t","evidence":["E2"]}]}"#;
    check("finish", whole, Ok(Wish::Finish(end)));
    check("finish", r#"{"statements":[],"causes":[{"text":"t"}]}"#, Err("`causes[0].evidence` is missing"));
    check("finish", r#"{"statements":"all is well","causes":[]}"#, Err("`statements` must be a list"));
    assert!(read_finish(&format!("Here it is:\n```json\n{whole}\n```")).is_ok());
    assert!(read_finish("no object").unwrap_err().contains("no JSON object"));
    assert!(read_finish("{\"a\":").unwrap_err().contains("broken"));
}

#[test]
fn the_list_the_schemas_and_the_readme_are_one() {
    let names: Vec<&str> = TOOLS.iter().map(|t| t.name).collect();
    let want =
        "incident alerts hypotheses topology changes similar runbook metric_query metric_list log_search note finish";
    let sorted = |mut names: Vec<&'static str>| {
        names.sort_unstable();
        names
    };
    assert_eq!(sorted(names.clone()), sorted(want.split(' ').collect()));
    for tool in TOOLS {
        let schema = schema(tool.params);
        assert_eq!(schema["type"], "object");
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["properties"].as_object().unwrap().len(), tool.params.len());
        assert!(tool.about.len() > 20 && tool.about.ends_with('.'), "{}", tool.name);
    }
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    for name in names {
        assert!(readme.contains(&format!("`{name}`")), "the README does not name the tool {name}");
    }
    // The words for symptoms are those of the model.
    let symptoms = schema(TOOLS.last().unwrap().params);
    let words = symptoms.pointer("/properties/causes/items/properties/symptom/enum").unwrap().as_array().unwrap();
    assert_eq!(words.len(), Symptom::ALL.len());
    assert!(words.iter().all(|w| w.as_str().unwrap().parse::<Symptom>().is_ok()));
}

//! Files that people lay over the catalogue.

use super::*;
use crate::investigation::folder::File;

fn files(all: &[(&str, &str)]) -> Vec<File> {
    all.iter().map(|(name, text)| File { name: (*name).to_owned(), text: (*text).to_owned() }).collect()
}

const OWN: &str = "[technology.cassandra]\nnames = [\"cassandra\"]\n\n[[suggestion]]\nid = \"cassandra-status\"\nkind = \"diagnostic\"\nrisk = \"safe\"\nsymptoms = [\"unavailable\"]\ntitle = \"See the ring of {service}\"\nexpect = \"UN for every node.\"\ncommand = \"ssh -- {host} nodetool status\"\n";

#[test]
fn people_add_replace_and_switch_off() {
    let over = "[[suggestion]]\nid = \"host-ping\"\nkind = \"diagnostic\"\nrisk = \"safe\"\nsymptoms = [\"unavailable\"]\ntechnologies = []\ntitle = \"Ask our prober about {host}\"\nexpect = \"Green.\"\n\n[[suggestion]]\nid = \"host-boots\"\nenabled = false\n";
    let (catalogue, faults) = Catalogue::with(&files(&[("a.toml", OWN), ("b.toml", over)]));
    assert_eq!(faults, []);
    assert_eq!(catalogue.len(), Catalogue::default().len());
    let mut case = crate::investigation::tests::case_of("cassandra is down", Some("cassandra"), "generic", &[]);
    let titles = |case: &Case| -> Vec<String> {
        let (_, finish) = crate::investigation::examine(case);
        finish.answer.suggestions.into_iter().map(|s| s.title).collect()
    };
    let before = titles(&case);
    assert!(before.contains(&"Check whether box-1 answers at all".to_owned()), "{before:?}");
    case.catalogue = catalogue;
    let after = titles(&case);
    assert_eq!(after.first().map(String::as_str), Some("See the ring of cassandra"), "{after:?}");
    assert!(after.contains(&"Ask our prober about box-1".to_owned()), "{after:?}");
    assert!(!after.iter().any(|t| t.contains("answers at all") || t.contains("started anew")), "{after:?}");
}

#[test]
fn mistakes_of_a_file_have_their_place_and_stop_no_other() {
    let bad = [
        (
            "kind.toml",
            "[[suggestion]]\nid = \"x\"\nkind = \"diagnosis\"\n",
            "kind.toml:3:8: unknown variant `diagnosis`",
        ),
        ("syntax.toml", "[[suggestion]\n", "syntax.toml:1:"),
        ("key.toml", "[[suggestion]]\nid = \"x\"\nriks = \"safe\"\n", "key.toml:3:1: unknown field `riks`"),
        (
            "quote.toml",
            "[[suggestion]]\nid = \"x\"\nkind = \"diagnostic\"\nrisk = \"safe\"\nsymptoms = [\"cpu\"]\ntitle = \"T\"\nexpect = \"E.\"\ncommand = \"ls '{service}'\"\n",
            "quote.toml:8:11: suggestion `x`: {service} stands inside quotes",
        ),
        (
            "name.toml",
            "[[suggestion]]\nid = \"x\"\nkind = \"diagnostic\"\nrisk = \"safe\"\nsymptoms = [\"cpu\"]\ntitle = \"T {hots}\"\nexpect = \"E.\"\n",
            "name.toml:6:9: suggestion `x`: `{hots}` stands for nothing; known: service,",
        ),
        (
            "risk.toml",
            "[[suggestion]]\nid = \"x\"\nkind = \"diagnostic\"\nrisk = \"low\"\nsymptoms = [\"cpu\"]\ntitle = \"T\"\nexpect = \"E.\"\n",
            "a diagnostic only reads",
        ),
        (
            "undo.toml",
            "[[suggestion]]\nid = \"x\"\nkind = \"fix\"\nrisk = \"high\"\nsymptoms = [\"cpu\"]\ntitle = \"T\"\nexpect = \"E.\"\ncommand = \"ls\"\n",
            "`undo` is missing",
        ),
        (
            "id.toml",
            "[[suggestion]]\nid = \"X y\"\nkind = \"fix\"\nrisk = \"safe\"\nsymptoms = [\"cpu\"]\ntitle = \"T\"\nexpect = \"E.\"\n",
            "id.toml:2:6: suggestion `X y`: an id has",
        ),
        ("off.toml", "[[suggestion]]\nid = \"nothing-such\"\nenabled = false\n", "switched off and there is none"),
        (
            "docs.toml",
            "[[suggestion]]\nid = \"x\"\nkind = \"fix\"\nrisk = \"safe\"\nsymptoms = [\"cpu\"]\ntitle = \"T\"\nexpect = \"E.\"\ndocs = \"javascript:x\"\n",
            "docs.toml:8:8:",
        ),
        (
            "tech.toml",
            "[[suggestion]]\nid = \"x\"\nkind = \"fix\"\nrisk = \"safe\"\ntechnologies = [\"oracle\"]\ntitle = \"T\"\nexpect = \"E.\"\n",
            "nothing tells the technology `oracle`",
        ),
    ];
    for (name, text, want) in bad {
        let (catalogue, faults) = Catalogue::with(&files(&[(name, text), ("good.toml", OWN)]));
        let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert!(said.iter().any(|f| f.contains(want)), "{name}: {said:?}");
        assert!(catalogue.entries().iter().any(|e| e.id == "cassandra-status"), "{name}");
    }
    let (_, faults) = Catalogue::with(&files(&[("a.toml", OWN), ("b.toml", OWN)]));
    assert!(faults.iter().any(|f| f.to_string().contains("stands in a.toml already")), "{faults:?}");
}

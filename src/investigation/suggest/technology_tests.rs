use super::*;
use crate::investigation::{facts::Facts, rank, suggest::Catalogue, tests::case_of};

/// What `data/technology.tsv` says of names as they really are: technologies, tab, where, tab, the text.
#[test]
fn technologies_are_told_by_names_and_never_by_a_vague_word() {
    let catalogue = Catalogue::default();
    for line in include_str!("../data/technology.tsv").lines().filter(|l| !l.starts_with('#') && !l.is_empty()) {
        let mut parts = line.split('\t');
        let (want, place, text) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let case = match place {
            "title" => case_of(text, Some("shop"), "generic", &[]),
            "service" => case_of("Something is wrong", Some(text), "generic", &[]),
            "sender" => case_of("Something is wrong", Some("shop"), text, &[]),
            "label" => {
                let (name, value) = text.split_once('=').unwrap();
                case_of("Something is wrong", Some("shop"), "generic", &[(name, value)])
            }
            other => panic!("{other} is no place of a name: {line}"),
        };
        let ranking = rank::rank(&case, &Facts::of(&case));
        let found = of(&case, &ranking.candidates[0], catalogue.technologies());
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        let want: Vec<&str> = want.split(',').filter(|w| *w != "none").collect();
        assert_eq!(found, want, "{line}");
    }
}

//! Every target over its seeds, and over mutations of them: a few by default, more with `FUZZ_CASES=100000`.

use std::path::PathBuf;

use proptest::{prelude::*, test_runner::TestRunner};

use super::{Site, codec, configuration, connectors, declarations, encodings, model_streams, queries, redaction};

fn seeds_of(target: &str) -> Vec<Vec<u8>> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut files: Vec<_> =
        std::fs::read_dir(&dir).expect("every target has seeds").map(|f| f.unwrap().path()).collect();
    files.sort();
    files.iter().map(|f| std::fs::read(f).unwrap()).collect()
}

/// One change to a seed.
#[derive(Clone, Debug)]
enum Edit {
    Put(usize, u8),
    Insert(usize, Vec<u8>),
    Cut(usize, usize),
    Repeat(usize, usize, usize),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let words: Vec<&[u8]> = vec![
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b":",
        b",",
        b"null",
        b"-1",
        b"1e999",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\r\n",
        b"%",
        b"&",
        b"=",
        b"\\u0000",
        b"\\ud800",
        b"9999-12-31T23:59:60Z",
        b"0001-01-01",
        b"\xe2\x80\xae",
        b"<script>",
        b"labels",
        b"alerts",
        b"title",
        b"content-length: 9\r\n",
        b"transfer-encoding: chunked\r\n",
    ];
    let words = prop::sample::select(words).prop_map(<[u8]>::to_vec);
    let at = any::<prop::sample::Index>().prop_map(|i| i.index(1 << 16));
    let edit = prop_oneof![
        (at.clone(), any::<u8>()).prop_map(|(at, b)| Edit::Put(at, b)),
        (at.clone(), words).prop_map(|(at, w)| Edit::Insert(at, w)),
        (at.clone(), 1..40usize).prop_map(|(at, n)| Edit::Cut(at, n)),
        (at, 1..40usize, 1..200usize).prop_map(|(at, n, times)| Edit::Repeat(at, n, times)),
    ];
    prop::collection::vec(edit, 0..8)
}

fn apply(mut bytes: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for edit in edits {
        let length = bytes.len().max(1);
        match edit {
            Edit::Put(at, b) if !bytes.is_empty() => bytes[at % length] = *b,
            Edit::Put(..) => {}
            Edit::Insert(at, what) => {
                let at = at % (bytes.len() + 1);
                bytes.splice(at..at, what.iter().copied());
            }
            Edit::Cut(at, n) => {
                let at = at % length;
                bytes.drain(at.min(bytes.len())..(at + n).min(bytes.len()));
            }
            Edit::Repeat(at, n, times) => {
                let at = (at % length).min(bytes.len());
                let piece = bytes[at..(at + n).min(bytes.len())].repeat(*times);
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

fn run(target: &str, usual: u32, check: impl Fn(&[u8])) {
    let seeds = seeds_of(target);
    seeds.iter().for_each(|seed| check(seed));
    let cases = std::env::var("FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let case = (any::<prop::sample::Index>(), edits()).prop_map(|(i, edits)| apply(i.get(&seeds).clone(), &edits));
    TestRunner::new(config)
        .run(&case, |bytes| {
            check(&bytes);
            Ok(())
        })
        .unwrap();
}

#[test]
fn rows_of_any_bytes() {
    run("codec", 2000, codec);
}

#[test]
fn bodies_of_any_bytes() {
    run("connectors", 600, connectors);
}

#[test]
fn declarations_of_any_bytes() {
    run("declarations", 1000, declarations);
}

#[test]
fn packed_bodies_of_any_bytes() {
    run("encodings", 2000, encodings);
}

#[test]
fn queries_of_any_bytes() {
    run("queries", 2000, queries);
}

#[test]
fn text_for_a_model_of_any_bytes() {
    run("redaction", 300, redaction);
}

#[test]
fn streams_of_a_model_of_any_bytes() {
    run("model_streams", 2000, model_streams);
}

#[test]
fn configurations_of_any_bytes() {
    let dir = tempfile::tempdir().unwrap();
    run("configuration", 500, |bytes| configuration(bytes, dir.path()));
}

#[test]
fn connections_of_any_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::open(&dir.path().join("data")).unwrap();
    run("http", 200, |bytes| site.http(bytes));
    assert_eq!(site.check(), Vec::<String>::new());
}

/// The seeds that are made from what the code knows; `UPDATE_SEEDS=1` writes them.
#[test]
fn seeds_are_of_this_version() {
    let mut made: Vec<(String, Vec<u8>)> = Vec::new();
    for (n, seed) in crate::store::fuzzing::seeds().into_iter().enumerate() {
        made.push((format!("codec/made-{n}"), seed));
    }
    for (n, connector) in (0u8..).zip(crate::connectors::ALL) {
        let seed = [&[n, 0x80], connector.info().sample.as_bytes()].concat();
        made.push((format!("connectors/{}", connector.info().slug), seed));
    }
    made.push(("configuration/example".to_owned(), crate::config::example_file().replace("\n#", "\n").into_bytes()));
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    for (name, bytes) in made {
        let path = dir.join(&name);
        if std::env::var_os("UPDATE_SEEDS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &bytes).unwrap();
        }
        // A connector that is new has a seed; that an old one is still the same is of no use.
        assert!(path.exists(), "{name} is missing: UPDATE_SEEDS=1 cargo test --lib fuzzing");
    }
}

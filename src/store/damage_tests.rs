//! Files that are not what they should be: the store begins at its last commit or says in a sentence what to do. It never
//! panics or hangs, and never begins empty in place of a full one.

use std::{fs, time::Duration};

use super::{faults_power::Random, *};

const FILES: [&str; 2] = ["intake.redb", "watchfire.redb"];
const DELIVERIES: u64 = 40;
/// A busy disk takes a second for a sync, and one look needs dozens.
const PATIENCE: Duration = Duration::from_secs(180);

fn options(dir: &Path) -> StoreOptions {
    StoreOptions { dir: dir.to_owned(), cache_bytes: 1 << 20, policy: Policy::default() }
}

fn clock() -> Clock {
    Clock::manual(Time::from_secs(1_772_500_000))
}

fn delivery(n: u64) -> NewDelivery {
    let mut signal = Signal::new(format!("grafana:{n}"), format!("title {n}"));
    (signal.severity, signal.service) = (Severity::High, Some(format!("service-{}", n % 5)));
    NewDelivery {
        at: clock().now(),
        platform: "grafana".into(),
        outcome: DeliveryOutcome::Accepted,
        problem: None,
        headers: Vec::new(),
        body: n.to_le_bytes().repeat(200),
        parsed: Parsed { signals: vec![signal], ..Parsed::default() },
        replay_of: None,
    }
}

/// A folder with a store that holds something, closed.
async fn full() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(options(dir.path()), clock()).unwrap();
    for n in 1..=DELIVERIES {
        let seq = store.submit(delivery(n)).await.unwrap().seq;
        assert!(store.applied(seq, PATIENCE).await);
    }
    store.close();
    dir
}

fn copy(from: &Path, to: &Path) {
    for name in [FILES[0], FILES[1], "secret.key"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

/// What came of opening a folder.
#[derive(Debug)]
enum Outcome {
    /// All is there.
    Whole,
    /// It opens, and what is wrong is said when it is read.
    Said,
    Refused(String),
}

/// Opens the folder and reads all of it, in a thread of its own, so that a hang is seen.
fn look(dir: &Path) -> Outcome {
    let (tell, told) = std::sync::mpsc::channel();
    let dir = dir.to_owned();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tell.send(runtime.block_on(read_all(&dir)))
    });
    told.recv_timeout(PATIENCE).expect("it neither hangs nor panics")
}

async fn read_all(dir: &Path) -> Outcome {
    let store = match Store::open(options(dir), clock()) {
        Ok(store) => store,
        Err(StoreError::Damaged(what)) => return Outcome::Refused(what),
        Err(e) => panic!("damage is to be called so: {e}"),
    };
    // Until what the intake has kept is applied again, or cannot be; however long the disk takes.
    while store.health().is_ok() && store.behind() > 0 {
        store.applied(DELIVERIES, Duration::from_millis(50)).await;
    }
    let read = store
        .read(|view| {
            let violated = view.check()?;
            let mut there = 0;
            for seq in 1..=DELIVERIES {
                let right = view.delivery(seq)?.is_some_and(|d| d.body == delivery(seq).body);
                there += u64::from(right && view.results(seq)?.is_some_and(|r| r.len() == 1));
            }
            Ok((violated, there))
        })
        .await;
    store.close();
    match read {
        Ok((violated, there)) if violated.is_empty() && there == DELIVERIES => Outcome::Whole,
        Ok((violated, there)) => {
            assert!(there > DELIVERIES / 2, "it is not empty in place of a full one: {there} {violated:?}");
            Outcome::Said
        }
        Err(_) => Outcome::Said,
    }
}

fn refused(dir: &Path) -> String {
    match look(dir) {
        Outcome::Refused(what) => {
            assert!(what.contains("restore") && what.lines().count() == 1, "the remedy, in a sentence: {what}");
            what
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_cut_off_anywhere_is_whole_or_refused() {
    let full = full().await;
    for name in FILES {
        let bytes = fs::read(full.path().join(name)).unwrap();
        let length = bytes.len();
        let mut ends = vec![1, 8, 9, 63, 64, 100, 320, 511, 512, 4095, 4096, 4097, 8192, 70_000];
        ends.extend((1..12).map(|n| length * n / 12));
        ends.extend([length - 4096, length - 512, length - 1]);
        // How large a file is depends on how its deliveries fell into groups.
        ends.retain(|end| *end < length);
        for end in ends {
            let dir = tempfile::tempdir().unwrap();
            copy(full.path(), dir.path());
            fs::write(dir.path().join(name), &bytes[..end]).unwrap();
            match look(dir.path()) {
                Outcome::Refused(what) => assert!(what.contains(name) && what.contains("restore"), "{what}"),
                // Nothing stood behind that end.
                Outcome::Whole => {}
                Outcome::Said => panic!("{name} cut off at {end} of {length} was opened"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_in_a_file_ends_in_words() {
    let full = full().await;
    let mut random = Random(7);
    for name in FILES {
        let bytes = fs::read(full.path().join(name)).unwrap();
        for n in 0..60 {
            let mut bytes = bytes.clone();
            // Half of them hit the header and the first pages.
            let reach = if n % 2 == 0 { 16_384 } else { bytes.len() as u64 };
            let from = random.below(reach) as usize;
            let to = (from + 1 + random.below([4, 512, 4096, 65_536][n % 4]) as usize).min(bytes.len());
            let zero = random.below(3) == 0;
            bytes[from..to].fill_with(|| if zero { 0 } else { random.next() as u8 });
            let dir = tempfile::tempdir().unwrap();
            copy(full.path(), dir.path());
            fs::write(dir.path().join(name), &bytes).unwrap();
            look(dir.path());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_and_foreign_files_are_refused_with_the_remedy() {
    let full = full().await;
    let folder = || {
        let dir = tempfile::tempdir().unwrap();
        copy(full.path(), dir.path());
        dir
    };
    let text = "This is not a database. ".repeat(500);
    let zeros = vec![0; 1 << 20];
    for name in FILES {
        for contents in [b"".as_slice(), b"SQLite format 3\0", text.as_bytes(), &zeros] {
            let dir = folder();
            fs::write(dir.path().join(name), contents).unwrap();
            assert!(refused(dir.path()).contains(name));
            assert_eq!(fs::read(dir.path().join(name)).unwrap(), contents, "it stays for whoever looks into it");
        }
        let dir = folder();
        fs::remove_file(dir.path().join(name)).unwrap();
        assert!(refused(dir.path()).contains(name));
        assert!(!dir.path().join(name).exists());
    }
    let dir = folder();
    for name in FILES {
        fs::write(dir.path().join(name), b"").unwrap();
    }
    assert!(refused(dir.path()).contains("secret.key"));
    let dir = folder();
    for (name, other) in [(FILES[0], FILES[1]), (FILES[1], FILES[0])] {
        fs::copy(full.path().join(other), dir.path().join(name)).unwrap();
    }
    refused(dir.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_that_broke_off_is_gone_on_with() {
    let new = tempfile::tempdir().unwrap();
    Store::open(options(new.path()), clock()).unwrap().close();
    let half = fs::read(new.path().join(FILES[0])).unwrap().split_off(4096);
    // Everything that can be there before the key is, which comes last.
    for (intake, main) in [(None, None), (Some(true), None), (Some(false), Some(true)), (Some(true), Some(false))] {
        let dir = tempfile::tempdir().unwrap();
        for (name, made) in FILES.into_iter().zip([intake, main]) {
            match made {
                Some(true) => drop(fs::copy(new.path().join(name), dir.path().join(name)).unwrap()),
                Some(false) => fs::write(dir.path().join(name), b"").unwrap(),
                None => fs::write(dir.path().join(name).with_extension("new"), &half).unwrap(),
            }
        }
        let store = Store::open(options(dir.path()), clock()).unwrap();
        let seq = store.submit(delivery(1)).await.unwrap().seq;
        assert!(store.applied(seq, PATIENCE).await);
        store.close();
    }
}

#[tokio::test]
async fn a_delivery_before_damage_in_the_intake_is_applied_and_not_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    Store::open(options(dir.path()), clock()).unwrap().close();
    {
        let intake = redb::Database::open(dir.path().join(FILES[0])).unwrap();
        let txn = intake.begin_write().unwrap();
        let mut blobs = txn.open_table(tables::BLOBS).unwrap();
        for n in 1..=3 {
            // So large that the writer reads the next one by itself, within its transaction.
            let new = NewDelivery { body: vec![b'x'; 2 << 20], ..delivery(n) };
            let row = received::Received::new(&new).unwrap().row(n, DeliveryId::new(new.at, n)).unwrap();
            let mut pack = pack::Packer::default();
            pack.push(n, &row);
            let (first, blob) = pack.finish().unwrap();
            blobs.insert(first, if n == 2 { &b"damaged"[..] } else { &blob }).unwrap();
        }
        drop(blobs);
        txn.commit().unwrap();
    }
    let store = Store::open(options(dir.path()), clock()).unwrap();
    assert!(store.applied(1, PATIENCE).await);
    let row = store.view().unwrap().delivery_row(1).unwrap().unwrap();
    assert_eq!((row.outcome, row.problem), (DeliveryOutcome::Accepted, None));
    let said = async {
        while !matches!(store.health(), Err(StoreError::Damaged(_))) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, said).await.expect("what is damaged is said");
    store.close();
}

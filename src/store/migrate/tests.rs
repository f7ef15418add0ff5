//! Folders that earlier versions wrote, kept in `tests/schema-files`.

use std::io::Read;

use super::*;
use crate::{
    model::{Time, *},
    runtime::clock::Clock,
    store::{AlertFilter, IncidentFilter, Policy, Store, StoreError, StoreOptions},
};

fn unpack(schema: u32, to: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/schema-files/{schema}"));
    open::private_folder(to).unwrap();
    for name in ["watchfire.redb", "intake.redb"] {
        let packed = fs::read(from.join(format!("{name}.gz"))).unwrap();
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).unwrap();
        fs::write(to.join(name), bytes).unwrap();
    }
    fs::copy(from.join("secret.key"), to.join("secret.key")).unwrap();
}

fn open_at(dir: &Path) -> Result<Store, StoreError> {
    let options =
        StoreOptions { dir: dir.to_owned(), cache_bytes: 8 << 20, policy: Policy { reserve: 0, ..Policy::default() } };
    // Nothing may grow too old while the file waits in the repository.
    Store::open(options, Clock::manual("2026-11-21T15:10:00Z".parse::<Time>().unwrap()))
}

/// The folder of the copy.
fn copy_name() -> String {
    format!("before-schema-{}", tables::SCHEMA)
}

/// What every file in `tests/schema-files` must say: see the README there.
async fn tells_its_story(dir: &Path) {
    let store = open_at(dir).unwrap();
    let last = store.behind() + *store.position().borrow();
    assert!(store.applied(last, std::time::Duration::from_secs(120)).await);
    let view = store.exclusive_view().await.unwrap();
    assert_eq!(view.check().unwrap(), Vec::<String>::new());
    for seq in 1..=last {
        let delivery = view.delivery(seq).unwrap().unwrap();
        assert_eq!(delivery.seq, seq);
        assert!(view.delivery_row(seq).unwrap().is_some() && view.results(seq).unwrap().is_some());
    }
    let all = |statuses: &[IncidentStatus]| {
        let filter = IncidentFilter { statuses: statuses.to_vec(), ..IncidentFilter::default() };
        view.incidents(&filter, None, 200).unwrap().items
    };
    assert_eq!(
        all(&[IncidentStatus::Resolved]).iter().filter(|i| i.resolution.as_deref() == Some("rolled back")).count(),
        1
    );
    assert!(all(&[]).iter().any(|i| i.manual && i.title == "Checkout is slow"));
    for n in 1..=3 {
        let filter = AlertFilter { words: vec![format!("Late alert {n}")], ..AlertFilter::default() };
        let found = view.alerts(&filter, None, 10).unwrap().items;
        assert_eq!(found.len(), 1, "it was not applied when the process was killed");
    }
    assert_eq!(view.accounts().unwrap().iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["kim"]);
    for settings in view.connectors().unwrap() {
        assert!(!store.sealer().open(&settings.key).unwrap().is_empty(), "{}", settings.platform);
    }
    drop(view);
    store.close();
}

#[tokio::test]
async fn the_folders_of_all_schemas_are_opened() {
    for schema in 1..=tables::SCHEMA {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        unpack(schema, &data);
        tells_its_story(&data).await;
        // And again: what a migration leaves is a folder of this schema.
        tells_its_story(&data).await;
        let copied = data.join(copy_name());
        assert_eq!(copied.exists(), schema < tables::SCHEMA);
        if schema < tables::SCHEMA {
            assert_eq!(schema_of(&copied.join("watchfire.redb"), 8 << 20).unwrap(), Some(schema));
        }
    }
}

#[tokio::test]
async fn a_migration_that_was_cut_off_is_done_again() {
    // Killed after the copy began, after the copy, and between the two files.
    for cut in ["copying", "copied", "intake"] {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        unpack(1, &data);
        match cut {
            "copying" => {
                fs::create_dir(data.join(copy_name() + ".partial")).unwrap();
                fs::write(data.join(copy_name() + ".partial/watchfire.redb"), "half").unwrap();
            }
            "copied" => copy(&data, 1).unwrap(),
            _ => {
                copy(&data, 1).unwrap();
                let main = open::database(&data.join("watchfire.redb"), 8 << 20).unwrap();
                let intake = open::database(&data.join("intake.redb"), 8 << 20).unwrap();
                v001::retries(&Files { main: &main, intake: &intake }).unwrap();
            }
        }
        tells_its_story(&data).await;
    }
}

#[test]
fn a_newer_folder_is_refused_with_the_remedy_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    unpack(1, dir.path());
    let path = dir.path().join("watchfire.redb");
    let database = open::database(&path, 8 << 20).unwrap();
    let txn = database.begin_write().unwrap();
    set_schema(&txn, tables::SCHEMA + 1).unwrap();
    txn.commit().unwrap();
    drop(database);
    let refused = open_at(dir.path()).unwrap_err();
    assert!(matches!(refused, StoreError::Newer { .. }), "{refused}");
    assert!(refused.to_string().contains("install the newer version again"), "{refused}");
    assert_eq!(schema_of(&path, 8 << 20).unwrap(), Some(tables::SCHEMA + 1));
    assert!(!dir.path().join(copy_name()).exists());
}

//! Backups as their users see them: made, looked at, damaged, restored.

use std::{
    io::{Read, Write},
    sync::atomic::{AtomicU64, Ordering},
};

use tokio_util::sync::CancellationToken;

use super::{restore::*, schedule::*, *};
use crate::{
    model::*,
    runtime::clock::Clock,
    store::{NewDelivery, Policy, StoreOptions, seal::Sealer},
};

const PASSPHRASE: &str = "a passphrase of a test";

fn start() -> Time {
    "2026-03-03T10:30:00Z".parse().unwrap()
}

fn open(dir: &Path) -> Store {
    let options = StoreOptions { dir: dir.to_owned(), cache_bytes: 8 << 20, policy: Policy::default() };
    Store::open(options, Clock::manual(start())).unwrap()
}

/// A store with something in every kind of table that tests can reach quickly.
async fn furnished(dir: &Path, deliveries: u64) -> Store {
    let store = open(dir);
    for n in 0..deliveries {
        let mut signal = Signal::new(format!("generic:{n}"), format!("title {n}"));
        signal.service = Some(format!("service {}", n % 5));
        let delivery = NewDelivery {
            at: start(),
            platform: "generic".into(),
            outcome: DeliveryOutcome::Accepted,
            problem: None,
            headers: Vec::new(),
            body: format!("{{\"n\": {n}, \"pad\": \"{}\"}}", "x".repeat(3000)).into_bytes(),
            parsed: Parsed { signals: vec![signal], retry_id: Some(n.to_string()), ..Parsed::default() },
            replay_of: None,
        };
        store.submit(delivery).await.unwrap();
    }
    assert!(store.applied(deliveries, std::time::Duration::from_secs(120)).await);
    let key = store.sealer().seal("wk_the_key").unwrap();
    let settings = serde_json::json!({"platform": "generic", "enabled": true, "auth": "key", "key": key.0, "rate_per_minute": 1, "created_at": start()});
    store.ensure_connectors(vec![serde_json::from_value(settings).unwrap()]).await.unwrap();
    store
}

async fn backup(store: &Store, to: &Path, passphrase: Option<&str>) -> Result<Made, BackupError> {
    let view = store.exclusive_view().await.unwrap();
    to_file(store, &view, &Order { passphrase, ..Order::new(to, start(), &|_| true) }, false)
}

fn restoring<'a>(from: &'a Path, dir: &'a Path, going: &'a mut dyn FnMut(u64) -> bool) -> Restore<'a> {
    Restore { from, dir, replace: false, passphrase: None, now: start(), going }
}

fn names(dir: &Path) -> Vec<String> {
    let mut all: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    all.sort();
    all
}

#[tokio::test]
async fn what_was_backed_up_is_what_is_restored() {
    let home = tempfile::tempdir().unwrap();
    let store = furnished(&home.path().join("data"), 300).await;
    let file = home.path().join("b.tar");
    let made = backup(&store, &file, Some(PASSPHRASE)).await.unwrap();
    assert_eq!(made.bytes, fs::metadata(&file).unwrap().len());
    assert_eq!((made.manifest.position, made.manifest.with_key), (300, true));
    assert_eq!(
        made.manifest.tables,
        store.view().unwrap().digests().unwrap(),
        "a table of the manifest is another one"
    );
    assert!(matches!(backup(&store, &file, None).await, Err(BackupError::Exists(_))));
    assert_eq!(names(home.path()), ["b.tar", "data"]);
    let stored =
        ["watchfire.redb", "intake.redb"].map(|f| fs::metadata(store.dir().join(f)).unwrap().len()).iter().sum::<u64>();
    assert!(made.bytes < 2 * stored, "{} of {stored}", made.bytes);

    // As any other tar file.
    let listed = std::process::Command::new("tar").arg("tf").arg(&file).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(listed, "watchfire.redb\nintake.redb\nsecret.key.sealed\nmanifest.json\nSHA256SUMS\n");
    let by_hand = home.path().join("by-hand");
    fs::create_dir(&by_hand).unwrap();
    let done = std::process::Command::new("sh")
        .arg("-c")
        .arg("tar xf ../b.tar && sha256sum -c SHA256SUMS")
        .current_dir(&by_hand)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");

    let dir = home.path().join("new/data");
    let restored = restore(Restore { passphrase: Some(PASSPHRASE), ..restoring(&file, &dir, &mut |_| true) }).unwrap();
    assert_eq!((restored.key, restored.aside), (RestoredKey::Backup, None));
    assert_eq!(names(&home.path().join("new")), ["data"]);
    assert_eq!(names(&dir), ["intake.redb", "secret.key", "watchfire.redb"]);
    assert_eq!(digest::of_folder(&dir).unwrap(), made.manifest.tables);
    let again = open(&dir);
    let view = again.view().unwrap();
    assert_eq!(view.check().unwrap(), Vec::<String>::new());
    assert_eq!(view.delivery(300).unwrap(), store.view().unwrap().delivery(300).unwrap());
    assert_ne!(again.nonce(), store.nonce(), "it is another store from here on");
    let settings = view.connector("generic").unwrap().unwrap();
    assert_eq!(again.sealer().open(&settings.key).unwrap(), "wk_the_key");
    again.close();
    store.close();
}

#[tokio::test]
async fn every_table_is_copied_and_a_strange_one_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let store = furnished(&home.path().join("data"), 3).await;
    let view = store.exclusive_view().await.unwrap();
    for part in Part::ALL {
        let txn = view.snapshot(part);
        part.knows(txn).unwrap();
        let there = txn.list_tables().unwrap().count();
        assert_eq!(digest::of(part, txn).unwrap().len(), there, "{} has tables that the list lacks", part.file());
    }
    drop(view);
    store.close();
    drop(store);
    {
        let database = Database::open(home.path().join("data/watchfire.redb")).unwrap();
        let txn = database.begin_write().unwrap();
        txn.open_table(TableDefinition::<u64, u64>::new("new_in_a_later_version")).unwrap().insert(1, 1).unwrap();
        txn.commit().unwrap();
    }
    let store = open(&home.path().join("data"));
    let refused = backup(&store, &home.path().join("b.tar"), None).await.unwrap_err().to_string();
    assert!(refused.contains("new_in_a_later_version"), "{refused}");
    assert_eq!(names(home.path()), ["data"], "nothing is left of it");
    store.close();
}

#[tokio::test]
async fn damage_is_found_before_anything_is_touched() {
    let home = tempfile::tempdir().unwrap();
    let store = furnished(&home.path().join("data"), 20).await;
    let file = home.path().join("b.tar");
    backup(&store, &file, Some(PASSPHRASE)).await.unwrap();
    store.close();
    let good = fs::read(&file).unwrap();
    let dir = home.path().join("new");
    let attempt = |bytes: &[u8]| {
        fs::File::create(&file).unwrap().write_all(bytes).unwrap();
        let done = restore(Restore { passphrase: Some(PASSPHRASE), ..restoring(&file, &dir, &mut |_| true) });
        assert_eq!(names(home.path()), ["b.tar", "data"], "nothing is left of it");
        done.unwrap_err().to_string()
    };
    let mut of_a_row = good.clone();
    of_a_row[20_000] ^= 1;
    assert!(attempt(&of_a_row).contains("watchfire.redb in it is damaged"), "{}", attempt(&of_a_row));
    for length in [0, 700, good.len() / 2, good.len() - 1024 - 512] {
        let said = attempt(&good[..length]);
        assert!(said.contains("no whole backup"), "{length}: {said}");
    }
    let text = |from: &str, to: &str| {
        let at = good.windows(from.len()).rposition(|w| w == from.as_bytes()).unwrap();
        let mut bytes = good.clone();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    let schema = format!("\"schema\": {}", tables::SCHEMA);
    let said = attempt(&text(&schema, "\"schema\": 9"));
    assert!(said.contains("newer") && said.contains(env!("CARGO_PKG_VERSION")), "{said}");
    assert!(attempt(&text("\"format\": 1", "\"format\": 7")).contains("newer"));
    assert!(attempt(&text("\"position\": 20", "\"position\": 21")).contains("manifest.json in it is damaged"));
    assert!(attempt(b"PK\x03\x04 this is no tar file at all, but a long text").contains("no whole backup"));
    fs::write(&file, &good).unwrap();
    let wrong = restore(Restore { passphrase: Some("another passphrase"), ..restoring(&file, &dir, &mut |_| true) });
    assert!(wrong.unwrap_err().to_string().contains("passphrase is not the one"), "and nothing was changed");
    assert_eq!(names(home.path()), ["b.tar", "data"]);
}

#[tokio::test]
async fn a_folder_with_something_in_it_is_moved_aside_only_when_asked() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let store = furnished(&data, 10).await;
    let file = home.path().join("b.tar");
    backup(&store, &file, None).await.unwrap();
    let refused = restore(restoring(&file, &data, &mut |_| true)).unwrap_err();
    assert!(matches!(refused, BackupError::NotEmpty(_)), "{refused}");
    let in_use = restore(Restore { replace: true, ..restoring(&file, &data, &mut |_| true) }).unwrap_err();
    assert!(in_use.to_string().contains("in use"), "{in_use}");
    store.close();
    drop(store);
    let done = restore(Restore { replace: true, ..restoring(&file, &data, &mut |_| true) }).unwrap();
    // The backup has no key, and the one that was there fits.
    assert_eq!(done.key, RestoredKey::Kept);
    assert_eq!(done.aside, Some(home.path().join("data.before-restore-20260303T103000Z")));
    assert!(done.aside.unwrap().join("watchfire.redb").exists());
    let store = open(&data);
    assert_eq!(store.view().unwrap().check().unwrap(), Vec::<String>::new());
    store.close();
    drop(store);

    // A key that does not open the restored secrets is no key.
    fs::remove_file(data.join("secret.key")).unwrap();
    Sealer::open_file(&data, true).unwrap();
    let later = "2026-03-04T00:00:00Z".parse().unwrap();
    let done = restore(Restore { replace: true, now: later, ..restoring(&file, &data, &mut |_| true) }).unwrap();
    assert_eq!(done.key, RestoredKey::Missing);
    assert!(!data.join("secret.key").exists());
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_cannot_be_renamed_is_filled_from_within() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let store = furnished(&home.path().join("data"), 10).await;
    let file = home.path().join("b.tar");
    let made = backup(&store, &file, None).await.unwrap();
    store.close();
    let parent = home.path().join("var");
    let dir = parent.join("watchfire");
    fs::create_dir_all(&dir).unwrap();
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o555)).unwrap();
    let root = fs::write(parent.join("root-may-everything"), "").is_ok();
    if root {
        // Root is refused nothing; the same code runs for a mount point.
        restore_within(restoring(&file, &dir, &mut |_| true), false).unwrap();
    } else {
        restore(restoring(&file, &dir, &mut |_| true)).unwrap();
    }
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(names(&dir), ["intake.redb", "watchfire.redb"]);
    assert_eq!(digest::of_folder(&dir).unwrap(), made.manifest.tables);
    restore_within(Restore { replace: true, ..restoring(&file, &dir, &mut |_| true) }, true).unwrap();
    assert_eq!(names(&dir), ["before-restore-20260303T103000Z", "intake.redb", "watchfire.redb"]);
    assert_eq!(names(&dir.join("before-restore-20260303T103000Z")), ["intake.redb", "watchfire.redb"]);
}

/// A restore into a folder that cannot be renamed, killed between two of its files.
#[tokio::test]
async fn half_a_restore_is_no_empty_store() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    fs::create_dir_all(dir.join("before-restore-20260303T103000Z")).unwrap();
    fs::create_dir_all(dir.join(".data.restoring-00112233")).unwrap();
    let options = StoreOptions { dir: dir.clone(), cache_bytes: 8 << 20, policy: Policy::default() };
    let said = Store::open(options, Clock::manual(start())).unwrap_err().to_string();
    assert!(said.contains("broken off") && said.contains("before-restore-"), "{said}");
    assert!(!dir.join("watchfire.redb").exists() && !dir.join("intake.redb").exists());
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_to_the_data_folder_stays_a_link() {
    let home = tempfile::tempdir().unwrap();
    let (link, data) = (home.path().join("link"), home.path().join("disk").join("data"));
    let store = furnished(&data, 10).await;
    let file = home.path().join("b.tar");
    backup(&store, &file, None).await.unwrap();
    store.close();
    std::os::unix::fs::symlink(&data, &link).unwrap();
    let done = restore(Restore { replace: true, ..restoring(&file, &link, &mut |_| true) }).unwrap();
    assert!(link.is_symlink() && !data.is_symlink());
    assert_eq!(done.aside, Some(home.path().join("disk").join("data.before-restore-20260303T103000Z")));
    open(&data).close();
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_and_a_stop_leave_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let store = furnished(&home.path().join("data"), 10).await;
    let to = home.path().join("b.tar");
    let view = store.exclusive_view().await.unwrap();
    let full = to_file(&store, &view, &Order { free: |_| Some(1 << 20), ..Order::new(&to, start(), &|_| true) }, false)
        .unwrap_err();
    assert!(full.to_string().contains("1 MiB are free"), "{full}");
    let calls = AtomicU64::new(0);
    let stop = |_| calls.fetch_add(1, Ordering::SeqCst) < 5;
    assert!(matches!(to_file(&store, &view, &Order::new(&to, start(), &stop), false), Err(BackupError::Stopped)));
    assert_eq!(names(home.path()), ["data"]);
    drop(view);
    store.close();
}

#[test]
fn only_names_of_our_own_are_backups() {
    assert_eq!(name_of(start()), "watchfire-20260303T103000Z.tar");
    let dir = tempfile::tempdir().unwrap();
    let others =
        ["watchfire-20260303T103000Z.tar.partial", "watchfire-mine.tar", "watchfire-20260303T1030Z.tar", "notes"];
    for name in others.iter().chain(&["watchfire-20260303T103000Z.tar", "watchfire-20260304T103000Z.tar"]) {
        fs::write(dir.path().join(name), "x").unwrap();
    }
    prune(dir.path(), 1, &dir.path().join("watchfire-20260303T103000Z.tar"));
    let mut want: Vec<&str> = others.into_iter().chain(["watchfire-20260303T103000Z.tar"]).collect();
    want.sort_unstable();
    assert_eq!(names(dir.path()), want, "the one just made stays, whatever the clock said before");
}

#[test]
fn a_backup_from_a_clock_that_was_ahead_pushes_none_out() {
    let dir = tempfile::tempdir().unwrap();
    let name = |day: u32| format!("watchfire-202603{day:02}T103000Z.tar");
    let ahead = "watchfire-20380101T000000Z.tar".to_owned();
    for name in [name(1), name(2), name(3), name(4), ahead.clone()] {
        fs::write(dir.path().join(name), "x").unwrap();
    }
    prune(dir.path(), 4, &dir.path().join(name(4)));
    assert_eq!(names(dir.path()), [name(1), name(2), name(3), name(4)]);
    prune(dir.path(), 2, &dir.path().join(name(4)));
    assert_eq!(names(dir.path()), [name(3), name(4)]);
}

#[tokio::test]
async fn the_newest_are_kept_and_a_failure_is_tried_again_within_the_hour() {
    static FREE: AtomicU64 = AtomicU64::new(u64::MAX);
    let home = tempfile::tempdir().unwrap();
    let store = furnished(&home.path().join("data"), 5).await;
    let clock = Clock::manual(start());
    let dir = home.path().join("backups");
    let day = std::time::Duration::from_secs(86_400);
    let schedule = Schedule { dir: dir.clone(), every: day, keep: 2 };
    let begin = || {
        let stop = CancellationToken::new();
        let free: fn(&Path) -> Option<u64> = |_| Some(FREE.load(Ordering::SeqCst));
        let backups = Backups::with(store.clone(), clock.clone(), Some(schedule.clone()), stop.clone(), free);
        (backups.clone(), stop, tokio::spawn(backups.run()))
    };
    let (backups, stop, task) = begin();
    let mut attempts = backups.attempts();
    attempts.wait_for(|n| *n == 1).await.unwrap();
    assert_eq!(names(&dir), ["watchfire-20260303T103000Z.tar"]);
    assert_eq!(backups.status().next, Some(start().plus(day)));
    fs::write(dir.join("mine.tar"), "x").unwrap();
    for n in 2..=3 {
        clock.advance(day);
        attempts.wait_for(|a| *a == n).await.unwrap();
    }
    assert_eq!(names(&dir), ["mine.tar", "watchfire-20260304T103000Z.tar", "watchfire-20260305T103000Z.tar"]);
    verify(&dir.join("watchfire-20260305T103000Z.tar"), None, &mut |_| true).unwrap();

    FREE.store(5 << 20, Ordering::SeqCst);
    clock.advance(day);
    attempts.wait_for(|n| *n == 4).await.unwrap();
    let status = backups.status();
    assert!(status.failed.as_ref().unwrap().1.contains("5 MiB are free"), "{status:?}");
    assert!(status.next.unwrap() <= clock.now().plus(std::time::Duration::from_secs(3600)));
    assert_eq!((status.failures, status.kept, names(&dir).len()), (1, 2, 3));
    FREE.store(u64::MAX, Ordering::SeqCst);
    clock.advance(status.next.unwrap().since(clock.now()));
    attempts.wait_for(|n| *n == 5).await.unwrap();
    let status = backups.status();
    assert_eq!((status.failed, status.kept, status.last.as_ref().unwrap().at), (None, 2, clock.now()));
    stop.cancel();
    task.await.unwrap();

    // The folder remembers it for the next process.
    let (again, stop, task) = begin();
    assert_eq!(again.status().last, status.last);
    assert_eq!(again.status().next, Some(clock.now().plus(day)));
    stop.cancel();
    task.await.unwrap();
    store.close();
}

#[tokio::test]
async fn a_download_is_whole_and_leaves_no_file() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let store = furnished(&dir, 5).await;
    fs::write(dir.join("backup-download-of-a-killed-process"), "x").unwrap();
    let before = names(&dir);
    let backups = Backups::new(store.clone(), Clock::manual(start()), None, CancellationToken::new());
    let mut one = backups.download(None).await.unwrap();
    let other = backups.download(Some(PASSPHRASE.to_owned())).await.unwrap();
    assert!(matches!(backups.download(None).await, Err(BackupError::Busy)), "each holds a copy on the disk");
    assert_eq!(names(&dir).len(), before.len() - 1);
    assert!(other.manifest.with_key && !one.manifest.with_key);
    drop(other);
    let mut bytes = Vec::new();
    one.file.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, one.bytes);
    let file = home.path().join(&one.name);
    fs::write(&file, bytes).unwrap();
    verify(&file, None, &mut |_| true).unwrap();
    assert!(matches!(backups.download(Some("short".to_owned())).await, Err(BackupError::Passphrase(_))));
    backups.download(None).await.unwrap();
    store.close();
}

/// Whoever asked may go away at any moment, also after the last piece was written.
#[tokio::test(flavor = "multi_thread")]
async fn the_copy_for_a_download_loses_its_name_whether_somebody_waits_or_not() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let store = furnished(&dir, 5).await;
    let backups = Backups::new(store.clone(), Clock::manual(start()), None, CancellationToken::new());
    let before = names(&dir);
    let mut asked = Box::pin(backups.download(None));
    loop {
        if names(&dir) != before {
            break;
        }
        tokio::select! {
            biased;
            done = &mut asked => {
                done.unwrap();
                break;
            }
            () = tokio::task::yield_now() => {}
        }
    }
    // Nobody polls it any more.
    let gone = async {
        while names(&dir) != before {
            tokio::task::yield_now().await
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), gone).await.expect("it has no name in the end");
    drop(asked);
    store.close();
}

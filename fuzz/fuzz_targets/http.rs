#![no_main]

use std::sync::LazyLock;

use watchfire::fuzzing::Site;

static SITE: LazyLock<Site> = LazyLock::new(|| {
    // Kept until the process ends: the site holds its files open.
    let dir = tempfile::tempdir().unwrap().keep();
    Site::open(&dir).unwrap()
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| SITE.http(data));

//! The pages in a real browser, against a whole server. `tests/run` installs what is needed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod browser;
mod driver;
mod first_run;
mod hostile;
mod incident;
mod investigation;
mod judges;
mod keyboard;
mod leak;
mod list;
mod live;
mod look;
mod media;
mod noscript;
mod pixel;
mod storm;
mod story;
#[path = "../it/support.rs"]
mod support;
mod tabs;
mod watch;

//! Integration tests, in one binary: every test binary links the whole tree again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod access;
mod api;
mod arrows;
mod backup;
mod binary;
mod certificates;
mod clock;
mod connector_pages;
mod crash;
mod crowd;
mod declared;
mod dependencies;
mod disk;
mod doors;
mod edges;
mod hostile;
mod hostile_text;
mod ingest;
mod main_job;
mod netdata;
mod netdata_cloud;
mod overload;
mod pki;
mod platforms;
mod proxy;
mod scopes;
mod secrets;
mod senders;
mod slow;
mod slow_http2;
mod sources;
mod start;
mod streams;
mod support;
mod tls;

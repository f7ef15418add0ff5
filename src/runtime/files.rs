//! How many files and connections the system lets this process have open.

/// What is kept for files, threads and connections of our own.
const OURS: u64 = 256;
/// More connections than this are not useful to one machine's senders and readers.
const MOST: u64 = 8192;

/// Asks for as many open files as the system allows this process; many systems begin with 1,024.
pub fn raise() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        if limit.current != limit.maximum {
            limit.current = limit.maximum;
            if let Err(e) = setrlimit(Resource::Nofile, limit) {
                tracing::debug!(error = %e, "the number of open files was not raised");
            }
        }
    }
}

/// How many connections fit beside everything else.
pub fn connections() -> usize {
    #[cfg(unix)]
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    let limit = None;
    within(limit)
}

fn within(limit: Option<u64>) -> usize {
    let fit = limit.map_or(MOST, |files| files.saturating_sub(OURS).clamp(64, MOST));
    usize::try_from(fit).unwrap_or(64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_files() {
        for (files, want) in
            [(None, 8192), (Some(1024), 768), (Some(65_536), 8192), (Some(100), 64), (Some(u64::MAX), 8192)]
        {
            assert_eq!(within(files), want, "{files:?}");
        }
        assert!(connections() >= 64);
    }
}

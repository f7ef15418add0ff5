//! The little that taking deliveries asks of the internet: certificates of senders that sign with one, and the call that
//! confirms a subscription. Addresses come from `connectors`, which lets only the sender's own hosts through.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::model::Time;

/// For a place, and then for an answer. The sender waits for its own meanwhile; SNS for 15 s.
const PATIENCE: Duration = Duration::from_secs(5);
/// A certificate has some 2 KiB, the answer to a confirmation less.
const MOST: usize = 64 << 10;
/// A platform has a few certificates at a time, one for each region.
const REMEMBERED: usize = 32;
/// What could not be fetched is not asked for again so soon.
const FAILED_FOR: Duration = Duration::from_secs(20);
/// Strangers can name addresses; this many requests are on their way at most.
const PLACES: usize = 4;
/// And this many wait for a place: each of them holds its body meanwhile.
const WAITING: usize = 64;

/// Why something could not be fetched, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreachable(String);

type Fetched = Result<Arc<str>, Unreachable>;

/// One for each process.
pub struct Outside {
    // Made when it is first needed: most never need it.
    client: OnceLock<Result<reqwest::Client, Unreachable>>,
    base: Option<String>,
    known: Mutex<VecDeque<(String, Time, Fetched)>>,
    places: Semaphore,
    waiting: Semaphore,
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outside").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Outside {
    /// With `base`, everything is asked of that address instead of the host that is named.
    pub fn new(base: Option<String>) -> Self {
        let (places, waiting) = (Semaphore::new(PLACES), Semaphore::new(WAITING));
        Self { client: OnceLock::new(), base, known: Mutex::default(), places, waiting }
    }

    /// The text at this address; what was found there once is remembered, and for a short time what was not.
    pub async fn certificate(&self, address: &str, now: Time) -> Fetched {
        if let Some(found) = self.remembered(address, now) {
            return found;
        }
        // Whoever gets no place has learnt nothing about the address, so that is not remembered.
        let _place = self.place(address).await?;
        // Of many that want the same at the same time, the first asks for all.
        if let Some(found) = self.remembered(address, now) {
            return found;
        }
        let found = self.get(address).await.and_then(|text| match text.contains("-----BEGIN CERTIFICATE-----") {
            true => Ok(Arc::from(text)),
            false => Err(Unreachable(format!("{address} is no certificate"))),
        });
        if let Err(e) = &found {
            tracing::warn!(error = %e, "a sender's certificate could not be fetched");
        }
        let mut known = lock(&self.known);
        known.retain(|(a, _, _)| a != address);
        known.push_back((address.to_owned(), now, found.clone()));
        while known.len() > REMEMBERED {
            // Failures make room first, so that made-up addresses push no certificate out.
            let at = known.iter().position(|(_, _, f)| f.is_err()).unwrap_or(0);
            known.remove(at);
        }
        found
    }

    /// Calls this address; what it answers does not matter as long as it is success.
    pub async fn call(&self, address: &str) -> Result<(), Unreachable> {
        let _place = self.place(address).await?;
        self.get(address).await.map(drop)
    }

    /// A place to ask from.
    async fn place(&self, address: &str) -> Result<SemaphorePermit<'_>, Unreachable> {
        let why = |what: &str| Unreachable(format!("{} was not asked{what}", host(address)));
        let _turn = self.waiting.try_acquire().map_err(|_| why(": too many wait for an answer from outside"))?;
        match tokio::time::timeout(PATIENCE, self.places.acquire()).await {
            Ok(place) => place.map_err(|_| why(", as this server stops")),
            Err(_) => Err(why(" within 5 s: others before it take long")),
        }
    }

    fn remembered(&self, address: &str, now: Time) -> Option<Fetched> {
        let known = lock(&self.known);
        let (_, at, found) = known.iter().find(|(a, _, _)| a == address)?;
        (found.is_ok() || now.distance(*at) < FAILED_FOR).then(|| found.clone())
    }

    async fn get(&self, address: &str) -> Result<String, Unreachable> {
        let why = |what: &str| Unreachable(format!("{} {what}", host(address)));
        let client = self.client.get_or_init(client).as_ref().map_err(Clone::clone)?;
        let asked = self.base.as_ref().map(|base| format!("{base}{}", path(address)));
        let exchange = async {
            let answer = client.get(asked.as_deref().unwrap_or(address)).send().await;
            let mut answer = answer.map_err(|e| why(&format!("cannot be reached: {}", plain(&e))))?;
            if !answer.status().is_success() {
                return Err(why(&format!("answers with {}", answer.status())));
            }
            let mut text = Vec::new();
            while let Some(piece) = answer.chunk().await.map_err(|e| why(&format!("broke off: {}", plain(&e))))? {
                text.extend_from_slice(&piece);
                if text.len() > MOST {
                    return Err(why("answers with more than a certificate or a confirmation has"));
                }
            }
            String::from_utf8(text).map_err(|_| why("answers with something that is no text"))
        };
        tokio::time::timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err(why("did not answer within 5 s")))
    }
}

fn client() -> Result<reqwest::Client, Unreachable> {
    reqwest::Client::builder()
        // A redirect could lead anywhere.
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .user_agent(concat!("watchfire/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| Unreachable(format!("nothing can be fetched: {}", plain(&e))))
}

/// The last of the reasons, which is the one that helps, without the address: a confirmation's holds a token.
fn plain(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    if std::ptr::eq(cause, error as &dyn std::error::Error) {
        "the request failed".to_owned()
    } else {
        cause.to_string()
    }
}

fn host(address: &str) -> &str {
    address.split('/').nth(2).unwrap_or("the address")
}

/// Path and query.
fn path(address: &str) -> &str {
    let after = address.split_once("://").map_or(address, |(_, rest)| rest);
    after.find('/').and_then(|at| after.get(at..)).unwrap_or("/")
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (address, want) in [
            ("https://sns.eu-west-1.amazonaws.com/x.pem", ("sns.eu-west-1.amazonaws.com", "/x.pem")),
            ("https://a/?x=1/2", ("a", "/?x=1/2")),
            ("https://a", ("a", "/")),
        ] {
            assert_eq!((host(address), path(address)), want);
        }
    }

    const ADDRESS: &str = "https://sns.eu-west-1.amazonaws.com/x.pem";

    #[tokio::test]
    async fn who_gets_no_place_is_told_at_once_and_nothing_is_remembered() {
        let outside = Outside::new(None);
        let _all = outside.waiting.acquire_many(WAITING as u32).await.unwrap();
        let refused = outside.certificate(ADDRESS, Time::from_secs(1000)).await.unwrap_err();
        assert!(refused.to_string().contains("too many wait"), "{refused}");
        assert!(outside.call(ADDRESS).await.is_err());
        assert!(outside.remembered(ADDRESS, Time::from_secs(1000)).is_none());
    }

    #[tokio::test]
    async fn of_many_that_want_the_same_the_first_asks_for_all() {
        // Nothing answers there.
        let outside = Outside::new(Some("http://127.0.0.1:1".to_owned()));
        let at = Time::from_secs(1000);
        let first = outside.places.acquire_many(PLACES as u32).await.unwrap();
        let found = async {
            lock(&outside.known).push_back((ADDRESS.to_owned(), at, Ok(Arc::from("pem"))));
            drop(first);
        };
        let (second, ()) = tokio::join!(outside.certificate(ADDRESS, at), found);
        assert_eq!(second.as_deref(), Ok("pem"));
    }

    #[test]
    fn failures_are_forgotten_and_make_room_first() {
        let outside = Outside::new(None);
        let at = Time::from_secs(1000);
        let put = |name: &str, found: Fetched| lock(&outside.known).push_back((name.to_owned(), at, found));
        put("good", Ok(Arc::from("pem")));
        put("bad", Err(Unreachable("x".into())));
        assert!(outside.remembered("good", Time::from_secs(9000)).is_some());
        assert!(outside.remembered("bad", Time::from_secs(1019)).is_some());
        assert!(outside.remembered("bad", Time::from_secs(1020)).is_none());
    }
}

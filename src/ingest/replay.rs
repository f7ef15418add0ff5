//! Deliveries that no sender sends: a platform's own sample as a test, and stored ones parsed again.

use super::{
    accept::{Door, QUERY_HEADER, apply_settings, parse, request, signals},
    outcome::{Accepted, Arrival, Refusal},
};
use crate::{
    connectors::Overload,
    model::*,
    store::{NewDelivery, StoreError},
};

impl Door {
    /// The platform's own sample through the real path, marked as a test; everything but the proof is as for a sender.
    pub async fn test(&self, platform: &str) -> Result<Accepted, Refusal> {
        let Some(connector) = self.memory.registry.find(platform) else {
            return Err(Refusal::UnknownPlatform(self.memory.registry.near(platform)));
        };
        let Some(settings) = self.memory.settings(platform, &self.store, &self.config).await? else {
            return Err(Refusal::UnknownPlatform(Vec::new()));
        };
        if !settings.takes(self.clock.now()) {
            return Err(Refusal::Off);
        }
        let headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("user-agent".to_owned(), OWN_TEST.to_owned()),
        ];
        let arrival = Arrival { headers, query: Vec::new(), body: connector.sample().as_bytes().to_vec() };
        let mut delivery = self.delivery(platform, &arrival);
        delivery.body.clone_from(&arrival.body);
        let read = parse(&*connector, &request(&arrival, &delivery, &settings));
        let success = connector.success(&request(&arrival, &delivery, &settings));
        match read {
            Ok(mut parsed) => {
                apply_settings(platform, &mut parsed, &settings);
                for signal in &mut parsed.signals {
                    signal.is_test = true;
                    // The sample looks like somebody's alert; a test must never touch that one.
                    signal.dedup_key = format!("{platform}:test:{}", signal.dedup_key);
                }
                // A sample has the same id each time, and is no retry.
                parsed.retry_id = None;
                delivery.parsed = parsed;
            }
            Err(problem) => {
                delivery.outcome = DeliveryOutcome::Unparsed;
                delivery.problem = Some(problem);
            }
        }
        let (signals, problem) = (signals(&delivery.parsed), delivery.problem.clone());
        let says_more = connector.info().overload == Overload::TooMany;
        let stored = self.store.submit(delivery).await.map_err(|error| Refusal::NotStored { says_more, error })?;
        Ok(Accepted { stored, success, signals, problem, reply: None })
    }

    /// Parses a stored delivery again with today's connector and applies what it says now. None when it is no longer
    /// kept.
    pub async fn replay(&self, id: DeliveryId) -> Result<Option<Accepted>, Refusal> {
        // Its body comes from the disk, so nothing else bounds how many are in memory.
        let _place = self.memory.reading.acquire().await.map_err(|_| StoreError::Stopped)?;
        let Some(stored) = self.store.read(move |view| view.delivery(id.number())).await?.filter(|d| d.id == id) else {
            return Ok(None);
        };
        let Some(connector) = self.memory.registry.find(&stored.platform) else {
            // What the API itself took was understood then, and has no connector to understand it anew.
            return Err(Refusal::UnknownPlatform(self.memory.registry.near(&stored.platform)));
        };
        let Some(settings) = self.memory.settings(&stored.platform, &self.store, &self.config).await? else {
            return Err(Refusal::UnknownPlatform(Vec::new()));
        };
        let kept = stored.headers.iter().find(|(name, _)| name == QUERY_HEADER);
        let query = kept.map(|(_, q)| form_urlencoded::parse(q.as_bytes()).into_owned().collect()).unwrap_or_default();
        let arrival = Arrival { headers: stored.headers.clone(), query, body: Vec::new() };
        let mut delivery = NewDelivery {
            at: stored.at,
            platform: stored.platform,
            outcome: DeliveryOutcome::Accepted,
            problem: None,
            headers: stored.headers,
            body: stored.body,
            parsed: Parsed::default(),
            replay_of: Some(stored.seq),
        };
        // A later version may know more that must not be kept.
        connector.redact(&mut delivery.body);
        // Read as of then, so that times that were left out stay those of the receipt.
        let mut read = parse(&*connector, &request(&arrival, &delivery, &settings));
        // What could not be confirmed when it came may be now.
        self.confirm(&*connector, &delivery, &mut read).await;
        match read {
            Ok(mut parsed) => {
                apply_settings(&delivery.platform, &mut parsed, &settings);
                // The sender's retry id belongs to the first reading.
                parsed.retry_id = None;
                for signal in &mut parsed.signals {
                    signal.started_at = signal.started_at.or(Some(stored.at));
                }
                delivery.parsed = parsed;
            }
            Err(problem) => {
                delivery.outcome = DeliveryOutcome::Unparsed;
                delivery.problem = Some(problem);
            }
        }
        delivery.at = self.clock.now();
        let (signals, problem) = (signals(&delivery.parsed), delivery.problem.clone());
        let says_more = connector.info().overload == Overload::TooMany;
        let stored = self.store.submit(delivery).await.map_err(|error| Refusal::NotStored { says_more, error })?;
        match problem {
            Some(problem) => Err(Refusal::NotUnderstood(problem, stored)),
            None => Ok(Some(Accepted { stored, success: 202, signals, problem: None, reply: None })),
        }
    }
}

//! The newest changes in memory: what every stream that keeps up reads, so that the store is read once for all of them.

use std::{collections::VecDeque, sync::Arc};

use super::Event;
use crate::model::Time;

/// The newest events in order, at most `capacity` of them and about `most_bytes` in all.
#[derive(Debug)]
pub(super) struct Ring {
    events: VecDeque<Arc<Event>>,
    capacity: usize,
    bytes: usize,
    most_bytes: usize,
    // Everything after `floor` and up to `head` is here, but for what was collapsed or is gone.
    floor: u64,
    head: u64,
    head_at: Time,
}

/// What the ring has for a place.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// These, and the place after them. May be none while the place still moves on.
    Events(Vec<Arc<Event>>, u64),
    /// Nothing new.
    Quiet,
    /// The ring has moved on.
    Older,
    /// The place is in the future.
    Ahead,
}

impl Ring {
    /// An empty ring that goes on after `head`.
    pub(super) fn new(head: u64, capacity: usize, most_bytes: usize) -> Self {
        Self { events: VecDeque::new(), capacity, bytes: 0, most_bytes, floor: head, head, head_at: Time::default() }
    }

    /// An empty one of the same size, after `head`.
    pub(super) fn anew(&self, head: u64) -> Self {
        Self::new(head, self.capacity, self.most_bytes)
    }

    /// The last change looked at.
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// When that was.
    pub(super) fn head_at(&self) -> Time {
        self.head_at
    }

    /// Takes a round: events in order, all after `head`; `upto` is the last change looked at, an event or not.
    pub(super) fn push(&mut self, events: Vec<Arc<Event>>, upto: u64, at: Time) {
        for event in events {
            if event.seq <= self.head {
                continue;
            }
            self.bytes = self.bytes.saturating_add(event.size());
            self.events.push_back(event);
            // The newest stays, whatever its size.
            while self.events.len() > self.capacity || (self.bytes > self.most_bytes && self.events.len() > 1) {
                let Some(oldest) = self.events.pop_front() else { break };
                self.bytes = self.bytes.saturating_sub(oldest.size());
                self.floor = oldest.seq;
            }
        }
        if upto >= self.head {
            self.head = upto;
            self.head_at = at;
        }
    }

    /// Moves on to `head` without what changed up to there: who was before it is told by the store.
    pub(super) fn pass(&mut self, head: u64) {
        if head > self.head {
            self.restart(head);
        }
    }

    /// Forgets everything up to `floor`: the log lost changes that were never read.
    pub(super) fn restart(&mut self, floor: u64) {
        self.events.clear();
        self.bytes = 0;
        self.floor = floor;
        self.head = floor;
    }

    /// What comes after `place`, at most `most`.
    pub(super) fn after(&self, place: u64, most: usize) -> Found {
        if place > self.head {
            return Found::Ahead;
        }
        if place == self.head {
            return Found::Quiet;
        }
        if place < self.floor {
            return Found::Older;
        }
        let start = self.events.partition_point(|e| e.seq <= place);
        let events: Vec<_> = self.events.iter().skip(start).take(most).cloned().collect();
        let cut = start + events.len() < self.events.len();
        let upto = match events.last() {
            Some(last) if cut => last.seq,
            _ => self.head,
        };
        Found::Events(events, upto)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        live::What,
        model::{DeliveryOutcome, IncidentId, Thought, ThoughtKind, Time},
    };

    fn event(seq: u64) -> Arc<Event> {
        let what = What::Delivery { platform: "grafana".into(), outcome: DeliveryOutcome::Accepted, count: 1 };
        Arc::new(Event::new(seq, Time::from_secs(seq.cast_signed()), what))
    }

    fn ring(capacity: usize, start: u64, seqs: &[u64], upto: u64) -> Ring {
        let mut ring = Ring::new(start, capacity, usize::MAX);
        ring.push(seqs.iter().copied().map(event).collect(), upto, Time::from_secs(upto.cast_signed()));
        ring
    }

    fn seqs(found: Found) -> Result<(Vec<u64>, u64), Found> {
        match found {
            Found::Events(events, upto) => Ok((events.iter().map(|e| e.seq).collect(), upto)),
            other => Err(other),
        }
    }

    #[test]
    fn a_place_gets_what_comes_after_it() {
        struct Case {
            capacity: usize,
            place: u64,
            most: usize,
            want: Result<(Vec<u64>, u64), Found>,
        }
        // Changes 11..=16 were looked at; 13 and 16 gave no event.
        let check = |c: Case| {
            let ring = ring(c.capacity, 10, &[11, 12, 14, 15], 16);
            assert_eq!(seqs(ring.after(c.place, c.most)), c.want, "place {} of {}", c.place, c.capacity);
        };
        check(Case { capacity: 8, place: 10, most: 99, want: Ok((vec![11, 12, 14, 15], 16)) });
        check(Case { capacity: 8, place: 12, most: 99, want: Ok((vec![14, 15], 16)) });
        check(Case { capacity: 8, place: 13, most: 99, want: Ok((vec![14, 15], 16)) });
        check(Case { capacity: 8, place: 15, most: 99, want: Ok((vec![], 16)) });
        check(Case { capacity: 8, place: 16, most: 99, want: Err(Found::Quiet) });
        check(Case { capacity: 8, place: 17, most: 99, want: Err(Found::Ahead) });
        check(Case { capacity: 8, place: 9, most: 99, want: Err(Found::Older) });
        check(Case { capacity: 8, place: 10, most: 2, want: Ok((vec![11, 12], 12)) });
        check(Case { capacity: 2, place: 12, most: 99, want: Ok((vec![14, 15], 16)) });
        check(Case { capacity: 2, place: 11, most: 99, want: Err(Found::Older) });
    }

    #[test]
    fn a_slow_reader_sees_every_event_once_while_it_keeps_within_the_ring() {
        let mut ring = Ring::new(0, 64, usize::MAX);
        let mut place = 0;
        let mut seen = Vec::new();
        for round in 0..200u64 {
            let new: Vec<u64> = (round * 5 + 1..=round * 5 + 5).collect();
            ring.push(new.iter().copied().map(event).collect(), round * 5 + 5, Time::default());
            if round % 7 == 0 {
                while let Found::Events(events, upto) = ring.after(place, 3) {
                    seen.extend(events.iter().map(|e| e.seq));
                    place = upto;
                }
            }
        }
        assert_eq!(seen, (1..=196 * 5 + 5).collect::<Vec<u64>>());
    }

    #[test]
    fn what_was_pushed_before_is_not_pushed_twice_and_a_restart_sends_old_places_away() {
        let mut ring = ring(8, 0, &[1, 2, 3], 3);
        ring.push(vec![event(2), event(3), event(4)], 4, Time::default());
        assert_eq!(seqs(ring.after(0, 99)), Ok((vec![1, 2, 3, 4], 4)));
        ring.restart(40);
        assert_eq!(ring.after(4, 99), Found::Older);
        assert_eq!(ring.after(40, 99), Found::Quiet);
    }

    #[test]
    fn large_events_make_room_for_each_other() {
        let large = |seq| {
            let what = What::Thought(IncidentId(1), thought(seq, 10_000));
            Arc::new(Event::new(seq, Time::default(), what))
        };
        let mut ring = Ring::new(0, 4096, 100_000);
        for seq in 1..=1000 {
            ring.push(vec![large(seq)], seq, Time::default());
        }
        let held: usize = ring.events.iter().map(|e| e.size()).sum();
        assert!(held == ring.bytes && (80_000..=100_000).contains(&held), "{held}");
        assert_eq!(ring.after(0, 99), Found::Older, "the store has the others");
        assert!(matches!(ring.after(999, 99), Found::Events(events, 1000) if events.len() == 1));
        // One that is larger than all of it is there until the next.
        ring.push(
            vec![Arc::new(Event::new(1001, Time::default(), What::Thought(IncidentId(1), thought(1, 1 << 20))))],
            1001,
            Time::default(),
        );
        assert_eq!(ring.events.len(), 1);
    }

    fn thought(id: u64, length: usize) -> Thought {
        let text = "x".repeat(length);
        Thought {
            id: u32::try_from(id).unwrap(),
            at: Time::default(),
            kind: ThoughtKind::Analysis,
            text,
            evidence: vec![],
        }
    }
}

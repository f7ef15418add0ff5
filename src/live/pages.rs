//! Pieces of the past for streams that are behind the ring. Pieces begin at fixed places, so that streams that are
//! behind by different distances still share what one of them has read.

use std::{collections::VecDeque, sync::Arc};

use super::{
    Event,
    source::{Piece, Source},
};
use crate::store::StoreError;

/// Changes in one page.
const PAGE: u64 = 256;
/// Pages remembered: 4,096 changes before those of the ring.
const REMEMBERED: usize = 16;

/// And this many bytes of them.
const REMEMBERED_BYTES: usize = 16 << 20;

/// The pages read last.
#[derive(Debug, Default)]
pub(super) struct Pages {
    read: VecDeque<(u64, Piece)>,
}

impl Pages {
    /// The events after `place` in its page, and the place after them; none when the log no longer holds what comes
    /// after `place`.
    pub(super) async fn after(
        &mut self,
        source: &dyn Source,
        place: u64,
    ) -> Result<Option<(Vec<Arc<Event>>, u64)>, StoreError> {
        let start = place - place % PAGE;
        // A page that was read before its last change was written is read again for what came since.
        let usable = |(at, piece): &&(u64, Piece)| *at == start && piece.upto.is_some_and(|(upto, _)| upto > place);
        if let Some((_, known)) = self.read.iter().find(usable) {
            return Ok(Self::part(known, start, place));
        }
        let piece = source.read(start, usize::try_from(PAGE).unwrap_or(usize::MAX)).await?;
        let part = Self::part(&piece, start, place);
        self.read.retain(|(at, _)| *at != start);
        self.read.push_back((start, piece));
        while self.read.len() > REMEMBERED || (self.bytes() > REMEMBERED_BYTES && self.read.len() > 1) {
            self.read.pop_front();
        }
        Ok(part)
    }

    fn bytes(&self) -> usize {
        self.read.iter().flat_map(|(_, piece)| &piece.events).map(|e| e.size()).sum()
    }

    fn part(piece: &Piece, start: u64, place: u64) -> Option<(Vec<Arc<Event>>, u64)> {
        let (upto, _) = piece.upto.filter(|_| !piece.misses_after(place))?;
        let upto = upto.min(start + PAGE);
        // Nothing in the page after the place: go on with the next page.
        let upto = if upto > place { upto } else { start + PAGE };
        Some((piece.events.iter().filter(|e| e.seq > place && e.seq <= upto).cloned().collect(), upto))
    }
}

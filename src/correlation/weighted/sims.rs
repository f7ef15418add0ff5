//! How alike an alert's text is to those of an incident, each pair computed once: the same few texts come again and again.

use std::collections::HashMap;

use super::profile::Profile;
use crate::{
    correlation::names::Key,
    model::Time,
    text::{self, Doc},
};

/// Texts of one service, and in all, that are compared: the latest.
const OF_SERVICE: usize = 8;
const RECENT: usize = 24;
const LATEST: usize = 4;

/// The likenesses of one alert's text.
#[derive(Debug)]
pub struct Sims<'a> {
    doc: &'a Doc,
    known: HashMap<u64, f64>,
    /// Open incidents in which the same alert is.
    pub common: usize,
}

impl<'a> Sims<'a> {
    /// Of this text.
    pub fn new(doc: &'a Doc, common: usize) -> Self {
        Self { doc, known: HashMap::new(), common }
    }

    fn with(&mut self, other: &Doc) -> f64 {
        let doc = self.doc;
        *self.known.entry(other.digest()).or_insert_with(|| text::similarity(doc, other))
    }

    /// The closest of what a service of the incident said.
    pub fn of_service(&mut self, profile: &Profile, key: Key) -> f64 {
        let said = profile.said.iter().rev().filter(|x| x.key == Some(key)).take(OF_SERVICE);
        said.map(|x| self.with(&x.doc)).fold(0.0, f64::max)
    }

    /// The closest of what was said of late, worth less the longer ago it was.
    pub fn recent(&mut self, profile: &Profile, at: Time, lasts: f64) -> f64 {
        let said = profile.said.iter().rev().take(RECENT);
        said.map(|x| self.with(&x.doc) * (-at.distance(x.last).as_secs_f64() / lasts).exp()).fold(0.0, f64::max)
    }

    /// The closest of the few things that were said last.
    pub fn latest(&mut self, profile: &Profile) -> f64 {
        profile.said.iter().rev().take(LATEST).map(|x| self.with(&x.doc)).fold(0.0, f64::max)
    }

    /// The closest of all, whenever it was said.
    pub fn best(&mut self, profile: &Profile) -> f64 {
        profile.said.iter().rev().take(RECENT).map(|x| self.with(&x.doc)).fold(0.0, f64::max)
    }
}

//! Services, and edges that alerts told of.

pub use crate::store::tx::services::{Kept, Replaced};
use crate::{
    model::*,
    store::{CommandError, Store},
};

impl Store {
    /// Declares a service, or changes the one of its name. With `was` the service of that name takes the new name, and what
    /// depends on it follows.
    pub async fn put_service(&self, was: Option<String>, service: Service, by: Actor) -> Result<Kept, CommandError> {
        self.command(move |tx| tx.put_service(was.as_deref(), service, &by)).await
    }

    /// Declares services or changes them, all or none; others stay.
    pub async fn put_services(&self, services: Vec<Service>, by: Actor) -> Result<Replaced, CommandError> {
        self.command(move |tx| tx.put_services(services, &by)).await
    }

    /// Declares these services and no others, all or none.
    pub async fn replace_topology(&self, services: Vec<Service>, by: Actor) -> Result<Replaced, CommandError> {
        self.command(move |tx| tx.replace_topology(services, &by)).await
    }

    /// Removes a service. What depends on it keeps its name.
    pub async fn delete_service(&self, name: String, by: Actor) -> Result<Service, CommandError> {
        self.command(move |tx| tx.delete_service(&name, &by)).await
    }

    /// Says that a learned edge is not so; it is not learned again. With `false` takes that back.
    pub async fn dismiss_edge(
        &self,
        from: String,
        to: String,
        dismissed: bool,
        by: Actor,
    ) -> Result<LearnedEdge, CommandError> {
        self.command(move |tx| tx.dismiss_edge(&from, &to, dismissed, &by)).await
    }

    /// Declares a learned edge, and its caller when that was not. Returns the caller.
    pub async fn adopt_edge(&self, from: String, to: String, by: Actor) -> Result<Service, CommandError> {
        self.command(move |tx| tx.adopt_edge(&from, &to, &by)).await
    }
}

//! Investigations that wait or run: the rows and the writer's memory of them, always both.

use super::{Tx, get, put};
use crate::{
    model::{IncidentId, Job},
    store::StoreError,
};

impl Tx<'_> {
    /// The job of an incident; none when nothing waits or runs.
    pub fn job(&self, id: IncidentId) -> Result<Option<Job>, StoreError> {
        if self.world.queue.has(id) { get(&self.jobs, id.0) } else { Ok(None) }
    }

    /// Writes a job.
    pub fn put_job(&mut self, job: &Job) -> Result<(), StoreError> {
        self.world.touched = true;
        self.world.queue.put(job);
        put(&mut self.jobs, job.incident.0, job)
    }

    /// Removes a job; whether there was one.
    pub fn remove_job(&mut self, id: IncidentId) -> Result<bool, StoreError> {
        self.world.touched = true;
        self.world.queue.remove(id);
        self.jobs.remove(id.0)
    }
}

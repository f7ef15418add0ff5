//! What the writer remembers of services and of who calls whom.

use super::{World, key};
use crate::model::Service;

/// A number that grows and says nothing itself: what is derived from the memory is made anew when it is another one. Begins
/// again when the memory is read again, so that what is derived must go with it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Touch(pub u64);

impl Touch {
    /// Another one.
    pub fn touch(&mut self) {
        self.0 = self.0.wrapping_add(1);
    }
}

// How often something changed is no part of what it is: memory that was read anew says the same.
impl PartialEq for Touch {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl World {
    /// A service is declared from now on, in place of one of the same name.
    pub fn declare(&mut self, service: Service) {
        let name = key(&service.name);
        self.undeclare(&name);
        self.touched = true;
        self.topology_version.touch();
        for known_as in service.keys() {
            self.service_names.insert(known_as, name.clone());
        }
        self.services.insert(name, service);
    }

    /// A service is no longer declared; its name as it is compared.
    pub fn undeclare(&mut self, name: &str) -> Option<Service> {
        let service = self.services.remove(name)?;
        self.touched = true;
        self.topology_version.touch();
        for known_as in service.keys() {
            self.service_names.remove(&known_as);
        }
        Some(service)
    }

    /// The declared service that goes by that name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.get(self.service_names.get(&key(name))?)
    }

    /// The name of the declared service that goes by that one, else that one.
    pub fn canonical<'a>(&'a self, name: &'a str) -> &'a str {
        self.service(name).map_or(name.trim(), |s| &s.name)
    }

    /// Whether it is declared that one service calls another.
    pub fn is_declared(&self, from: &str, to: &str) -> bool {
        let to = key(self.canonical(to));
        self.service(from).is_some_and(|s| s.depends_on.iter().any(|d| key(self.canonical(d)) == to))
    }
}

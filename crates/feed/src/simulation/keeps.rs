//! What an edge is to have of the truth, by a rule that is written without the code that it judges.

use std::collections::BTreeSet;

use super::chance::Chance;
use crate::interest::{Extent, Interest};

/// The services of the world.
pub(crate) const SERVICES: [&str; 2] = ["crm", "docs"];

/// The services whose facts an edge keeps.
pub(crate) struct Keeps(BTreeSet<&'static str>, bool);

impl Keeps {
    /// Everything, or some of the services.
    pub(crate) fn any(chance: &mut Chance) -> Self {
        if chance.one_in(2) {
            return Self(SERVICES.into(), true);
        }
        let some = SERVICES.into_iter().filter(|_| chance.one_in(2));
        Self(some.collect(), false)
    }

    pub(crate) fn interest(&self) -> Interest {
        if self.1 {
            return Interest::all();
        }
        let services = self.0.iter().map(|service| service.parse().expect("a name"));
        Interest::new(Extent::Of(services.collect()), Extent::All)
    }

    /// Of all lines those that it keeps.
    pub(crate) fn of<'a>(&self, lines: &'a BTreeSet<String>) -> impl Iterator<Item = &'a String> {
        lines.iter().filter(|line| self.has(line))
    }

    fn has(&self, line: &str) -> bool {
        let mut words = line.split(' ');
        let subject = match words.next() {
            Some("tuple" | "model") => words.next(),
            Some("expiring-tuple") => words.nth(1),
            _ => None,
        };
        let of = |service: &&str| {
            subject.is_some_and(|subject| {
                let rest = subject.strip_prefix(*service);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        SERVICES
            .iter()
            .find(|service| of(service))
            .is_none_or(|service| self.0.contains(service))
    }
}

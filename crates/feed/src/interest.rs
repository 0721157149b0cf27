//! What an edge keeps of everything: the services that it stands before, and the workspaces whose people come to it.
//!
//! Everything that is made for an edge (a snapshot's manifest, frames, heartbeats) carries the fingerprint of the interest
//! that it was made for, under the signature: what was made for another one is never applied.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sentinel_core::id::WorkspaceId;
use sentinel_core::name::ServiceName;
use sentinel_token::sha256;

use crate::frame::MessageError;
use crate::proto;

/// At most this many services, and this many workspaces, can be named: more of them is everything.
pub const MAX_NAMED: usize = 10_000;

/// Everything of a kind, or what is named and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Extent<T> {
    /// Everything.
    #[default]
    All,
    /// These only.
    Of(BTreeSet<T>),
}

impl<T: Ord> Extent<T> {
    /// Whether this one is in it.
    pub fn has(&self, one: &T) -> bool {
        match self {
            Self::All => true,
            Self::Of(these) => these.contains(one),
        }
    }

    /// Whether it is everything.
    pub fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    fn named(&self) -> usize {
        match self {
            Self::All => 0,
            Self::Of(these) => these.len(),
        }
    }
}

/// Which facts an edge keeps. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Interest {
    inner: Arc<Inner>,
}

#[derive(PartialEq, Eq)]
struct Inner {
    services: Extent<ServiceName>,
    workspaces: Extent<WorkspaceId>,
    fingerprint: Fingerprint,
}

/// SHA-256 of an interest's canonical form; of zeros where the interest is everything.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Interest {
    /// The facts of these services in these workspaces, and those that belong to no service or no workspace.
    pub fn new(services: Extent<ServiceName>, workspaces: Extent<WorkspaceId>) -> Self {
        let fingerprint = if services.is_all() && workspaces.is_all() {
            Fingerprint::EVERYTHING
        } else {
            Fingerprint(sha256(canonical(&services, &workspaces).as_bytes()))
        };
        Self {
            inner: Arc::new(Inner {
                services,
                workspaces,
                fingerprint,
            }),
        }
    }

    /// Every fact there is.
    pub fn all() -> Self {
        Self::new(Extent::All, Extent::All)
    }

    /// Whether it is every fact there is.
    pub fn is_all(&self) -> bool {
        self.fingerprint() == Fingerprint::EVERYTHING
    }

    /// The services.
    pub fn services(&self) -> &Extent<ServiceName> {
        &self.inner.services
    }

    /// The workspaces.
    pub fn workspaces(&self) -> &Extent<WorkspaceId> {
        &self.inner.workspaces
    }

    /// Whether it names no more than [`MAX_NAMED`].
    pub(crate) fn is_named(&self) -> bool {
        self.services().named() <= MAX_NAMED && self.workspaces().named() <= MAX_NAMED
    }

    /// What tells it from every other interest.
    pub fn fingerprint(&self) -> Fingerprint {
        self.inner.fingerprint
    }

    /// Whether it has everything about a service in a workspace; with `None`, in every workspace.
    pub fn covers(&self, service: &ServiceName, workspace: Option<WorkspaceId>) -> bool {
        self.services().has(service) && self.covers_people(workspace)
    }

    /// Whether it has everything about who is what in a workspace; with `None`, in every workspace.
    pub fn covers_people(&self, workspace: Option<WorkspaceId>) -> bool {
        match workspace {
            Some(workspace) => self.workspaces().has(&workspace),
            None => self.workspaces().is_all(),
        }
    }

    pub(crate) fn to_proto(&self) -> Option<proto::Interest> {
        (!self.is_all()).then(|| proto::Interest {
            services: named(self.services()),
            workspaces: named(self.workspaces()),
        })
    }

    /// An interest from the wire; no message is everything.
    pub(crate) fn from_proto(message: Option<proto::Interest>) -> Result<Self, MessageError> {
        let Some(message) = message else {
            return Ok(Self::all());
        };
        Ok(Self::new(parsed(message.services)?, parsed(message.workspaces)?))
    }
}

impl Default for Interest {
    fn default() -> Self {
        Self::all()
    }
}

/// The canonical form: two interests are the same exactly when their texts are.
impl fmt::Display for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&canonical(self.services(), self.workspaces()))
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Interest({self})")
    }
}

impl Fingerprint {
    /// Of the interest in everything.
    pub const EVERYTHING: Self = Self([0; 32]);

    /// The bytes on the wire: none for everything, as it was before there were interests.
    pub(crate) fn to_wire(self) -> Vec<u8> {
        if self == Self::EVERYTHING {
            Vec::new()
        } else {
            self.0.to_vec()
        }
    }

    /// Refuses what was made for another interest than these bytes from the wire are the fingerprint of.
    pub(crate) fn expect_wire(self, bytes: &[u8]) -> Result<(), MessageError> {
        let ours: &[u8] = if self == Self::EVERYTHING { &[] } else { &self.0 };
        if ours == bytes {
            Ok(())
        } else {
            Err(MessageError::OtherInterest)
        }
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// `services docs wiki, workspaces *`: names have no white space, and neither have ids.
fn canonical(services: &Extent<ServiceName>, workspaces: &Extent<WorkspaceId>) -> String {
    format!("services{}, workspaces{}", words(services), words(workspaces))
}

fn words<T: fmt::Display>(extent: &Extent<T>) -> String {
    match extent {
        Extent::All => " *".to_owned(),
        Extent::Of(these) => these
            .iter()
            .fold(String::new(), |words, one| words + " " + &one.to_string()),
    }
}

fn named<T: fmt::Display>(extent: &Extent<T>) -> Option<proto::Named> {
    match extent {
        Extent::All => None,
        Extent::Of(these) => Some(proto::Named {
            names: these.iter().map(ToString::to_string).collect(),
        }),
    }
}

fn parsed<T: FromStr + Ord>(named: Option<proto::Named>) -> Result<Extent<T>, MessageError> {
    let Some(named) = named else {
        return Ok(Extent::All);
    };
    if named.names.len() > MAX_NAMED {
        return Err(MessageError::Malformed("an interest names too much"));
    }
    let these: Result<BTreeSet<T>, _> = named.names.iter().map(|name| name.parse()).collect();
    these
        .map(Extent::Of)
        .map_err(|_| MessageError::Malformed("an interest names what is no name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(names: &[&str]) -> Extent<ServiceName> {
        Extent::Of(names.iter().map(|name| name.parse().expect("a name")).collect())
    }

    fn workspaces(ids: &[u128]) -> Extent<WorkspaceId> {
        Extent::Of(ids.iter().map(|id| uuid::Uuid::from_u128(*id).into()).collect())
    }

    #[test]
    fn one_interest_has_one_form_and_every_other_another() {
        let interests = [
            Interest::all(),
            Interest::new(services(&[]), Extent::All),
            Interest::new(services(&["docs"]), Extent::All),
            Interest::new(services(&["docs", "wiki"]), Extent::All),
            Interest::new(services(&["docs"]), workspaces(&[1])),
            Interest::new(services(&["docs"]), workspaces(&[1, 2])),
            Interest::new(Extent::All, workspaces(&[1])),
            Interest::new(Extent::All, workspaces(&[])),
        ];
        for (place, a) in interests.iter().enumerate() {
            for (other, b) in interests.iter().enumerate() {
                let same = (
                    a == b,
                    a.to_string() == b.to_string(),
                    a.fingerprint() == b.fingerprint(),
                );
                let expected = place == other;
                assert_eq!(same, (expected, expected, expected), "{a} and {b}");
            }
            let read = Interest::from_proto(a.to_proto()).expect("own message");
            assert_eq!((read.fingerprint(), &read), (a.fingerprint(), a));
        }
        let order = Interest::new(services(&["wiki", "docs"]), Extent::All);
        assert_eq!(order.fingerprint(), interests[3].fingerprint());
        assert_eq!(order.to_string(), "services docs wiki, workspaces *");
        assert!(Interest::all().to_proto().is_none() && Interest::default().is_all());
    }

    #[test]
    fn what_is_missing_means_no_only_where_everything_is_kept() {
        let [docs, wiki]: [ServiceName; 2] = ["docs", "wiki"].map(|name| name.parse().expect("a name"));
        let [one, two] = [1, 2].map(|id| WorkspaceId::from(uuid::Uuid::from_u128(id)));
        let interest = Interest::new(services(&["docs"]), workspaces(&[1]));
        assert!(interest.covers(&docs, Some(one)) && interest.covers_people(Some(one)));
        assert!(!interest.covers(&docs, Some(two)) && !interest.covers_people(Some(two)));
        assert!(!interest.covers(&docs, None) && !interest.covers(&wiki, Some(one)));
        let everywhere = Interest::new(services(&["docs"]), Extent::All);
        assert!(everywhere.covers(&docs, None) && everywhere.covers(&docs, Some(two)));
        assert!(!everywhere.covers(&wiki, Some(two)) && everywhere.covers_people(None));
        assert!(Interest::all().covers(&wiki, None));
    }

    #[test]
    fn a_message_with_what_is_no_name_or_too_much_is_refused() {
        let with = |names: Vec<String>| {
            Interest::from_proto(Some(proto::Interest {
                services: Some(proto::Named { names }),
                workspaces: None,
            }))
        };
        assert!(with(vec!["docs".into()]).is_ok());
        assert!(with(vec!["Docs!".into()]).is_err());
        assert!(with((0..=MAX_NAMED).map(|n| format!("s{n}")).collect()).is_err());
    }
}

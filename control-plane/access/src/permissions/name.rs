//! How a resource is called: by its service, its type and the id that the service gave it.

use std::fmt;

use sentinel_core::id::ResourceId;
use sentinel_core::name::{ResourceType, ServiceName};

use crate::error::AccessError;

/// How long service name and type may be together: what is left of an object's id beside a UUID and two slashes.
const MAX_NAMES: usize = 218;

/// A resource's name, which has a form as an object of the permission model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceName {
    service: ServiceName,
    kind: ResourceType,
    id: ResourceId,
}

impl ResourceName {
    /// A name from its three parts.
    ///
    /// # Errors
    /// [`AccessError::ResourceNameTooLong`] when service name and type are together too long for an object's id.
    pub fn new(service: ServiceName, kind: ResourceType, id: ResourceId) -> Result<Self, AccessError> {
        if service.as_str().len() + kind.as_str().len() > MAX_NAMES {
            return Err(AccessError::ResourceNameTooLong);
        }
        Ok(Self { service, kind, id })
    }

    /// The service that the resource belongs to.
    pub fn service(&self) -> &ServiceName {
        &self.service
    }

    /// Its type, as the service calls it.
    pub fn kind(&self) -> &ResourceType {
        &self.kind
    }

    /// Its id, as the service gave it.
    pub fn id(&self) -> ResourceId {
        self.id
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.service, self.kind, self.id)
    }
}

#[cfg(test)]
mod tests {
    use sentinel_authz::sentinel;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_longest_name_that_is_taken_is_the_longest_that_is_an_object() {
        let name = |service: usize, kind: usize| {
            ResourceName::new(
                "s".repeat(service).parse().expect("name"),
                "t".repeat(kind).parse().expect("name"),
                Uuid::nil().into(),
            )
        };
        let longest = name(18, 200).expect("taken");
        let id = longest.id().to_string();
        assert!(sentinel::resource(longest.service(), longest.kind(), &id).is_ok());
        assert!(matches!(name(19, 200), Err(AccessError::ResourceNameTooLong)));
    }
}

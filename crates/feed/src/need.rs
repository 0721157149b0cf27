//! What an edge's routes ask of the models of services, told to the control plane so that no change of a model breaks a
//! route unawares.

use sentinel_core::name::ServiceName;

use crate::frame::MessageError;
use crate::proto;

/// At most this many are announced.
pub const MAX_NEEDS: usize = 2_000;

/// No route, type or relation that is announced is longer, in bytes.
pub const MAX_NAME: usize = 512;

/// A relation that a route of an edge asks about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Need {
    /// The route as its policy writes it, for people: `GET docs.example.com/folders/{folder_id}`.
    pub route: String,
    /// The service whose model it is.
    pub service: ServiceName,
    /// The type, as the service's own text calls it: `folder`.
    pub object_type: String,
    /// The relation.
    pub relation: String,
}

impl Need {
    pub(crate) fn to_proto(&self) -> proto::Need {
        proto::Need {
            route: self.route.clone(),
            service: self.service.to_string(),
            object_type: self.object_type.clone(),
            relation: self.relation.clone(),
        }
    }

    fn from_proto(message: proto::Need) -> Result<Self, MessageError> {
        let fits = |text: &str| (1..=MAX_NAME).contains(&text.len());
        let proto::Need {
            route,
            service,
            object_type,
            relation,
        } = message;
        let service = service.parse();
        match service {
            Ok(service) if fits(&route) && fits(&object_type) && fits(&relation) => Ok(Self {
                route,
                service,
                object_type,
                relation,
            }),
            _ => Err(MessageError::Malformed("a need of a route is none")),
        }
    }

    /// Those of a message: in order, each once.
    pub(crate) fn all_from_proto(messages: Vec<proto::Need>) -> Result<Vec<Self>, MessageError> {
        if messages.len() > MAX_NEEDS {
            return Err(MessageError::Malformed("an edge announces too much"));
        }
        let mut needs: Vec<Self> = messages
            .into_iter()
            .map(Self::from_proto)
            .collect::<Result<_, _>>()?;
        needs.sort();
        needs.dedup();
        Ok(needs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_are_bounded_and_named() {
        let need = Need {
            route: "GET docs.example.com/folders/{folder_id}".into(),
            service: "docs".parse().expect("a name"),
            object_type: "folder".into(),
            relation: "can_read".into(),
        };
        let message = need.to_proto();
        let twice = vec![message.clone(), message.clone()];
        assert_eq!(Need::all_from_proto(twice), Ok(vec![need]));
        assert!(Need::all_from_proto(vec![message.clone(); MAX_NEEDS + 1]).is_err());
        for bad in [
            proto::Need {
                route: "x".repeat(MAX_NAME + 1),
                ..message.clone()
            },
            proto::Need {
                service: "Docs!".into(),
                ..message.clone()
            },
            proto::Need {
                relation: String::new(),
                ..message
            },
        ] {
            assert!(Need::all_from_proto(vec![bad]).is_err());
        }
    }
}

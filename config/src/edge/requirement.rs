//! What a caller must be or may do before a route is opened to him.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use sentinel_core::name::{ActionName, ResourceType, ServiceName};
use sentinel_core::{Object, WorkspaceRole};

use super::relation::{RelationTemplate, Upstream, is_relation};
use crate::section::{Place, Reader, Section, Setting};
use crate::value::{read_list, read_text};

/// What a caller must be or may do. Holds only if it can be shown to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// All of them hold. Never empty.
    All(Vec<Requirement>),
    /// At least one of them holds. Never empty.
    Any(Vec<Requirement>),
    /// The credentials that the route's tier asks for were verified; nothing more.
    SignedIn,
    /// The user has at least this role in the workspace of his token.
    Role(WorkspaceRole),
    /// The user has a role that grants this action.
    Action(ActionRef),
    /// The user has this permission on this object.
    Permission(PermissionTemplate),
    /// The user has this relation to this object of a service's own model.
    Relation(RelationTemplate),
    /// The caller is this service.
    Service(ServiceName),
}

/// An action of a service: `docs/reports:export`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionRef {
    /// The service that registered the action.
    pub service: ServiceName,
    /// The action.
    pub action: ActionName,
}

/// A permission on an object: `docs/document/{doc_id}#view`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionTemplate {
    /// The service that owns the object.
    pub service: ServiceName,
    /// The type of the object.
    pub resource_type: ResourceType,
    /// Which object.
    pub id: IdTemplate,
    /// What the user must be allowed to do with it.
    pub permission: Permission,
}

/// Which object a permission is about: a whole id, never a text that is put together from parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdTemplate {
    /// The one that this path parameter names, decoded.
    Param(String),
    /// Always this one.
    Literal(String),
}

/// What a user may be allowed to do with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// See it.
    View,
    /// Change it.
    Edit,
    /// Share it and give it away.
    Manage,
}

/// Why a text is not an action or a permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequirement {
    /// Not of the form `service/action`.
    #[error(
        "`{0}` is not an action: a service, `/` and the action are expected, as in `docs/reports:export`"
    )]
    Action(String),
    /// Not of the form `service/type/{param}#permission`.
    #[error(
        "`{0}` is not a permission: service, type, object and permission are expected, as in `docs/document/{{doc_id}}#view`"
    )]
    Permission(String),
    /// An unknown permission.
    #[error(
        "`{0}` is not a permission on an object: one of `view`, `edit`, `manage` is expected after the `#`"
    )]
    Verb(String),
    /// An id that is neither a parameter nor an id.
    #[error(
        "`{0}` cannot be the id of an object: a parameter of the path such as `{{doc_id}}` or a whole id is expected"
    )]
    Id(String),
    /// A name that is outside its alphabet.
    #[error(transparent)]
    Name(#[from] sentinel_core::name::InvalidName),
}

impl Permission {
    /// All of them, weakest first.
    pub const ALL: [Self; 3] = [Self::View, Self::Edit, Self::Manage];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Edit => "edit",
            Self::Manage => "manage",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ActionRef {
    type Err = InvalidRequirement;

    fn from_str(text: &str) -> Result<Self, InvalidRequirement> {
        let (service, action) = text
            .split_once('/')
            .ok_or_else(|| InvalidRequirement::Action(clip(text)))?;
        Ok(Self {
            service: service.parse()?,
            action: action.parse()?,
        })
    }
}

impl FromStr for PermissionTemplate {
    type Err = InvalidRequirement;

    fn from_str(text: &str) -> Result<Self, InvalidRequirement> {
        let shape = || InvalidRequirement::Permission(clip(text));
        let (object, verb) = text.split_once('#').ok_or_else(shape)?;
        let (service, rest) = object.split_once('/').ok_or_else(shape)?;
        let (resource_type, id) = rest.split_once('/').ok_or_else(shape)?;
        Ok(Self {
            service: service.parse()?,
            resource_type: resource_type.parse()?,
            id: id.parse()?,
            permission: Permission::ALL
                .into_iter()
                .find(|permission| permission.as_str() == verb)
                .ok_or_else(|| InvalidRequirement::Verb(clip(verb)))?,
        })
    }
}

impl FromStr for IdTemplate {
    type Err = InvalidRequirement;

    fn from_str(text: &str) -> Result<Self, InvalidRequirement> {
        if let Some(name) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'))
            && !name.contains(['{', '}'])
        {
            return Ok(Self::Param(name.to_owned()));
        }
        let is_id = !text.contains(['{', '}', '/']) && Object::new("resource", text).is_ok();
        if is_id {
            Ok(Self::Literal(text.to_owned()))
        } else {
            Err(InvalidRequirement::Id(clip(text)))
        }
    }
}

fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}

impl Requirement {
    /// Reads a requirement of a route that leads to `upstream`, and hands each single demand of it to `check`, together
    /// with its place.
    pub(super) fn read(
        place: &Place<'_>,
        upstream: Option<&Upstream>,
        reader: &mut Reader<'_>,
        check: &impl Fn(&Self, &Place<'_>, &mut Reader<'_>),
    ) -> Option<Self> {
        let mut section = Section::open(place, reader)?;
        let mut demands: Vec<Option<Self>> = Vec::new();
        for key in KEYS {
            if let Some(place) = section.get(key) {
                let demand = Self::read_demand(key, &place, upstream, reader, check);
                if let Some(demand) = &demand {
                    check(demand, &place, reader);
                }
                demands.push(demand);
            }
        }
        section.finish(reader);
        if demands.is_empty() {
            let keys = KEYS.join("`, `");
            reader.problem(
                place,
                format!("nothing is required here: name at least one of `{keys}`"),
            );
            return None;
        }
        let mut demands = demands.into_iter().collect::<Option<Vec<Self>>>()?;
        if demands.len() == 1 {
            demands.pop()
        } else {
            Some(Self::All(demands))
        }
    }

    fn read_demand(
        key: &str,
        place: &Place<'_>,
        upstream: Option<&Upstream>,
        reader: &mut Reader<'_>,
        check: &impl Fn(&Self, &Place<'_>, &mut Reader<'_>),
    ) -> Option<Self> {
        match key {
            "role" => read_text(place, reader).map(Self::Role),
            "action" => read_text(place, reader).map(Self::Action),
            "permission" if place.node.as_text().is_some_and(is_relation) => {
                RelationTemplate::read(place, upstream, reader).map(Self::Relation)
            }
            "permission" => read_text(place, reader).map(Self::Permission),
            "service" => read_text(place, reader).map(Self::Service),
            "signed_in" => {
                let signed_in = bool::read(place, reader)?;
                if !signed_in {
                    reader.problem(
                        place,
                        "`signed_in: false` would require nothing: remove the line, or make the route `public: true`",
                    );
                }
                signed_in.then_some(Self::SignedIn)
            }
            _ => {
                let alternatives = read_list(place, reader, |item, reader| {
                    Self::read(item, upstream, reader, check)
                })?;
                if alternatives.is_empty() {
                    reader.problem(
                        place,
                        "the list is empty, so nobody could ever pass: name at least one alternative",
                    );
                    return None;
                }
                alternatives.into_iter().collect::<Option<_>>().map(Self::Any)
            }
        }
    }
}

/// The demands, as they are written.
const KEYS: [&str; 6] = ["role", "action", "permission", "service", "signed_in", "any_of"];

impl JsonSchema for Requirement {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Requirement".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let this = generator.subschema_for::<Self>();
        json_schema!({
            "type": "object",
            "description": "What a caller must be or may do. Several keys must all hold.",
            "properties": {
                "role": {
                    "description": "The user has at least this role in the workspace of his token.",
                    "enum": WorkspaceRole::ALL.map(WorkspaceRole::as_str),
                },
                "action": {
                    "description": "The user has a role that grants this action: `service/action`.",
                    "type": "string",
                    "pattern": "^[a-z][a-z0-9_.-]*/[a-z][a-z0-9_.:-]*$",
                },
                "permission": {
                    "description": "The user has this permission on this object: `service/type/{param}#view`. Or he has this relation to this object of a service's own model: `type:{param}#can_read` (of the upstream's `service`) or `service/type:{param}#can_read`.",
                    "type": "string",
                    "pattern": "^[a-z][a-z0-9_.-]*/[a-z][a-z0-9_.-]*/([^/#{}]+|\\{[a-z][a-z0-9_]*\\})#(view|edit|manage)$|^([a-z][a-z0-9_.-]*/)?[A-Za-z][A-Za-z0-9_-]*:([^/#{}:*]+|\\{[a-z][a-z0-9_]*\\})#[A-Za-z][A-Za-z0-9_-]*$",
                },
                "service": {
                    "description": "The caller is this service, by its service key.",
                    "type": "string",
                    "pattern": "^[a-z][a-z0-9_.-]*$",
                },
                "signed_in": {
                    "description": "The credentials that `credentials` asks for were verified; nothing more.",
                    "const": true,
                },
                "any_of": {
                    "description": "At least one of these holds.",
                    "type": "array",
                    "minItems": 1,
                    "items": this,
                },
            },
            "additionalProperties": false,
            "minProperties": 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_names_service_type_object_and_verb() {
        let template: PermissionTemplate = "docs/document/{doc_id}#view".parse().expect("a permission");
        assert_eq!(template.service.as_str(), "docs");
        assert_eq!(template.resource_type.as_str(), "document");
        assert_eq!(template.id, IdTemplate::Param("doc_id".to_owned()));
        assert_eq!(template.permission, Permission::View);
        let fixed: PermissionTemplate = "docs/board/018f4e7a-1111-7000-8000-00000000abcd#manage"
            .parse()
            .expect("fixed");
        assert_eq!(
            fixed.id,
            IdTemplate::Literal("018f4e7a-1111-7000-8000-00000000abcd".to_owned())
        );
        for permission in Permission::ALL {
            let text = format!("docs/document/{{id}}#{permission}");
            assert_eq!(
                text.parse::<PermissionTemplate>()
                    .expect("a permission")
                    .permission,
                permission
            );
        }
    }

    #[test]
    fn an_id_is_never_put_together_from_parts() {
        for bad in [
            "docs/document/{a}{b}#view",
            "docs/document/{a}-1#view",
            "docs/document/{{a}}#view",
            "docs/document/{a#view",
            "docs/document/a}#view",
            "docs/document/*#view",
            "docs/document/a:b#view",
            "docs/document/a b#view",
            "docs/{type}/{id}#view",
            "{service}/document/{id}#view",
            "docs/document/{id}#{verb}",
            "docs/document/{id}#view#edit",
            "docs/document/{id}#View",
            "docs/document/{id}#can_view",
        ] {
            assert!(bad.parse::<PermissionTemplate>().is_err(), "`{bad}`");
        }
    }

    #[test]
    fn an_action_names_its_service() {
        let action: ActionRef = "docs/reports:export".parse().expect("an action");
        assert_eq!(
            (action.service.as_str(), action.action.as_str()),
            ("docs", "reports:export")
        );
        for bad in [
            "",
            "/",
            "docs",
            "docs/",
            "/reports:export",
            "docs/a/b",
            "docs/A",
            "docs:reports",
        ] {
            assert!(bad.parse::<ActionRef>().is_err(), "`{bad}`");
        }
    }
}

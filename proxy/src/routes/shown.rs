//! A route as a person reads it in the table that `check` prints.

use std::fmt;

use sentinel_config::edge::{Access, IdTemplate, Requirement};

use super::Route;

/// The line of a route in the table that `check` prints.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.name, self.upstream_name)?;
        match &self.access {
            Access::Public => f.write_str("  public"),
            Access::Protected { credentials, require } => {
                write!(f, "  {credentials}: {}", Described(require))
            }
        }?;
        write!(
            f,
            "  (max_staleness {:?}, timeout {:?})",
            self.max_staleness, self.timeout
        )
    }
}

impl Route {
    /// The credentials and the requirement in words; `None` on a public route.
    pub fn asks_for(&self) -> Option<String> {
        match &self.access {
            Access::Public => None,
            Access::Protected { credentials, require } => {
                Some(format!("{credentials}: {}", Described(require)))
            }
        }
    }
}

/// A requirement in words.
pub(crate) struct Described<'a>(pub(crate) &'a Requirement);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, all: &[Requirement], word: &str| {
            f.write_str("(")?;
            for (index, one) in all.iter().enumerate() {
                if index > 0 {
                    f.write_str(word)?;
                }
                Described(one).fmt(f)?;
            }
            f.write_str(")")
        };
        match self.0 {
            Requirement::All(all) => joined(f, all, " and "),
            Requirement::Any(any) => joined(f, any, " or "),
            Requirement::SignedIn => f.write_str("signed in"),
            Requirement::Role(role) => write!(f, "role {role}"),
            Requirement::Action(action) => write!(f, "action {}/{}", action.service, action.action),
            Requirement::Service(service) => write!(f, "service {service}"),
            Requirement::Permission(template) => {
                write!(f, "permission {}/{}/", template.service, template.resource_type)?;
                match &template.id {
                    IdTemplate::Param(name) => write!(f, "{{{name}}}"),
                    IdTemplate::Literal(id) => f.write_str(id),
                }?;
                write!(f, "#{}", template.permission)
            }
            Requirement::Relation(template) => write!(f, "relation {template}"),
        }
    }
}

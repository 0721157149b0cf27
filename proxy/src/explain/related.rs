//! Why a relation of a service's own model holds or not: by which tuples, and what would be enough.

use sentinel_authz::sentinel::{self, Why};
use sentinel_authz::{CheckError, Query};
use sentinel_config::edge::RelationTemplate;
use sentinel_core::principal::User;
use sentinel_core::{Object, Subject};

use crate::decide::Knowledge;
use crate::relations::{Told, fit, has_workspace};

/// Why the user has the relation to the object, acting in his workspace, or not; what is wrong with the model, if it does
/// not have the relation.
///
/// # Errors
/// The question has no answer within the engine's bounds.
pub(super) fn why(
    known: Knowledge<'_>,
    wanted: &RelationTemplate,
    id: &str,
    user: &User,
) -> Result<Result<Why, String>, CheckError> {
    let mut why = Why {
        holds: true,
        by: Vec::new(),
        enough: Vec::new(),
    };
    let Ok(object) = Object::new(&wanted.object_type, id) else {
        return Ok(Err(format!(
            "`{}` cannot be the id of an object",
            id.escape_debug().take(128).collect::<String>()
        )));
    };
    let model = known.graph().model();
    if let Err(misfit) = fit(model, wanted) {
        return Ok(Err(Told(wanted, misfit).to_string()));
    }
    let (home, person) = (
        Subject::Object(sentinel::workspace(user.workspace)),
        Subject::Object(sentinel::user(user.id)),
    );
    let at = known.graph().at(known.now());
    let home = has_workspace(model, &wanted.object_type).then_some(("workspace", &home));
    for (relation, subject) in home.into_iter().chain([(wanted.relation.as_str(), &person)]) {
        let query = Query::new(&object, relation, subject);
        let Some(tuples) = at.explain(&query)? else {
            let enough = at.missing(&query)?;
            return Ok(Ok(Why {
                holds: false,
                by: Vec::new(),
                enough,
            }));
        };
        why.by.extend(tuples);
    }
    Ok(Ok(why))
}

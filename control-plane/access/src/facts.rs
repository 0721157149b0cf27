//! The full projection: every fact that the rows of this crate mean, as a new replica needs them.

use std::collections::HashMap;

use sentinel_core::Fact;
use sentinel_core::id::ServiceAppId;
use sentinel_store::Tx;

use crate::error::AccessError;
use crate::groups::repository as groups;
use crate::members::repository as memberships;
use crate::permissions::repository::{resources, shares};
use crate::projection;
use crate::relations::repository::{models, tuples};
use crate::roles::repository::{grants, holders, roles};
use crate::service_apps::{self, ServiceKey};
use crate::users::repository as users;

/// Every fact of the rows that `tx` sees: tuples, models, service keys and deactivated users. Replaying all recorded changes gives
/// the same set.
pub async fn facts(tx: &mut Tx) -> Result<Vec<Fact>, AccessError> {
    let mut facts = Vec::new();
    facts.extend(memberships::all(tx).await?.iter().map(projection::membership));
    facts.extend(groups::all(tx).await?.iter().map(projection::group));
    let in_groups = groups::all_members(tx).await?;
    facts.extend(
        in_groups
            .into_iter()
            .map(|(group, user)| projection::group_membership(group, user)),
    );
    for (role, workspace) in roles::all(tx).await? {
        facts.push(projection::role(role, workspace));
    }
    for (role, grantee) in holders::all(tx).await? {
        facts.push(projection::role_holder(role, grantee));
    }
    for grant in grants::all(tx).await? {
        facts.push(projection::grant(&grant)?);
    }
    for resource in resources::all(tx).await? {
        facts.extend(projection::resource(&resource)?);
    }
    for share in shares::all(tx).await? {
        facts.push(projection::share(&share.resource, share.grantee, share.level)?);
    }
    facts.extend(models::all_current(tx).await?.iter().map(projection::model));
    facts.extend(tuples::all(tx).await?.iter().map(projection::relation_tuple));
    let mut keys: HashMap<ServiceAppId, Vec<ServiceKey>> = HashMap::new();
    for (app, key) in service_apps::key_rows(tx).await? {
        keys.entry(app).or_default().push(key);
    }
    for app in service_apps::app_rows(tx).await? {
        facts.extend(projection::service_app(
            &app,
            keys.get(&app.id).map_or(&[], Vec::as_slice),
        ));
    }
    facts.extend(
        users::deactivated(tx)
            .await?
            .into_iter()
            .map(projection::disabled),
    );
    Ok(facts)
}

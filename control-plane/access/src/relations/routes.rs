//! What the routes of edges need of services' models, as the edges announce it.

use std::collections::BTreeSet;

use sentinel_core::Object;
use sentinel_core::id::EdgeId;
use sentinel_core::name::ServiceName;
use sentinel_store::Tx;

use super::Relations;
use super::repository::routes as rows;
use crate::error::AccessError;

/// How many needs of one edge are kept.
const MAX_NEEDS: usize = 10_000;

/// The longest name of a route that is kept, in bytes: what edges can announce (`sentinel_feed::MAX_NAME`).
const MAX_ROUTE: usize = 512;

/// What a route of an edge needs of a service's model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteNeed {
    /// The route's name in the edge's configuration.
    pub route: String,
    /// Whose type it is.
    pub service: ServiceName,
    /// The type, by its own name: `folder`.
    pub object_type: String,
    /// The relation that the route asks about.
    pub relation: String,
}

impl Relations {
    /// Whether that differs from what the edge announced before. Asked first, so that nothing waits for the writer when
    /// there is no news.
    pub async fn is_news(
        &self,
        tx: &mut Tx,
        edge: EdgeId,
        routes: &[RouteNeed],
    ) -> Result<bool, AccessError> {
        let known: BTreeSet<RouteNeed> = rows::of_edge(tx, edge).await?.into_iter().collect();
        Ok(known != kept(routes))
    }

    /// Takes down what the routes of an edge need, in place of all that it announced before. What can be no route's need is
    /// left out: an edge that is enrolled may be of another version.
    pub async fn announce_routes(
        &self,
        tx: &mut Tx,
        edge: EdgeId,
        routes: &[RouteNeed],
    ) -> Result<(), AccessError> {
        let kept = kept(routes);
        // Two announcements at once, of an edge that came back, would otherwise both stay.
        rows::lock_edge(tx, edge).await?;
        rows::delete_of_edge(tx, edge).await?;
        if !kept.is_empty() {
            rows::insert(tx, edge, &kept, self.sources.now()).await?;
        }
        Ok(())
    }
}

fn kept(routes: &[RouteNeed]) -> BTreeSet<RouteNeed> {
    let is_name = |name: &str| !name.contains('/') && Object::new(name, "1").is_ok();
    let is_route =
        |route: &str| (1..=MAX_ROUTE).contains(&route.len()) && !route.chars().any(char::is_control);
    routes
        .iter()
        .filter(|need| is_route(&need.route) && is_name(&need.object_type) && is_name(&need.relation))
        .take(MAX_NEEDS)
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_an_edge_can_announce_is_kept() {
        let need = |length: usize| RouteNeed {
            route: "r".repeat(length),
            service: "docs".parse().expect("a name"),
            object_type: "folder".to_owned(),
            relation: "viewer".to_owned(),
        };
        let kept = kept(&[need(0), need(1), need(512), need(513)]);
        let lengths: Vec<usize> = kept.iter().map(|need| need.route.len()).collect();
        assert_eq!(lengths, [1, 512]);
    }
}

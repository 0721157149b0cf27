//! The activity log.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use sentinel_access::activity::{Action, Filter, Record, TargetKind};
use sentinel_core::Timestamp;
use sentinel_core::id::{ActivityId, UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::api::wire::{Moment, PageBody, PageQuery};
use crate::app::App;
use crate::extract::{Admin, Json, Query};
use crate::problem::ApiError;

/// `/admin/activity`.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/admin/activity", get(list))
}

#[derive(Serialize)]
struct ActivityBody {
    id: ActivityId,
    action: String,
    actor_id: Option<UserId>,
    actor_name: Option<String>,
    actor_email: Option<String>,
    target_type: String,
    target_id: Uuid,
    workspace_id: Option<WorkspaceId>,
    detail: Option<Value>,
    created_at: Moment,
    target_label: Option<String>,
}

impl From<Record> for ActivityBody {
    fn from(record: Record) -> Self {
        Self {
            id: record.id,
            action: record.action,
            actor_id: record.actor,
            actor_name: record.actor_name,
            actor_email: record.actor_email,
            target_type: record.target_type,
            target_id: record.target_id,
            workspace_id: record.workspace,
            detail: record.detail,
            created_at: record.created_at.into(),
            target_label: record.target_label,
        }
    }
}

#[derive(Deserialize)]
struct FilterQuery {
    action: Option<String>,
    target_type: Option<String>,
    workspace_id: Option<WorkspaceId>,
    actor_id: Option<UserId>,
    from_date: Option<String>,
    to_date: Option<String>,
}

impl TryFrom<FilterQuery> for Filter {
    type Error = ApiError;

    fn try_from(query: FilterQuery) -> Result<Self, ApiError> {
        Ok(Self {
            action: word::<Action>("action", query.action)?,
            target_type: word::<TargetKind>("target_type", query.target_type)?,
            workspace: query.workspace_id,
            actor: query.actor_id,
            from: moment("from_date", query.from_date.as_deref())?,
            to: moment("to_date", query.to_date.as_deref())?,
        })
    }
}

async fn list(
    State(app): State<App>,
    _: Admin,
    Query(page): Query<PageQuery>,
    Query(filter): Query<FilterQuery>,
) -> Result<Json<PageBody<ActivityBody>>, ApiError> {
    let (page, page_size) = page.parts()?;
    let filter = filter.try_into()?;
    let mut tx = app.database().read().await?;
    let found = app
        .access()
        .activity
        .list(&mut tx, &filter, page, page_size)
        .await?;
    let items = found.items.into_iter().map(Into::into).collect();
    Ok(Json(PageBody {
        items,
        total: found.total,
        page,
        page_size,
    }))
}

fn word<T>(field: &str, text: Option<String>) -> Result<Option<T>, ApiError>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    text.filter(|text| !text.is_empty())
        .map(|text| {
            text.parse()
                .map_err(|error: T::Err| ApiError::invalid(["query", field], error))
        })
        .transpose()
}

/// ISO 8601: a moment with its offset, or one in UTC without, or a day's beginning.
fn moment(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let with_offset = DateTime::parse_from_rfc3339(text).map(|at| at.with_timezone(&Utc));
    let in_utc = || text.parse::<NaiveDateTime>().map(|at| at.and_utc());
    let day = || {
        text.parse::<NaiveDate>()
            .map(|day| day.and_time(NaiveTime::MIN).and_utc())
    };
    let expected = "an ISO 8601 date or moment such as `2026-01-31` or `2026-01-31T12:00:00Z` is expected";
    let found = with_offset.or_else(|_| in_utc()).or_else(|_| day());
    // What lies outside of these years neither the answer's form nor PostgreSQL can write.
    match found {
        Ok(at) if (1..=9999).contains(&at.year()) => Ok(Some(at)),
        _ => Err(ApiError::invalid(["query", field], expected)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_three_spellings() {
        let noon = "2026-01-31T12:00:00Z";
        for text in [
            noon,
            "2026-01-31T13:00:00+01:00",
            "2026-01-31T12:00:00",
            "2026-01-31T12:00:00.000000Z",
        ] {
            let at = moment("from_date", Some(text)).expect(text).expect("given");
            assert_eq!(
                at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
                noon,
                "{text}"
            );
        }
        assert!(moment("from_date", Some("2026-01-31")).expect("a day").is_some());
        assert_eq!(moment("from_date", None).expect("absent"), None);
        for far in [
            "+262142-12-31",
            "-262143-01-01",
            "0000-12-31T23:59:59Z",
            "+10000-01-01",
            "9999-12-31T23:59:59-01:00",
        ] {
            let refused = moment("from_date", Some(far)).expect_err(far);
            assert_eq!(refused.status().as_u16(), 422, "{far}");
        }
        assert!(
            moment("to_date", Some("0001-01-01"))
                .expect("the first")
                .is_some()
        );
        assert_eq!(
            moment("from_date", Some("yesterday"))
                .expect_err("no date")
                .status()
                .as_u16(),
            422
        );
    }

    #[test]
    fn an_unknown_action_is_refused() {
        let refused = word::<Action>("action", Some("nothing".to_owned())).expect_err("unknown");
        assert_eq!(
            refused.detail(),
            "query.action: `nothing` is not an action of the activity log"
        );
        assert_eq!(word::<Action>("action", None).expect("absent"), None);
    }
}

//! The caller's own profile.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use sentinel_access::text::{self, Name};
use sentinel_access::users::User;
use sentinel_core::id::UserId;
use serde::{Deserialize, Serialize};

use super::wire::Moment;
use crate::app::App;
use crate::commit::{Committed, unreplicated};
use crate::extract::{FlexibleUser, Json, WritingUser};
use crate::problem::ApiError;

/// `/users/me`.
pub fn routes() -> Router<App> {
    Router::new().route("/users/me", get(me).patch(update_me))
}

#[derive(Serialize)]
struct UserBody {
    id: UserId,
    email: String,
    name: String,
    avatar_url: Option<String>,
    is_active: bool,
    created_at: Moment,
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            email: user.email,
            name: user.name,
            avatar_url: user.avatar_url,
            is_active: user.is_active,
            created_at: user.created_at.into(),
        }
    }
}

/// What is absent or null stays as it is; so does the picture when the address is not a plain http(s) URL.
#[derive(Deserialize)]
struct UpdateBody {
    name: Option<Name>,
    avatar_url: Option<String>,
}

async fn me(State(app): State<App>, caller: FlexibleUser) -> Result<Json<UserBody>, ApiError> {
    let mut tx = app.database().read().await?;
    let user = app.access().users.get(&mut tx, caller.id()).await?;
    Ok(Json(user.into()))
}

async fn update_me(
    State(app): State<App>,
    caller: WritingUser,
    Json(body): Json<UpdateBody>,
) -> Result<(Committed, Json<UserBody>), ApiError> {
    let avatar_url = body.avatar_url.as_deref().and_then(text::avatar_url);
    let mut tx = app.database().begin().await?;
    let user = app
        .access()
        .users
        .update_profile(&mut tx, caller.id(), body.name, avatar_url)
        .await?;
    tx.commit().await?;
    Ok((unreplicated(&app), Json(user.into())))
}

//! Chapter 1: an operator, two people, a workspace with a group, and the apps.

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{Cast, Document, Failed, Step, Tour};
use crate::api::Api;
use crate::http::Secret;
use crate::provider::people::{ALICE, BOB, OPERATOR, Person};
use crate::scene::{Arrived, Door, Session, admin_login, arrive, click};
use crate::system::{PROVIDER, Urls};

/// Everything of chapter 1.
pub(super) async fn meet(tour: &mut Tour<'_>) -> Result<Cast, Failed> {
    let urls = tour.system.urls.clone();
    let api = Api::at(&urls.control_plane);
    let Apps {
        admin,
        door,
        service_app,
        key,
    } = register_apps(tour, &urls, &api).await?;
    let alice = sign_in(tour, &door, ALICE).await?;
    let bob = sign_in(tour, &door, BOB).await?;

    let workspace = tour
        .step(
            "Olivia makes the workspace `acme`, and Alice its owner",
            async |step| {
                let answer = step
                    .ask(api.create_workspace(&admin, "Acme", "acme"), 201)
                    .await?;
                let workspace = answer.text("id")?;
                step.ask(api.appoint(&admin, &workspace, ALICE.email, "owner"), 201)
                    .await?;
                Ok(workspace)
            },
        )
        .await?;
    let alice = tour
        .step(
            "Alice's code, with its PKCE verifier, becomes tokens for `acme`",
            async |step| exchange(step, &api, &alice, &workspace, ALICE).await,
        )
        .await?;
    let (bob_id, group) = tour
        .step(
            "Alice invites Bob as a viewer, makes a group, and puts him into it",
            async |step| {
                step.ask(api.invite(&alice.access, &workspace, BOB.email, "viewer"), 201)
                    .await?;
                let answer = step.ask(api.members(&alice.access, &workspace), 200).await?;
                let bob = member(&answer.json()?, BOB.email)?;
                let answer = step
                    .ask(api.create_group(&alice.access, &workspace, "Readers"), 201)
                    .await?;
                let group = answer.text("id")?;
                step.ask(api.join_group(&alice.access, &workspace, &group, &bob), 201)
                    .await?;
                Ok((bob, group))
            },
        )
        .await?;
    let bob = tour
        .step("Bob's code becomes tokens", async |step| {
            let session = exchange(step, &api, &bob, &workspace, BOB).await?;
            anyhow::ensure!(
                session.user == bob_id,
                "the token is for another user than the one who was invited"
            );
            Ok(session)
        })
        .await?;
    Ok(Cast {
        api,
        urls,
        admin,
        door,
        service_app,
        key,
        workspace,
        group,
        alice,
        bob,
        private: Document::default(),
        shared: Document::default(),
    })
}

/// What an operator sets up before anybody can sign in.
struct Apps {
    admin: Secret,
    door: Door,
    service_app: String,
    key: Secret,
}

async fn register_apps(tour: &mut Tour<'_>, urls: &Urls, api: &Api) -> Result<Apps, Failed> {
    let redirect_uri = format!("{}/signed-in", urls.proxy);

    let admin = tour
        .step(
            "Olivia signs in as administrator, through the provider's page",
            async |step| {
                let (cookie, exchanges) =
                    admin_login(step.http, &urls.control_plane, PROVIDER, click(OPERATOR)).await?;
                for (ask, answer) in &exchanges {
                    step.show(ask, answer);
                }
                Ok(cookie)
            },
        )
        .await?;
    let client_app = tour
        .step(
            "she registers the client app that people sign in to",
            async |step| {
                let answer = step
                    .ask(
                        api.create_client_app(&admin, "Docs in the browser", &redirect_uri),
                        201,
                    )
                    .await?;
                answer.text("id")
            },
        )
        .await?;
    let (service_app, key) = tour
        .step(
            "she registers the service app; its key is shown this once",
            async |step| {
                let answer = step.ask(api.create_service_app(&admin, "Docs"), 201).await?;
                Ok((
                    answer.text("id")?,
                    Secret::new("docs' service key", answer.text("api_key")?),
                ))
            },
        )
        .await?;
    let door = Door {
        control_plane: urls.control_plane.clone(),
        provider: PROVIDER.to_owned(),
        client_app,
        redirect_uri,
    };
    Ok(Apps {
        admin,
        door,
        service_app,
        key,
    })
}

/// A login up to the code, as a step.
async fn sign_in(tour: &mut Tour<'_>, door: &Door, person: Person) -> Result<Arrived, Failed> {
    let title = format!(
        "{} signs in: PKCE, state and nonce on both legs, a click on the provider's page",
        person.name
    );
    tour.step(&title, async |step| {
        let arrived = arrive(step.http, door, click(person)).await?;
        for (ask, answer) in &arrived.exchanges {
            step.show(ask, answer);
        }
        Ok(arrived)
    })
    .await
}

/// A code becomes tokens.
pub(super) async fn exchange(
    step: &Step<'_>,
    api: &Api,
    arrived: &Arrived,
    workspace: &str,
    person: Person,
) -> Result<Session> {
    let answer = step
        .ask(api.workspaces_of_code(&arrived.code, &arrived.verifier), 200)
        .await?;
    let listed = answer.json()?;
    let known = listed
        .as_array()
        .is_some_and(|list| list.iter().any(|entry| entry["id"] == workspace));
    anyhow::ensure!(known, "the workspace is not among those of the code");
    let answer = step
        .ask(api.token(&arrived.code, &arrived.verifier, workspace), 200)
        .await?;
    let access = Secret::new(
        format!("{}'s access token", person.subject),
        answer.text("access_token")?,
    );
    let refresh = Secret::new(
        format!("{}'s refresh token", person.subject),
        answer.text("refresh_token")?,
    );
    let answer = step.ask(api.me(&access), 200).await?;
    Ok(Session {
        person,
        user: answer.text("id")?,
        access,
        refresh,
    })
}

/// The user id of the member with that e-mail address.
pub(super) fn member(members: &Value, email: &str) -> Result<String> {
    members
        .as_array()
        .and_then(|members| members.iter().find(|member| member["email"] == email))
        .and_then(|member| member["user_id"].as_str())
        .map(str::to_owned)
        .with_context(|| format!("`{email}` is not among the members"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_found_by_their_address() {
        let members = json!([{"email": "a@b", "user_id": "u1"}, {"email": "c@d", "user_id": "u2"}]);
        assert_eq!(member(&members, "c@d").expect("member"), "u2");
        assert!(member(&members, "x@y").is_err());
    }
}

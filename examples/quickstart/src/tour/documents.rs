//! Chapter 2: a private document, its owner, and somebody whom it is shared with.

use anyhow::{Context as _, Result, ensure};
use sentinel_core::clock::{Clock as _, SystemClock};
use sentinel_core::id::ResourceId;
use sentinel_core::random::SystemRandom;
use serde_json::Value;

use super::step::millis;
use super::{Cast, Document, Failed, Tour, until};
use crate::api::{DOCUMENT, Grantee, SERVICE};
use crate::http::Answer;

/// The service registers Alice's documents.
pub(super) async fn register(tour: &mut Tour<'_>, mut cast: Cast) -> Result<Cast, Failed> {
    let documents = tour
        .step(
            "the service registers two private documents of Alice",
            async |step| {
                let mut documents = Vec::new();
                for _ in 0..2 {
                    let id = ResourceId::generate(SystemClock.now(), &SystemRandom).to_string();
                    let ask = cast
                        .api
                        .register_document(&cast.key, &cast.workspace, &id, &cast.alice.user);
                    let permission = step.ask(ask, 201).await?.text("id")?;
                    documents.push(Document { id, permission });
                }
                Ok(documents)
            },
        )
        .await?;
    if let [private, shared] = documents.as_slice() {
        (cast.private, cast.shared) = (private.clone(), shared.clone());
    }
    Ok(cast)
}

/// Who may read, and who may not.
pub(super) async fn read(tour: &mut Tour<'_>, cast: &Cast) -> Result<(), Failed> {
    tour.step(
        "Alice reads her document through the proxy; the service learns who she is",
        async |step| {
            let (answer, _) = until(
                step.http,
                &cast.read(&cast.shared, &cast.alice.access),
                |answer| answer.status == 200,
            )
            .await?;
            step.show(&cast.read(&cast.shared, &cast.alice.access), &answer);
            for (name, value) in [
                ("x-sentinel-user-id", cast.alice.user.as_str()),
                ("x-sentinel-email", "alice%40example.com"),
                ("x-sentinel-name", "Alice%20Archer"),
                ("x-sentinel-workspace-id", &cast.workspace),
                ("x-sentinel-workspace-slug", "acme"),
                ("x-sentinel-workspace-role", "owner"),
            ] {
                let seen = upstream_header(&answer, name)?
                    .with_context(|| format!("the upstream did not see `{name}`"))?;
                step.note(format_args!("the upstream saw {name}: {seen}"));
                ensure!(seen == value, "`{name}` was expected to be `{value}`");
            }
            Ok(())
        },
    )
    .await?;
    let _ = tour
        .step("Bob, a member of the same workspace, may not", async |step| {
            step.unseen(async || {
                let answer = step.ask(cast.read(&cast.shared, &cast.bob.access), 403).await?;
                ensure!(
                    answer.code().as_deref() == Some("permission_denied"),
                    "another `code` was expected"
                );
                Ok(())
            })
            .await
        })
        .await;
    let _ = tour
        .step("nobody may without a token", async |step| {
            step.unseen(async || {
                let ask = cast.at_proxy(&format!("/documents/{}", cast.shared.id));
                let answer = step.ask(ask, 401).await?;
                ensure!(
                    answer.header("www-authenticate").is_some(),
                    "a 401 without a challenge"
                );
                Ok(())
            })
            .await
        })
        .await;
    let _ = tour
        .step("the control plane's own check says the same", async |step| {
            for (who, may) in [(&cast.alice, true), (&cast.bob, false)] {
                let answer = step
                    .ask(cast.api.check(&cast.key, &who.access, &cast.shared.id), 200)
                    .await?;
                let allowed = answer.json()?["results"][0]["allowed"] == may;
                ensure!(allowed, "{} was expected to get {may}", who.person.name);
            }
            Ok(())
        })
        .await;
    tour.step(
        "Alice shares it with Bob's group, and he reads it",
        async |step| {
            let grantee = Grantee::Group(&cast.group);
            step.ask(
                cast.api
                    .share(&cast.key, &cast.alice.access, &cast.shared.permission, grantee),
                201,
            )
            .await?;
            let read = cast.read(&cast.shared, &cast.bob.access);
            let (answer, took) = until(step.http, &read, |answer| answer.status == 200).await?;
            step.show(&read, &answer);
            step.note(format_args!(
                "from the write's answer to the first 200: {}",
                millis(took)
            ));
            step.note(format_args!(
                "granted: {SERVICE}/{DOCUMENT}/{}#view for the members of the group",
                cast.shared.id
            ));
            Ok(())
        },
    )
    .await
}

/// A header as it reached the upstream, which the answer's body tells.
pub(super) fn upstream_header(answer: &Answer, name: &str) -> Result<Option<String>> {
    let body = answer.json()?;
    ensure!(
        body["upstream"] == SERVICE,
        "the answer does not come from the upstream"
    );
    Ok(body["headers"]
        .get(name)
        .and_then(Value::as_str)
        .map(str::to_owned))
}

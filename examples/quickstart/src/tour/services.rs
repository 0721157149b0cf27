//! Chapter 4: routes that ask for a service key, or for a key and a user together.

use anyhow::{Context as _, ensure};
use reqwest::Method;

use super::documents::upstream_header;
use super::{Cast, Tour};
use crate::http::Ask;

/// All of chapter 3. Its steps do not depend on each other.
pub(super) async fn call(tour: &mut Tour<'_>, cast: &Cast) {
    let reindex = || Ask::new(Method::POST, format!("{}/internal/reindex", cast.urls.proxy));
    let _ = tour
        .step(
            "a service calls with its key alone, where a route asks for that",
            async |step| {
                let answer = step.ask(reindex().service_key(&cast.key), 200).await?;
                let seen = upstream_header(&answer, "x-sentinel-service")?
                    .context("the upstream did not see a service")?;
                step.note(format_args!("the upstream saw x-sentinel-service: {seen}"));
                ensure!(seen == "docs", "another service was expected");
                Ok(())
            },
        )
        .await;
    let _ = tour
        .step(
            "a user's token is no service key, and neither is nothing",
            async |step| {
                step.unseen(async || {
                    step.ask(reindex(), 401).await?;
                    step.ask(reindex().bearer(&cast.alice.access), 401).await?;
                    Ok(())
                })
                .await
            },
        )
        .await;
    let report = || cast.at_proxy(&format!("/reports/{}", cast.shared.id));
    let _ = tour
        .step(
            "key and user together, where a route asks for both",
            async |step| {
                let answer = step
                    .ask(report().service_key(&cast.key).bearer(&cast.alice.access), 200)
                    .await?;
                let user = upstream_header(&answer, "x-sentinel-user-id")?;
                ensure!(
                    user.as_ref() == Some(&cast.alice.user),
                    "the upstream did not see Alice"
                );
                let service = upstream_header(&answer, "x-sentinel-service")?;
                ensure!(
                    service.as_deref() == Some("docs"),
                    "the upstream did not see the service"
                );
                Ok(())
            },
        )
        .await;
    let _ = tour
        .step("one of the two is not enough", async |step| {
            step.unseen(async || {
                step.ask(report().service_key(&cast.key), 401).await?;
                step.ask(report().bearer(&cast.alice.access), 401).await?;
                Ok(())
            })
            .await
        })
        .await;
}

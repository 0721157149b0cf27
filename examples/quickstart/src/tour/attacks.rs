//! Chapter 5: forged identities and paths in disguise.

use anyhow::{Context as _, Result, ensure};
use axum::http::Method;

use super::documents::upstream_header;
use super::{Cast, Step, Tour};
use crate::http::{Ask, raw};

/// All of chapter 4. Its steps do not depend on each other.
pub(super) async fn try_all(tour: &mut Tour<'_>, cast: &Cast) {
    let _ = tour
        .step(
            "identity headers that a client sends never reach the service",
            async |step| {
                let forged = cast
                    .read(&cast.shared, &cast.alice.access)
                    .header("X-Sentinel-User-Id", "somebody-else")
                    .header("X-Sentinel-Workspace-Role", "emperor");
                let answer = step.ask(forged, 200).await?;
                let seen = upstream_header(&answer, "x-sentinel-user-id")?;
                ensure!(
                    seen.as_ref() == Some(&cast.alice.user),
                    "the upstream saw {seen:?}"
                );
                let public = cast
                    .at_proxy("/healthz")
                    .header("X-Sentinel-User-Id", &cast.alice.user);
                let answer = step.ask(public, 200).await?;
                let seen = upstream_header(&answer, "x-sentinel-user-id")?;
                ensure!(seen.is_none(), "the upstream saw {seen:?} on a public route");
                step.note("on the public route the upstream saw no identity at all");
                Ok(())
            },
        )
        .await;
    let _ = tour
        .step(
            "nor do they in a spelling that some services read as the same",
            async |step| {
                step.unseen(async || {
                    let disguised = cast
                        .read(&cast.shared, &cast.alice.access)
                        .header("X_Sentinel_User_Id", "somebody-else");
                    step.ask(disguised, 400).await?;
                    Ok(())
                })
                .await
            },
        )
        .await;
    let _ = tour
        .step(
            "a path in disguise is not repaired but refused, even for somebody who might",
            async |step| {
                step.unseen(async || {
                    for path in [
                        "/documents/../admin",
                        "/documents/%2e%2e/admin",
                        "/documents/.%2E/admin",
                        "//admin",
                        "/documents/..%2fadmin",
                        "/documents\\..\\admin",
                        "/admin%00",
                        "admin",
                    ] {
                        send_raw(step, cast, path, 400).await?;
                    }
                    Ok(())
                })
                .await
            },
        )
        .await;
    let _ = tour
        .step(
            "past the proxy, straight to the service, nobody is believed",
            async |step| {
                step.unseen(async || {
                    let direct = Ask::get(format!("{}/documents/{}", cast.urls.upstream, cast.shared.id))
                        .bearer(&cast.alice.access)
                        .header("X-Sentinel-User-Id", &cast.alice.user);
                    let answer = step.ask(direct, 401).await?;
                    ensure!(
                        answer.text("refused")? == "no assertion of an edge",
                        "another reason was expected"
                    );
                    Ok(())
                })
                .await
            },
        )
        .await;
    let _ = tour
        .step(
            "nor is what the proxy signed for one request believed with another",
            async |step| replay(step, cast).await,
        )
        .await;
    let _ = tour
        .step("what has no route is not forwarded", async |step| {
            step.unseen(async || {
                step.ask(cast.at_proxy("/secrets").bearer(&cast.alice.access), 404)
                    .await
            })
            .await
        })
        .await;
}

/// Lets Alice read a document, and sends what reached the service to it once more: as it was, and changed.
async fn replay(step: &Step<'_>, cast: &Cast) -> Result<()> {
    step.ask(cast.read(&cast.shared, &cast.alice.access), 200).await?;
    let seen = step
        .system
        .upstream
        .latest()
        .context("nothing reached the upstream")?;
    let captured = |method: Method, path: &str| {
        let ask = Ask::new(method, format!("{}{path}", cast.urls.upstream));
        seen.headers
            .iter()
            .fold(ask, |ask, (name, value)| ask.again(name, value))
    };
    step.unseen(async || {
        let other = format!("/documents/{}", cast.private.id);
        let longer = format!("{}?all=true", seen.target);
        for (method, path) in [
            (Method::GET, other.as_str()),
            (Method::GET, longer.as_str()),
            (Method::PUT, seen.target.as_str()),
        ] {
            let answer = step.ask(captured(method, path), 401).await?;
            ensure!(
                answer.text("refused")? == "the assertion is of another request",
                "another reason was expected"
            );
        }
        Ok(())
    })
    .await?;
    step.ask(captured(Method::GET, &seen.target), 200).await?;
    step.note("unchanged it holds for half a minute: a service that minds remembers the numbers of requests");
    Ok(())
}

/// Sends a path exactly as it is written, with Alice's token.
async fn send_raw(step: &Step<'_>, cast: &Cast, path: &str, status: u16) -> Result<()> {
    let address = cast.urls.proxy.trim_start_matches("http://");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
        cast.alice.access.expose()
    );
    let answer = raw(address, &request).await?;
    step.show_text(&format!("GET {path} HTTP/1.1"), &answer);
    answer.expect(status).map(drop)
}

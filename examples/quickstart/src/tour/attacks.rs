//! Chapter 4: forged identities and paths in disguise.

use anyhow::{Result, ensure};

use super::documents::upstream_header;
use super::{Cast, Step, Tour};
use crate::http::raw;

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
        .step("what has no route is not forwarded", async |step| {
            step.unseen(async || {
                step.ask(cast.at_proxy("/secrets").bearer(&cast.alice.access), 404)
                    .await
            })
            .await
        })
        .await;
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

//! Chapter 7: the control plane goes away and comes back; the proxy crashes.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::Instant;

use super::step::millis;
use super::{Cast, Failed, Tour, until};

/// How long reads are watched right after the control plane went away.
const WATCHED: Duration = Duration::from_millis(500);

/// All of chapter 6. It ends with everything running, or the tour fails.
pub(super) async fn survive(tour: &mut Tour<'_>, cast: &Cast) -> Result<(), Failed> {
    let read = cast.read(&cast.private, &cast.alice.access);
    let gone = tour
        .step(
            "the control plane is killed (kill -9): reading goes on",
            async |step| {
                step.system.control_plane.kill().await;
                let gone = Instant::now();
                ensure!(
                    step.http.send(&cast.api.health()).await.is_err(),
                    "the control plane still answers"
                );
                step.note(format_args!(
                    "GET {}/health: nobody listens",
                    cast.urls.control_plane
                ));
                let mut reads = 0_u32;
                while gone.elapsed() < WATCHED {
                    step.http.send(&read).await?.expect(200)?;
                    reads += 1;
                }
                step.ask(read.clone(), 200).await?;
                step.note(format_args!("{reads} more reads in {}, all 200", millis(WATCHED)));
                step.ask(cast.read(&cast.private, &cast.bob.access), 403).await?;
                Ok(gone)
            },
        )
        .await;
    if let Ok(gone) = gone {
        let _ = tour
            .step(
                "after the route's staleness bound the answer is 503, and not an old 200",
                async |step| {
                    let (answer, _) = until(step.http, &read, |answer| answer.status != 200).await?;
                    step.show(&read, &answer);
                    step.note(format_args!(
                        "{} after the control plane went away",
                        millis(gone.elapsed())
                    ));
                    ensure!(
                        answer.header("retry-after").is_some(),
                        "a 503 without Retry-After"
                    );
                    let answer = answer.expect(503)?;
                    ensure!(
                        answer.code().as_deref() == Some("replica_stale"),
                        "another `code` was expected"
                    );
                    step.ask(cast.at_proxy("/about").bearer(&cast.alice.access), 200)
                        .await?;
                    step.note("a route with a longer bound goes on");
                    Ok(())
                },
            )
            .await;
    }
    let back = tour
        .step(
            "the control plane is started again, and the edge is back by itself",
            async |step| {
                step.system.control_plane.resume().await;
                let (answer, took) = until(step.http, &read, |answer| answer.status == 200).await?;
                step.show(&read, &answer);
                step.note(format_args!(
                    "from the start of the control plane to the first 200: {}",
                    millis(took)
                ));
                step.system.await_control_plane(step.http).await?;
                step.ask(cast.api.me(&cast.alice.access), 200).await?;
                Ok(())
            },
        )
        .await;
    let proxy = tour
        .step(
            "the proxy is killed (kill -9), started again by its supervisor, and decides as before",
            async |step| {
                let starts = step.system.proxy.starts();
                step.system.proxy.crash()?;
                let (_, took) = until(step.http, &read, |answer| {
                    answer.status == 200 && step.system.proxy.starts() > starts
                })
                .await?;
                step.note(format_args!("from the kill to the first 200: {}", millis(took)));
                step.ask(read.clone(), 200).await?;
                step.ask(cast.read(&cast.private, &cast.bob.access), 403).await?;
                Ok(())
            },
        )
        .await;
    back.and(proxy)
}

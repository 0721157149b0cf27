//! `sentinel-proxy explain` beside a running edge: it says what the edge does, and why, from the files that the edge has
//! open.

use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use sentinel_quickstart::api::Grantee;
use sentinel_quickstart::tour::{Cast, Tour, until};
use sentinel_tests::whole::Whole;

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_is_what_the_running_edge_does() -> Result<()> {
    let whole = Whole::on_sqlite().await?;
    let cast = Tour::silent(whole.http.clone(), &whole.system).stage().await?;
    let (group, bob) = (Grantee::Group(&cast.group), &cast.bob);
    let read = cast.read(&cast.shared, &bob.access);

    until(&whole.http, &read, |answer| answer.status == 403).await?;
    let missing = format!("#share_view@group:{}#member", cast.group);
    let refused = explained(&whole, &cast, |refused| {
        String::from_utf8_lossy(&refused.stdout).contains(&missing)
    })
    .await?;
    let text = String::from_utf8_lossy(&refused.stdout);
    ensure!(refused.status.code() == Some(3), "{text}");
    ensure!(
        text.contains("403 permission_denied") && text.contains(&missing),
        "{text}"
    );
    ensure!(
        text.contains(&format!("the user's groups: {}", cast.group)),
        "{text}"
    );

    let share = cast
        .api
        .share(&cast.key, &cast.alice.access, &cast.shared.permission, group);
    until(&whole.http, &share, |answer| answer.status == 201).await?;
    until(&whole.http, &read, |answer| answer.status == 200).await?;
    let allowed = explained(&whole, &cast, |allowed| allowed.status.success()).await?;
    let text = String::from_utf8_lossy(&allowed.stdout);
    ensure!(allowed.status.success(), "{text}");
    let by = format!("by group:{}#member@user:{}", cast.group, bob.user);
    ensure!(text.contains("✓ allow") && text.contains(&by), "{text}");
    // Whoever looks has not disturbed the edge.
    let answer = whole.http.send(&read).await?;
    ensure!(answer.status == 200, "{}", answer.body);
    Ok(())
}

/// The explanation once it is the one that is waited for, or the last one: the edge decides by what it has heard, and the
/// disk is a moment behind at most.
async fn explained(whole: &Whole, cast: &Cast, is_wanted: impl Fn(&Output) -> bool) -> Result<Output> {
    let mut found = explain(whole, cast)?;
    for _ in 0..500 {
        if is_wanted(&found) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        found = explain(whole, cast)?;
    }
    Ok(found)
}

/// Whether Bob may read the document that is shared.
fn explain(whole: &Whole, cast: &Cast) -> Result<Output> {
    let url = format!("{}/documents/{}", whole.system.urls.proxy, cast.shared.id);
    let caller = format!("user:{}", cast.bob.user);
    Command::new(xtask::cargo::target_dir().join("sentinel-proxy"))
        .args(["explain", "GET", &url, "--as", &caller, "--config"])
        .arg(whole.system.state.path("edge.yaml"))
        .output()
        .context("the program does not run")
}

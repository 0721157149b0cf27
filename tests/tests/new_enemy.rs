//! The new-enemy problem (Zanzibar, §2.2): somebody loses his access, then something secret is written, and an edge that
//! has not heard of the first serves him the second. Shown first where nobody says how new the answer must be; then
//! impossible where somebody does, by the write's revision or by a token that was minted afterwards.

use anyhow::{Context as _, Result, ensure};
use sentinel_quickstart::api::Grantee;
use sentinel_quickstart::http::{Answer, Ask, Secret};
use sentinel_quickstart::scene::{arrive, click};
use sentinel_quickstart::tour::{Cast, Tour, until};
use sentinel_tests::lagging_edge::LaggingEdge;
use sentinel_tests::whole::Whole;

const ROUTES: &str = r#"  - match: GET /documents/{doc_id}
    to: docs
    require: { permission: "docs/document/{doc_id}#view" }
"#;

/// How often an answer is asked for that must never come.
const TRIES: usize = 10;

const REVISION: &str = "X-Sentinel-Revision";

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_lags_lets_no_new_enemy_in_on_sqlite() -> Result<()> {
    let whole = Whole::on_sqlite().await?;
    story(&whole).await.inspect_err(|_| eprintln!("{}", whole.logs()))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_lags_lets_no_new_enemy_in_on_postgresql() -> Result<()> {
    let whole = Whole::on_postgres().await?;
    story(&whole).await.inspect_err(|_| eprintln!("{}", whole.logs()))
}

async fn story(whole: &Whole) -> Result<()> {
    let http = &whole.http;
    let cast = Tour::silent(http.clone(), &whole.system).stage().await?;
    let edge = LaggingEdge::start(whole, ROUTES).await?;
    let read = |token: &Secret| Ask::get(format!("{}/documents/{}", edge.url, cast.shared.id)).bearer(token);
    let group = Grantee::Group(&cast.group);

    // Bob may read what the group may read, and both edges know it.
    let share = cast
        .api
        .share(&cast.key, &cast.alice.access, &cast.shared.permission, group);
    let shared = http.send(&share).await?.expect(201)?;
    let before = revision(&shared)?;
    let as_of_share = read(&cast.bob.access).header(REVISION, &before);
    until(http, &as_of_share, |answer| answer.status == 200).await?;

    // The group loses it while the edge hears nothing, and then the secret is written: what the service stores beside it
    // is the revision of the last word on who may read it.
    edge.hold();
    let unshare = cast
        .api
        .unshare(&cast.key, &cast.shared.permission, Grantee::Group(&cast.group));
    let secret_as_of = revision(&http.send(&unshare).await?.expect(200)?)?;
    let relogged = sign_in_again(whole, &cast).await?;

    // The enemy: without the mechanism, the old answer.
    let answer = http.send(&read(&cast.bob.access)).await?;
    ensure!(
        answer.status == 200,
        "the edge was to lag, so that the rest of this test means something: {} {}",
        answer.status,
        answer.body
    );
    for _ in 0..TRIES {
        for (what, ask) in [
            (
                "the secret's revision",
                read(&cast.bob.access).header(REVISION, &secret_as_of),
            ),
            ("a token from afterwards", read(&relogged)),
            ("both", read(&relogged).header(REVISION, &before)),
        ] {
            let answer = http.send(&ask).await?;
            ensure!(answer.status == 503, "{what}: {} {}", answer.status, answer.body);
            ensure!(
                answer.code().as_deref() == Some("revision_not_reached"),
                "{what}: {}",
                answer.body
            );
            ensure!(
                answer.header("retry-after").is_some(),
                "{what}: when to come again"
            );
        }
    }
    // An edge that does not lag knows that it is no.
    let elsewhere = cast
        .read(&cast.shared, &cast.bob.access)
        .header(REVISION, &secret_as_of);
    until(http, &elsewhere, |answer| answer.status == 403).await?;

    // What was held back arrives: from then on it is no for everybody, with or without a revision.
    edge.release();
    for ask in [
        read(&cast.bob.access).header(REVISION, &secret_as_of),
        read(&relogged),
        read(&cast.bob.access),
    ] {
        let (answer, _) = until(http, &ask, |answer| answer.status != 503).await?;
        ensure!(answer.status == 403, "{} {}", answer.status, answer.body);
    }
    Ok(())
}

/// A token of Bob's that was minted now.
async fn sign_in_again(whole: &Whole, cast: &Cast) -> Result<Secret> {
    let arrived = arrive(&whole.http, &cast.door, click(cast.bob.person)).await?;
    let token = cast.api.token(&arrived.code, &arrived.verifier, &cast.workspace);
    let answer = whole.http.send(&token).await?.expect(200)?;
    Ok(Secret::new(
        "bob's token from afterwards",
        answer.text("access_token")?,
    ))
}

fn revision(answer: &Answer) -> Result<String> {
    let revision = answer.header("x-sentinel-revision");
    Ok(revision.context("a write without a revision")?.to_owned())
}

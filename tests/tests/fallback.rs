//! An edge that keeps a part of everything asks the control plane about the rest, over the connection of its feed: a yes, a
//! no, and neither while the control plane is away.

use anyhow::{Context as _, Result, ensure};
use sentinel_quickstart::api::Grantee;
use sentinel_quickstart::http::{Ask, Secret};
use sentinel_quickstart::system::MODEL;
use sentinel_quickstart::tour::{Cast, Tour, until};
use sentinel_tests::lagging_edge::LaggingEdge;
use sentinel_tests::whole::Whole;

/// Nothing that these routes ask about is kept.
const POLICY: &str = r#"  - match: GET /folders/{folder_id}
    to: docs
    require: { permission: "docs/folder:{folder_id}#can_read" }
  - match: GET /documents/{doc_id}
    to: docs
    require: { permission: "docs/document/{doc_id}#view" }
  - match: GET /about
    to: docs
    require: { role: viewer }
replicate: { services: [elsewhere], fallback: control_plane, budget: 5s }
"#;

/// How often an answer is asked for that must never come.
const TRIES: usize = 10;

const REVISION: &str = "X-Sentinel-Revision";

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_of_a_part_asks_about_the_rest_on_sqlite() -> Result<()> {
    let whole = Whole::on_sqlite().await?;
    story(&whole).await.inspect_err(|_| eprintln!("{}", whole.logs()))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_of_a_part_asks_about_the_rest_on_postgresql() -> Result<()> {
    let whole = Whole::on_postgres().await?;
    story(&whole).await.inspect_err(|_| eprintln!("{}", whole.logs()))
}

/// What is asked for at the edge: a folder by the service's own model, and a document by Sentinel's.
struct Reads {
    folder: String,
    document: String,
    about: String,
}

impl Reads {
    fn both(&self, token: &Secret) -> [Ask; 2] {
        [&self.folder, &self.document].map(|url| Ask::get(url.clone()).bearer(token))
    }
}

async fn story(whole: &Whole) -> Result<()> {
    let http = &whole.http;
    let cast = Tour::silent(http.clone(), &whole.system).stage().await?;
    http.send(&cast.api.write_model(&cast.key, MODEL))
        .await?
        .expect(201)?;
    let tuples = [
        format!("folder:plans#workspace@workspace:{}", cast.workspace),
        format!("folder:plans#viewer@user:{}", cast.alice.user),
    ];
    changed(whole, cast.api.change_tuples(&cast.key, &tuples, &[])).await?;
    let edge = LaggingEdge::start(whole, POLICY).await?;
    let reads = Reads {
        folder: format!("{}/folders/plans", edge.url),
        document: format!("{}/documents/{}", edge.url, cast.shared.id),
        about: format!("{}/about", edge.url),
    };

    // A yes and a no, of both models.
    for ask in reads.both(&cast.alice.access) {
        let (answer, _) = until(http, &ask, |answer| answer.status != 503).await?;
        ensure!(
            answer.status == 200,
            "Alice: {ask}: {} {}",
            answer.status,
            answer.body
        );
    }
    for ask in reads.both(&cast.bob.access) {
        let answer = http.send(&ask).await?;
        ensure!(
            answer.status == 403 && answer.code().as_deref() == Some("permission_denied"),
            "Bob: {ask}: {} {}",
            answer.status,
            answer.body
        );
    }
    // What changes counts from its revision on.
    let group = [format!("folder:plans#viewer@group:{}#member", cast.group)];
    let let_in = changed(whole, cast.api.change_tuples(&cast.key, &group, &[])).await?;
    let share = cast.api.share(
        &cast.key,
        &cast.alice.access,
        &cast.shared.permission,
        Grantee::Group(&cast.group),
    );
    let shared = changed(whole, share).await?;
    for (ask, revision) in reads.both(&cast.bob.access).into_iter().zip([&let_in, &shared]) {
        let ask = ask.header(REVISION, revision);
        let (answer, _) = until(http, &ask, |answer| answer.status != 503).await?;
        ensure!(
            answer.status == 200,
            "Bob: {ask}: {} {}",
            answer.status,
            answer.body
        );
    }

    away_and_back(whole, &cast, &reads).await
}

/// While the control plane is away what it alone knows is neither a yes nor a no; what the edge knows goes on.
async fn away_and_back(whole: &Whole, cast: &Cast, reads: &Reads) -> Result<()> {
    let http = &whole.http;
    whole.system.control_plane.kill().await;
    for _ in 0..TRIES {
        for who in [&cast.alice, &cast.bob] {
            for ask in reads.both(&who.access) {
                let answer = http.send(&ask).await?;
                ensure!(
                    answer.status == 503 && answer.code().as_deref() == Some("replica_incomplete"),
                    "nobody can know: {ask}: {} {}",
                    answer.status,
                    answer.body
                );
                ensure!(
                    answer.header("retry-after").is_some(),
                    "{ask}: when to come again"
                );
            }
        }
    }
    let about = Ask::get(reads.about.clone()).bearer(&cast.bob.access);
    http.send(&about).await?.expect(200)?;
    whole.system.control_plane.resume().await;
    whole.system.await_control_plane(http).await?;
    for ask in reads.both(&cast.bob.access) {
        let (answer, _) = until(http, &ask, |answer| answer.status != 503).await?;
        ensure!(
            answer.status == 200,
            "back: {ask}: {} {}",
            answer.status,
            answer.body
        );
    }
    Ok(())
}

/// Sends a write; the revision that it answers.
async fn changed(whole: &Whole, ask: Ask) -> Result<String> {
    let answer = whole.http.send(&ask).await?;
    ensure!(
        answer.status / 100 == 2,
        "{ask}: {} {}",
        answer.status,
        answer.body
    );
    let revision = answer.header(REVISION);
    Ok(revision.context("a write without a revision")?.to_owned())
}

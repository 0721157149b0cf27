//! `kill -9` on every process of the system, in the middle of reads and writes. Three promises are held throughout:
//! no request is let through that should not be; what was acknowledged is there afterwards; everything recovers without
//! hands.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sentinel_quickstart::api::Grantee;
use sentinel_quickstart::http::{Ask, Http, Secret};
use sentinel_quickstart::scene::{arrive, click, random_text};
use sentinel_quickstart::tour::{Cast, Tour, until};
use sentinel_tests::whole::Whole;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// How much work is done before and after each kill.
const WRITES: usize = 10;
const READS: u64 = 50;

/// How often each accident happens.
const ROUNDS: u32 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Proxy,
    ControlPlane,
    Postgres,
    Redis,
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_and_redis_nothing_is_lost_and_nobody_slips_through() -> Result<()> {
    use Victim::{ControlPlane, Postgres, Proxy, Redis};
    let mut whole = Whole::on_postgres().await?;
    let accidents: [&[Victim]; 7] = [
        &[Proxy],
        &[ControlPlane],
        &[Postgres],
        &[Redis],
        // The edge comes back while the truth is away, and decides from what it has on disk.
        &[Postgres, Proxy],
        &[ControlPlane, Redis],
        &[Redis, Postgres, ControlPlane, Proxy],
    ];
    let outcome = survive(&mut whole, &accidents).await;
    outcome.inspect_err(|_| eprintln!("{}", whole.logs()))
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_and_memory_nothing_is_lost_and_nobody_slips_through() -> Result<()> {
    use Victim::{ControlPlane, Proxy};
    let mut whole = Whole::on_sqlite().await?;
    let accidents: [&[Victim]; 4] = [
        &[Proxy],
        &[ControlPlane],
        &[ControlPlane, Proxy],
        &[Proxy, ControlPlane],
    ];
    let outcome = survive(&mut whole, &accidents).await;
    outcome.inspect_err(|_| eprintln!("{}", whole.logs()))
}

async fn survive(whole: &mut Whole, accidents: &[&[Victim]]) -> Result<()> {
    let mut cast = Tour::silent(whole.http.clone(), &whole.system).stage().await?;
    let revoked = revoked_token(whole, &mut cast).await?;
    let mut written = Vec::new();
    for (round, victims) in
        (1..=ROUNDS).flat_map(|round| accidents.iter().map(move |victims| (round, *victims)))
    {
        let what = || format!("round {round}, {victims:?} killed");
        let work = Work::begin(&whole.http, &cast, &revoked);
        work.progress().await.context("before anything was killed")?;
        kill(whole, victims).await?;
        work.progress().await.with_context(what)?;
        written.extend(work.end().await.with_context(what)?);
        everything_written_is_there(whole, &cast, &written)
            .await
            .with_context(what)?;
        changes_still_take_effect(whole, &cast).await.with_context(what)?;
    }
    ensure!(!written.is_empty(), "nothing was written at all");
    Ok(())
}

/// Kills processes, one right after the other. Programs are started again by their supervisor at once; servers, as an
/// operating system would do it, after a moment in which work goes on without them.
async fn kill(whole: &mut Whole, victims: &[Victim]) -> Result<()> {
    for victim in victims {
        match victim {
            Victim::Proxy => whole.system.proxy.crash()?,
            Victim::ControlPlane => whole.system.control_plane.crash()?,
            Victim::Postgres => whole
                .postgres
                .as_mut()
                .context("there is no PostgreSQL")?
                .kill()?,
            Victim::Redis => whole.redis.as_mut().context("there is no Redis")?.kill()?,
        }
    }
    if victims
        .iter()
        .any(|victim| matches!(victim, Victim::Postgres | Victim::Redis))
    {
        sleep(Duration::from_millis(500)).await;
    }
    for victim in victims {
        match victim {
            Victim::Postgres => whole
                .postgres
                .as_mut()
                .context("there is no PostgreSQL")?
                .restart()?,
            Victim::Redis => whole.redis.as_mut().context("there is no Redis")?.restart()?,
            Victim::Proxy | Victim::ControlPlane => {}
        }
    }
    Ok(())
}

/// A token of Bob's that was good once: he logged out, that is in effect at the edge, and he has signed in again.
async fn revoked_token(whole: &Whole, cast: &mut Cast) -> Result<Secret> {
    let old = cast.bob.access.clone();
    let about = cast.at_proxy("/about").bearer(&old);
    until(&whole.http, &about, |answer| answer.status == 200).await?;
    whole.http.send(&cast.api.logout(&old)).await?.expect(200)?;
    until(&whole.http, &about, |answer| answer.status == 401).await?;
    let arrived = arrive(&whole.http, &cast.door, click(cast.bob.person)).await?;
    let token = cast.api.token(&arrived.code, &arrived.verifier, &cast.workspace);
    let answer = whole.http.send(&token).await?.expect(200)?;
    cast.bob.access = Secret::new("bob's second access token", answer.text("access_token")?);
    let about = cast.at_proxy("/about").bearer(&cast.bob.access);
    until(&whole.http, &about, |answer| answer.status == 200).await?;
    Ok(old)
}

async fn everything_written_is_there(whole: &Whole, cast: &Cast, written: &[String]) -> Result<()> {
    let (answer, _) = until(
        &whole.http,
        &cast.api.groups(&cast.alice.access, &cast.workspace),
        |answer| answer.status == 200,
    )
    .await?;
    let groups = answer.json()?;
    let ids: Vec<&str> = groups
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|group| group["id"].as_str())
        .collect();
    let lost: Vec<&String> = written.iter().filter(|id| !ids.contains(&id.as_str())).collect();
    ensure!(
        lost.is_empty(),
        "{} of {} acknowledged groups are gone: {lost:?}",
        lost.len(),
        written.len()
    );
    Ok(())
}

/// A share reaches the edge, and so does taking it back.
async fn changes_still_take_effect(whole: &Whole, cast: &Cast) -> Result<()> {
    let share = cast.api.share(
        &cast.key,
        &cast.alice.access,
        &cast.shared.permission,
        Grantee::Group(&cast.group),
    );
    until(&whole.http, &share, |answer| answer.status == 201).await?;
    let read = cast.read(&cast.shared, &cast.bob.access);
    until(&whole.http, &read, |answer| answer.status == 200).await?;
    let unshare = cast
        .api
        .unshare(&cast.key, &cast.shared.permission, Grantee::Group(&cast.group));
    whole.http.send(&unshare).await?.expect(200)?;
    until(&whole.http, &read, |answer| answer.status == 403).await?;
    Ok(())
}

/// Reads and writes that go on while something is killed.
struct Work {
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
    writes: Arc<AtomicU64>,
    maker: JoinHandle<Result<Vec<String>>>,
    watchers: Vec<JoinHandle<Result<()>>>,
}

impl Work {
    fn begin(http: &Http, cast: &Cast, revoked: &Secret) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (reads, writes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let maker = tokio::spawn(make_groups(
            http.clone(),
            cast.clone(),
            Arc::clone(&stop),
            Arc::clone(&writes),
        ));
        let watchers = vec![
            tokio::spawn(owner_reads(
                http.clone(),
                cast.clone(),
                Arc::clone(&stop),
                Arc::clone(&reads),
            )),
            tokio::spawn(intrude(
                http.clone(),
                cast.clone(),
                revoked.clone(),
                Arc::clone(&stop),
            )),
            tokio::spawn(share_and_take_back(http.clone(), cast.clone(), Arc::clone(&stop))),
        ];
        Self {
            stop,
            reads,
            writes,
            maker,
            watchers,
        }
    }

    /// Waits until this much more was done, reads as well as writes.
    async fn progress(&self) -> Result<()> {
        let (reads, writes) = (
            self.reads.load(Ordering::SeqCst),
            self.writes.load(Ordering::SeqCst),
        );
        for _ in 0..6_000 {
            let read = self.reads.load(Ordering::SeqCst) >= reads + READS;
            let written = self.writes.load(Ordering::SeqCst) >= writes + WRITES as u64;
            let broken = self.maker.is_finished() || self.watchers.iter().any(JoinHandle::is_finished);
            if (read && written) || broken {
                return Ok(());
            }
            sleep(Duration::from_millis(10)).await;
        }
        anyhow::bail!("reads or writes did not go on: the system has not recovered")
    }

    /// Ends the work; what was acknowledged comes back.
    async fn end(self) -> Result<Vec<String>> {
        self.stop.store(true, Ordering::SeqCst);
        for watcher in self.watchers {
            watcher.await??;
        }
        self.maker.await?
    }
}

/// Makes groups, and remembers those that were acknowledged.
async fn make_groups(
    http: Http,
    cast: Cast,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) -> Result<Vec<String>> {
    let mut acknowledged = Vec::new();
    for number in 0_u64.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let name = format!("group {} of {}", number, random_text());
        match http
            .send(&cast.api.create_group(&cast.alice.access, &cast.workspace, &name))
            .await
        {
            Ok(answer) if answer.status == 201 => {
                acknowledged.push(answer.text("id")?);
                done.fetch_add(1, Ordering::SeqCst);
            }
            // Whether it was stored nobody knows, and nobody was told.
            Ok(answer) => {
                ensure!(
                    answer.status >= 500,
                    "a write got {}: {}",
                    answer.status,
                    answer.body
                );
                sleep(Duration::from_millis(20)).await;
            }
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
    Ok(acknowledged)
}

/// The owner reads her document: it may fail for a while, but she is never told that she may not.
async fn owner_reads(http: Http, cast: Cast, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) -> Result<()> {
    while !stop.load(Ordering::SeqCst) {
        match http.send(&cast.read(&cast.private, &cast.alice.access)).await {
            Ok(answer) if answer.status == 200 => {
                done.fetch_add(1, Ordering::SeqCst);
            }
            Ok(answer) => ensure!(
                answer.status >= 500,
                "the owner got {}: {}",
                answer.status,
                answer.body
            ),
            Err(_) => sleep(Duration::from_millis(5)).await,
        }
    }
    Ok(())
}

/// Those who may not, try all the time. Not one may get through.
async fn intrude(http: Http, cast: Cast, revoked: Secret, stop: Arc<AtomicBool>) -> Result<()> {
    let forged = Secret::new("a forged token", format!("{}x", cast.alice.access.expose()));
    let tries: Vec<Ask> = vec![
        cast.read(&cast.private, &revoked),
        cast.read(&cast.shared, &revoked),
        cast.at_proxy("/about").bearer(&revoked),
        cast.read(&cast.private, &forged),
        cast.at_proxy(&format!("/documents/{}", cast.private.id)),
        Ask::post(format!("{}/internal/reindex", cast.urls.proxy)).bearer(&cast.alice.access),
    ];
    while !stop.load(Ordering::SeqCst) {
        for ask in &tries {
            match http.send(ask).await {
                Ok(answer) => ensure!(answer.status >= 400, "{ask} got through: {}", answer.body),
                Err(_) => sleep(Duration::from_millis(5)).await,
            }
        }
    }
    Ok(())
}

/// The owner shares a document with somebody outside and takes it back. From the moment at which taking it back was
/// acknowledged, whoever asks with that revision is never let through, whatever dies in between.
async fn share_and_take_back(http: Http, cast: Cast, stop: Arc<AtomicBool>) -> Result<()> {
    let grantee = Grantee::Group(&cast.group);
    let share = cast
        .api
        .share(&cast.key, &cast.alice.access, &cast.shared.permission, grantee);
    let unshare = cast.api.unshare(&cast.key, &cast.shared.permission, grantee);
    let check = cast.api.document(&cast.key, &cast.shared.id);
    while !stop.load(Ordering::SeqCst) {
        let shared = http.send(&share).await;
        let Ok(taken_back) = http.send(&unshare).await else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        if taken_back.status != 200 {
            // 404 is right if the share before it was not acknowledged.
            let was_shared = shared.is_ok_and(|answer| answer.status == 201);
            ensure!(
                taken_back.status >= 500 || (taken_back.status == 404 && !was_shared),
                "taking back got {}: {}",
                taken_back.status,
                taken_back.body
            );
            sleep(Duration::from_millis(20)).await;
            continue;
        }
        let revision = taken_back
            .header("x-sentinel-revision")
            .context("a write without a revision")?;
        let read = cast
            .read(&cast.shared, &cast.bob.access)
            .header("X-Sentinel-Revision", revision);
        if let Ok(answer) = http.send(&read).await {
            ensure!(
                answer.status >= 400,
                "a read after taking back got {}",
                answer.status
            );
        }
        // What was acknowledged as taken back is not in the database either.
        if let Ok(answer) = http.send(&check).await
            && answer.status == 200
        {
            let left = answer.json()?["shares"].as_array().map(Vec::len);
            ensure!(left == Some(0), "the share is still there: {}", answer.body);
        }
    }
    Ok(())
}

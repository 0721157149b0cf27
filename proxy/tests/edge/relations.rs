//! Relations of services' own models at the edge: who passes, what a hostile path gets, models that change under load, and
//! what the edge does where its replica does not go.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::{Change, Fact, Revision};
use sentinel_feed::{Answer, Answers, Ask, AskError, Extent, Interest, Question, ReplicaState, Verdict};
use sentinel_proxy::edge::UNDISPUTED;

use crate::harness::{Answer as Reply, Client, World, bearer, get, let_pass};
use crate::testing::{
    EDDA, FOLDERS, NEMO, NOW, OLGA, OTHER, VERA, at, folders, id, model, relation, revision, state, token,
    token_of, tuple,
};

const ROUTES: &str = r#"
routes:
  - { match: "GET a.example/folders/{folder_id}", to: docs, require: { permission: "folder:{folder_id}#can_read" } }
  - { match: "GET a.example/stream", to: docs, require: { permission: "docs/folder:7#can_read" } }
  - { match: "GET a.example/documents/{id}", to: docs, require: { permission: "docs/document/{id}#view" } }
  - { match: "GET a.example/reports", to: docs, require: { action: "docs/reports:export" } }
  - { match: "GET a.example/members", to: docs, require: { role: viewer } }
  - { match: "GET a.example/watched", to: docs, mode: shadow, require: { permission: "docs/folder:7#can_read" } }
"#;

async fn world() -> World {
    World::asking(ROUTES, state(folders()), None).await
}

fn of(user: u128) -> String {
    bearer(&token_of(user))
}

fn in_other(user: u128) -> String {
    bearer(&token(user, |claims| {
        claims["wid"] = uuid::Uuid::from_u128(OTHER).to_string().into();
    }))
}

async fn operator(world: &World, path: &str) -> Reply {
    let mut client = Client::connect(world.running.admin()).await;
    client
        .write(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())
        .await;
    client.read_answer().await
}

#[tokio::test]
async fn whoever_is_related_passes_in_his_workspace() {
    let world = world().await;
    for (path, line, status, code) in [
        ("/folders/7", of(VERA), 200, ""),
        ("/folders/7", of(OLGA), 200, ""),
        ("/folders/7", of(EDDA), 403, "permission_denied"),
        ("/folders/7", of(NEMO), 403, "role_denied"),
        ("/folders/7", in_other(OLGA), 403, "permission_denied"),
        ("/folders/7", in_other(VERA), 403, "role_denied"),
        ("/folders/9", in_other(OLGA), 200, ""),
        ("/folders/9", of(OLGA), 403, "permission_denied"),
        ("/folders/9", of(VERA), 403, "permission_denied"),
    ] {
        let before = world.service.requests().len();
        assert_eq!(
            world.get(path, &[&line]).await.word(),
            (status, code.to_owned()),
            "{path}"
        );
        assert_eq!(
            world.service.requests().len() - before,
            usize::from(status == 200),
            "{path}"
        );
    }
    assert_eq!(
        world.get("/folders/7", &[]).await.word(),
        (401, "credential_missing".to_owned())
    );
}

#[tokio::test]
async fn an_id_is_a_value_and_never_a_text_that_is_put_together() {
    let world = world().await;
    let long = "7".repeat(1025);
    for path in [
        "/folders/7%23viewer",
        "/folders/7#viewer",
        "/folders/7:x",
        "/folders/7%3Ax",
        "/folders/*",
        "/folders/%2A",
        "/folders/7%2F..%2F7",
        "/folders/docs%2Ffolder:7",
        "/folders/docs/folder:7",
        "/folders/7%25",
        "/folders/%",
        "/folders/7@user:x",
        "/folders/7%00",
        "/folders/7%20",
        "/folders/%EF%BC%97",
        "/folders/7?x=%23",
        &format!("/folders/{long}"),
        &format!("/folders/{}", "%C3%A9".repeat(600)),
        "/folders/",
    ] {
        let answer = world.get(path, &[&of(VERA)]).await;
        let is_known = path.starts_with("/folders/7?");
        if is_known {
            assert_eq!(answer.status, 200, "the query is no part of the id");
        } else {
            assert!(
                matches!(answer.status, 400 | 403 | 404 | 431),
                "{path}: {}",
                answer.status
            );
        }
    }
    assert_eq!(world.service.requests().len(), 1);
}

#[tokio::test]
async fn a_tuple_ends_at_its_time_though_nobody_says_so() {
    let mut facts = folders();
    facts.push(Fact::ExpiringTuple {
        tuple: relation("docs/folder:7#viewer@user:<12>"),
        until: at(NOW + 60),
    });
    let world = World::asking(ROUTES, state(facts), None).await;
    let edda = of(EDDA);
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(world.get("/folders/7", &[&edda]).await.status, 200);
    let mut stream = Client::connect(world.running.http()).await;
    stream.write(get("/stream", &[&edda]).as_bytes()).await;
    world.service.wait_for_heads(2).await;
    assert_eq!(stream.read_answer().await.status, 200);
    world.service.say("one");
    stream.read_until(b"one\r\n").await;

    world.clock.advance(Duration::from_secs(1));
    let denied = (403, "permission_denied".to_owned());
    assert_eq!(world.get("/folders/7", &[&edda]).await.word(), denied);
    let_pass(2 * UNDISPUTED).await;
    world.service.say("secret");
    assert!(stream.is_closed().await, "what is open ends with it");
}

#[tokio::test]
async fn a_model_that_loses_the_relation_closes_its_routes_until_it_has_it_again() {
    let world = world().await;
    let vera = of(VERA);
    assert_eq!(world.get("/folders/7", &[&vera]).await.status, 200);

    let renamed = model(&FOLDERS.replace("can_read", "can_see"));
    world
        .replica
        .advance(revision(11), vec![Change::Put(renamed)])
        .expect("applies");
    let mismatch = (503, "model_mismatch".to_owned());
    let answer = world.get("/folders/7", &[&vera]).await;
    assert_eq!(answer.word(), mismatch);
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(
        world.get("/members", &[&vera]).await.status,
        200,
        "other routes go on"
    );
    let ready = operator(&world, "/readyz").await;
    let document: serde_json::Value = serde_json::from_str(&ready.body).expect("JSON");
    assert_eq!(ready.status, 200);
    assert_eq!(
        document["model_mismatches"][0]["route"],
        "GET a.example/folders/{folder_id}"
    );
    assert_eq!(
        document["model_mismatches"][0]["relation"],
        "docs/folder:{folder_id}#can_read"
    );
    let metrics = operator(&world, "/metrics").await.body;
    assert!(
        metrics.contains("sentinel_edge_model_mismatches 3\n"),
        "{metrics}"
    );

    let fits = vec![Change::Put(model(FOLDERS))];
    world.replica.advance(revision(12), fits).expect("applies");
    assert_eq!(world.get("/folders/7", &[&vera]).await.status, 200);
    let metrics = operator(&world, "/metrics").await.body;
    assert!(
        metrics.contains("sentinel_edge_model_mismatches 0\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_model_that_is_taken_away_under_load_never_leaves_a_stale_yes() {
    let world = Arc::new(world().await);
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                let mut client = Client::connect(world.running.http()).await;
                let mut seen = Vec::new();
                while seen.last() != Some(&503) {
                    client.write(get("/folders/7", &[&of(VERA)]).as_bytes()).await;
                    seen.push(client.read_answer().await.status);
                }
                seen
            })
        })
        .collect();
    world.service.wait_for_heads(50).await;
    let gone: Vec<Change> = folders()
        .into_iter()
        .filter(|fact| matches!(fact, Fact::Model(_)) || fact.to_string().starts_with("tuple docs/folder"))
        .map(Change::Delete)
        .collect();
    world.replica.advance(revision(11), gone).expect("applies");
    let after = world.get("/folders/7", &[&of(VERA)]).await;
    assert_eq!(after.word(), (503, "model_mismatch".to_owned()));
    for client in clients {
        let seen = client.await.expect("no panic");
        assert!(seen.iter().all(|status| matches!(status, 200 | 503)), "{seen:?}");
    }
}

#[tokio::test]
async fn a_newer_revision_is_waited_for_before_relations_are_read() {
    let world = world().await;
    let edda = of(EDDA);
    let newer = format!("X-Sentinel-Revision: {}", revision(11));
    assert_eq!(
        world.get("/folders/7", &[&edda, &newer]).await.word(),
        (503, "revision_not_reached".to_owned())
    );
    let minted = bearer(&token(EDDA, |claims| {
        claims["rev"] = revision(11).to_string().into();
    }));
    assert_eq!(
        world.get("/folders/7", &[&minted]).await.word(),
        (503, "revision_not_reached".to_owned())
    );
    let replica = world.replica.clone();
    let arriving = tokio::spawn(async move {
        let shared = vec![Change::Put(tuple("docs/folder:7#viewer@user:<12>"))];
        replica.advance(revision(11), shared).map(drop)
    });
    assert_eq!(world.get("/folders/7", &[&edda, &newer]).await.status, 200);
    arriving.await.expect("no panic").expect("applies");
}

/// What somebody says who is asked.
enum Says {
    Truth,
    /// What was true before.
    Past,
    Half,
    YesToStrangers,
    Nothing,
    NoConnection,
}

/// Somebody who knows everything, and may not say so.
struct ControlPlane {
    knows: Mutex<ReplicaState>,
    says: Mutex<Says>,
    asked: AtomicUsize,
    answered: AtomicUsize,
    at_least: Mutex<Revision>,
}

impl ControlPlane {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            knows: Mutex::new(state(folders())),
            says: Mutex::new(Says::Truth),
            asked: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            at_least: Mutex::new(Revision::ZERO),
        })
    }

    fn say(&self, says: Says) {
        *self.says.lock().expect("lock") = says;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Ask for ControlPlane {
    async fn ask(
        &self,
        questions: &[Question],
        at_least: Revision,
        _: Duration,
    ) -> Result<Answers, AskError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        *self.at_least.lock().expect("lock") = at_least;
        let (answers, is_silent) = {
            let knows = self.knows.lock().expect("lock");
            let answer = |question: &Question| question.answered_by(&knows, at(NOW));
            let answers = Answers {
                answers: questions.iter().map(answer).collect(),
                revision: knows.revision(),
                age: Duration::ZERO,
            };
            let says_nothing = match &*self.says.lock().expect("lock") {
                Says::Truth => false,
                Says::Past => {
                    return Ok(Answers {
                        revision: revision(9),
                        ..answers
                    });
                }
                Says::Half => {
                    return Ok(Answers {
                        answers: Vec::new(),
                        ..answers
                    });
                }
                Says::YesToStrangers => {
                    let yes = Answer {
                        verdict: Verdict::Yes,
                        role: None,
                    };
                    return Ok(Answers {
                        answers: vec![yes; questions.len()],
                        ..answers
                    });
                }
                Says::NoConnection => return Err(AskError::NotConnected),
                Says::Nothing => true,
            };
            (answers, says_nothing)
        };
        if is_silent {
            std::future::pending::<()>().await;
        }
        self.answered.fetch_add(1, Ordering::SeqCst);
        Ok(answers)
    }
}

/// A state that has nothing of `docs`, or nothing of `ACME`.
fn without_docs() -> ReplicaState {
    let wiki = BTreeSet::from(["wiki".parse().expect("a name")]);
    state(folders()).of_interest(Interest::new(Extent::Of(wiki), Extent::All))
}

fn without_acme() -> ReplicaState {
    let other = BTreeSet::from([id(OTHER)]);
    state(folders()).of_interest(Interest::new(Extent::All, Extent::Of(other)))
}

fn asking() -> String {
    format!("replicate: {{ fallback: control_plane, budget: 1s }}\n{ROUTES}")
}

#[tokio::test]
async fn what_is_not_kept_is_503_where_nobody_is_asked() {
    for (part, role) in [(without_docs(), 200), (without_acme(), 503)] {
        // Somebody could be asked, and the configuration does not say so.
        let asks: Arc<dyn Ask> = ControlPlane::new();
        let world = World::asking(ROUTES, part, Some(asks)).await;
        for path in ["/folders/7", "/documents/7", "/reports"] {
            let answer = world.get(path, &[&of(VERA)]).await;
            assert_eq!(answer.word(), (503, "replica_incomplete".to_owned()), "{path}");
            assert_eq!(answer.header("retry-after"), Some("1"));
        }
        assert_eq!(world.get("/members", &[&of(VERA)]).await.status, role);
        assert_eq!(world.get("/watched", &[&of(VERA)]).await.status, 200, "on trial");
    }
}

#[tokio::test]
async fn the_control_plane_is_asked_and_decides() {
    for part in [without_docs(), without_acme()] {
        let control_plane = ControlPlane::new();
        let world = World::asking(&asking(), part, Some(control_plane.clone())).await;
        for (path, user, status) in [
            ("/folders/7", VERA, 200),
            ("/folders/7", EDDA, 403),
            ("/folders/9", VERA, 403),
            ("/folders/7", NEMO, 403),
            ("/reports", EDDA, 200),
            ("/reports", VERA, 403),
            ("/members", VERA, 200),
            ("/members", NEMO, 403),
        ] {
            let before = world.service.requests().len();
            assert_eq!(
                world.get(path, &[&of(user)]).await.status,
                status,
                "{path} {user}"
            );
            assert_eq!(
                world.service.requests().len() - before,
                usize::from(status == 200)
            );
        }
        let newest = world
            .service
            .requests()
            .pop()
            .expect("forwarded")
            .to_ascii_lowercase();
        assert!(
            newest.contains("x-sentinel-workspace-role: viewer\r\n"),
            "{newest}"
        );
        let answered = format!(
            "sentinel_edge_asked_total{{outcome=\"answered\"}} {}\n",
            control_plane.asked()
        );
        let metrics = operator(&world, "/metrics").await.body;
        assert!(metrics.contains(&answered), "{metrics}");
        assert_eq!(*control_plane.at_least.lock().expect("lock"), revision(10));
    }
}

#[tokio::test]
async fn nothing_is_asked_that_is_known_and_nothing_is_remembered() {
    let control_plane = ControlPlane::new();
    let world = World::asking(&asking(), without_docs(), Some(control_plane.clone())).await;
    for (path, line, asked) in [
        ("/members", of(VERA), 0),
        ("/folders/7", of(NEMO), 0),
        ("/folders/*", of(VERA), 0),
        ("/folders/7", "X-Nothing: here".to_owned(), 0),
        ("/nowhere", of(VERA), 0),
        ("/folders/7", of(VERA), 1),
        ("/folders/7", of(VERA), 2),
        ("/folders/7", of(EDDA), 3),
        ("/folders/7", of(EDDA), 4),
    ] {
        world.get(path, &[&line]).await;
        assert_eq!(control_plane.asked(), asked, "{path}");
    }
    let knows = control_plane.knows.lock().expect("lock").clone();
    let (shared, _) = knows
        .advance(
            revision(11),
            vec![Change::Put(tuple("docs/folder:7#viewer@user:<12>"))],
        )
        .expect("applies");
    *control_plane.knows.lock().expect("lock") = shared;
    assert_eq!(world.get("/folders/7", &[&of(EDDA)]).await.status, 200, "at once");
}

#[tokio::test]
async fn a_control_plane_that_is_dead_slow_or_lying_opens_nothing() {
    for part in [without_docs(), without_acme()] {
        let control_plane = ControlPlane::new();
        let policy = asking().replace("budget: 1s", "budget: 1ms");
        let world = World::asking(&policy, part, Some(control_plane.clone())).await;
        for (says, code) in [
            (Says::NoConnection, "replica_incomplete"),
            (Says::Nothing, "replica_incomplete"),
            (Says::Half, "replica_incomplete"),
            (Says::Past, "revision_not_reached"),
        ] {
            control_plane.say(says);
            let answer = world.get("/folders/7", &[&of(VERA)]).await;
            assert_eq!(answer.word(), (503, code.to_owned()));
        }
        assert!(world.service.requests().is_empty());
        let metrics = operator(&world, "/metrics").await.body;
        for outcome in ["not_connected", "late", "forged", "behind"] {
            let line = format!("sentinel_edge_asked_total{{outcome=\"{outcome}\"}} 1\n");
            assert!(metrics.contains(&line), "{line}\n{metrics}");
        }
    }
    // A yes for somebody who is no member is a no.
    let control_plane = ControlPlane::new();
    control_plane.say(Says::YesToStrangers);
    let world = World::asking(&asking(), without_acme(), Some(control_plane)).await;
    assert_eq!(
        world.get("/folders/7", &[&of(VERA)]).await.word(),
        (403, "role_denied".to_owned())
    );
}

#[tokio::test]
async fn what_the_control_plane_decided_goes_on_while_it_says_so() {
    let control_plane = ControlPlane::new();
    let world = World::asking(&asking(), without_docs(), Some(control_plane.clone())).await;
    let mut stream = Client::connect(world.running.http()).await;
    stream.write(get("/stream", &[&of(VERA)]).as_bytes()).await;
    world.service.wait_for_heads(1).await;
    assert_eq!(stream.read_answer().await.status, 200);
    assert_eq!(control_plane.asked(), 1);
    control_plane.say(Says::NoConnection);
    let_pass(2 * UNDISPUTED).await;
    for word in ["one", "two"] {
        world.service.say(word);
        stream.read_until(format!("{word}\r\n").as_bytes()).await;
    }
    control_plane.say(Says::Truth);
    let left: Vec<Change> = vec![Change::Delete(tuple("docs/folder:1#viewer@user:<13>"))];
    let knows = control_plane.knows.lock().expect("lock").clone();
    let (after, _) = knows.advance(revision(11), left).expect("applies");
    *control_plane.knows.lock().expect("lock") = after;
    // Each word is judged by what was said to the question of the one before.
    let mut words = 0;
    loop {
        let_pass(2 * UNDISPUTED).await;
        let asked = control_plane.asked();
        world.service.say("more");
        if stream.is_closed().await {
            break;
        }
        stream.read_until(b"more\r\n").await;
        words += 1;
        assert!(words < 8, "asked {asked} times, and nobody listened");
    }
}

#[tokio::test]
async fn a_yes_that_nobody_listened_to_grows_old() {
    let control_plane = ControlPlane::new();
    let policy = format!("max_staleness: 5s\n{}", asking());
    let world = World::asking(&policy, without_docs(), Some(control_plane.clone())).await;
    let mut stream = Client::connect(world.running.http()).await;
    stream.write(get("/stream", &[&of(VERA)]).as_bytes()).await;
    world.service.wait_for_heads(1).await;
    assert_eq!(stream.read_answer().await.status, 200);
    let_pass(2 * UNDISPUTED).await;
    world.service.say("one");
    stream.read_until(b"one\r\n").await;
    while control_plane.answered() < 2 {
        tokio::task::yield_now().await;
    }
    // Nothing flows for longer than the route lets the edge decide out of touch; the edge itself is in touch.
    let_pass(Duration::from_secs(10)).await;
    world.replica.touch();
    world.service.say("secret");
    assert!(stream.is_closed().await, "the yes is too old");
    let metrics = operator(&world, "/metrics").await.body;
    let cut = "reason=\"replica_incomplete\"";
    assert!(metrics.contains(cut), "{metrics}");
}

#[tokio::test]
async fn who_has_no_requests_left_makes_the_edge_ask_nobody() {
    let limited = |route: &str| {
        route
            .replace(
                "require: { permission: \"folder:",
                "rate_limit: { per: principal, requests: 2 }, require: { permission: \"folder:",
            )
            .replace(
                "mode: shadow,",
                "mode: shadow, rate_limit: { per: principal, requests: 1 },",
            )
    };
    let control_plane = ControlPlane::new();
    let world = World::asking(&limited(&asking()), without_docs(), Some(control_plane.clone())).await;
    let limit = || (429, "rate_limited".to_owned());
    for (path, user, word, asked) in [
        ("/folders/7", VERA, (200, String::new()), 1),
        ("/folders/7", VERA, (200, String::new()), 2),
        ("/folders/7", VERA, limit(), 2),
        // A no of the control plane has cost one as well.
        ("/folders/7", EDDA, (403, "permission_denied".to_owned()), 3),
        ("/folders/7", EDDA, (403, "permission_denied".to_owned()), 4),
        ("/folders/7", EDDA, limit(), 4),
        ("/watched", EDDA, (200, String::new()), 5),
        ("/watched", EDDA, limit(), 5),
    ] {
        assert_eq!(world.get(path, &[&of(user)]).await.word(), word, "{path} {user}");
        assert_eq!(control_plane.asked(), asked, "{path} {user}");
    }
}

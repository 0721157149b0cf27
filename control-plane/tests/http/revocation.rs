//! Who revokes what: every event that takes something away, and every kind of token, here and at an edge. Each is tried on
//! people, workspaces and apps of its own, so that what must go on is seen to go on.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, RequestBuilder};
use secrecy::ExposeSecret;
use sentinel_access::members::Authority;
use sentinel_core::WorkspaceRole;
use sentinel_core::WorkspaceRole::{Editor, Viewer};
use sentinel_core::id::{ClientAppId, GroupId, ServiceAppId, SessionId, UserId, WorkspaceId};
use sentinel_feed::Replica;
use sentinel_identity::{Context, Grant};
use sentinel_store::on_both_backends;
use serde_json::{Value, json};

use crate::answer::{Answer, send};
use crate::common::{As, Pair, TestApp};

/// Who a session is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// The one whom it happens to: an editor of `Acme`, and the owner of `Home`.
    Victim,
    /// A member of both, who has nothing to do with it.
    Bystander,
}
use Who::{Bystander, Victim};

/// Where a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The workspace in which it happens.
    Acme,
    /// Another one.
    Home,
}
use Place::{Acme, Home};

/// Through which app a session was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Through {
    /// The client app to which it happens.
    Spa,
    /// Another client app.
    Mobile,
    /// The service app to which it happens.
    Docs,
    /// Another service app.
    Wiki,
}
use Through::{Docs, Mobile, Spa, Wiki};

/// A session, and how it is told from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Label(Who, Place, Through);

/// The sessions of each try.
const LABELS: [Label; 10] = [
    Label(Victim, Acme, Spa),
    Label(Victim, Acme, Mobile),
    Label(Victim, Acme, Docs),
    Label(Victim, Acme, Wiki),
    Label(Victim, Home, Spa),
    Label(Victim, Home, Docs),
    Label(Bystander, Acme, Spa),
    Label(Bystander, Acme, Docs),
    Label(Bystander, Home, Mobile),
    Label(Bystander, Home, Wiki),
];

/// What a session's owner has in hand.
enum Tokens {
    Pair(Pair),
    Authz(String),
}

struct Session {
    label: Label,
    id: SessionId,
    tokens: Tokens,
}

/// The people, workspaces and apps of one try.
struct Try {
    victim: UserId,
    owner: Pair,
    acme: WorkspaceId,
    home: WorkspaceId,
    group: GroupId,
    spa: ClientAppId,
    docs: ServiceAppId,
    sessions: Vec<Session>,
}

/// An event by its request, and the sessions that it ends.
struct Event {
    name: &'static str,
    request: fn(&Stage, &Try) -> RequestBuilder,
    ends: fn(Label) -> bool,
}

const fn event(
    name: &'static str,
    request: fn(&Stage, &Try) -> RequestBuilder,
    ends: fn(Label) -> bool,
) -> Event {
    Event { name, request, ends }
}

fn his(Label(who, ..): Label) -> bool {
    who == Victim
}

fn his_in_acme(Label(who, place, _): Label) -> bool {
    (who, place) == (Victim, Acme)
}

fn in_acme(Label(_, place, _): Label) -> bool {
    place == Acme
}

fn through_spa(Label(.., through): Label) -> bool {
    through == Spa
}

fn through_docs(Label(.., through): Label) -> bool {
    through == Docs
}

fn none(_: Label) -> bool {
    false
}

const EVENTS: &[Event] = &[
    event(
        "he signs out",
        |on, t| on.app.post("/auth/logout").bearer(t.pair(Spa)),
        his,
    ),
    event(
        "an administrator revokes his tokens",
        |on, t| on.by_admin(Method::POST, &format!("/admin/users/{}/revoke-tokens", t.victim)),
        his,
    ),
    event(
        "he is deactivated",
        |on, t| on.change_user(t.victim, &json!({ "is_active": false })),
        his,
    ),
    event(
        "he is deactivated among others",
        |on, t| {
            on.by_admin(Method::POST, "/admin/users/bulk-status")
                .json(&json!({ "user_ids": [t.victim], "is_active": false }))
        },
        his,
    ),
    event(
        "he is demoted",
        |on, t| on.change_user(t.victim, &json!({ "is_admin": false })),
        his,
    ),
    event(
        "he gets a lesser role",
        |on, t| {
            on.by_owner(t, Method::PATCH, &t.member())
                .json(&json!({ "role": "viewer" }))
        },
        his_in_acme,
    ),
    event(
        "he gets a greater role",
        |on, t| {
            on.by_owner(t, Method::PATCH, &t.member())
                .json(&json!({ "role": "admin" }))
        },
        his_in_acme,
    ),
    event(
        "an administrator changes his role",
        |on, t| {
            on.by_admin(Method::PATCH, &format!("/admin{}", t.member()))
                .json(&json!({ "role": "viewer" }))
        },
        his_in_acme,
    ),
    event(
        "he is removed",
        |on, t| on.by_owner(t, Method::DELETE, &t.member()),
        his_in_acme,
    ),
    event(
        "an administrator removes him",
        |on, t| on.by_admin(Method::DELETE, &format!("/admin{}", t.member())),
        his_in_acme,
    ),
    event(
        "he is taken out of a group",
        |on, t| on.by_owner(t, Method::DELETE, &t.in_group()),
        his_in_acme,
    ),
    event(
        "an administrator takes him out of a group",
        |on, t| {
            on.by_admin(
                Method::DELETE,
                &format!("/admin/groups/{}/members/{}", t.group, t.victim),
            )
        },
        his_in_acme,
    ),
    event(
        "his group is deleted",
        |on, t| {
            on.by_owner(
                t,
                Method::DELETE,
                &format!("/workspaces/{}/groups/{}", t.acme, t.group),
            )
        },
        his_in_acme,
    ),
    event(
        "an administrator deletes his group",
        |on, t| on.by_admin(Method::DELETE, &format!("/admin/groups/{}", t.group)),
        his_in_acme,
    ),
    event(
        "the workspace is deleted",
        |on, t| on.by_owner(t, Method::DELETE, &format!("/workspaces/{}", t.acme)),
        in_acme,
    ),
    event(
        "an administrator deletes the workspace",
        |on, t| on.by_admin(Method::DELETE, &format!("/admin/workspaces/{}", t.acme)),
        in_acme,
    ),
    event(
        "the client app is disabled with its sessions",
        |on, t| on.change_client(t, &json!({ "is_active": false, "revoke_sessions": true })),
        through_spa,
    ),
    event(
        "the client app is deleted",
        |on, t| on.by_admin(Method::DELETE, &format!("/admin/client-apps/{}", t.spa)),
        through_spa,
    ),
    event(
        "the service app is disabled",
        |on, t| on.change_service(t, &json!({ "is_active": false })),
        through_docs,
    ),
    event(
        "the service app is deleted",
        |on, t| on.by_admin(Method::DELETE, &format!("/admin/service-apps/{}", t.docs)),
        through_docs,
    ),
    // And what ends nothing.
    event(
        "he gets the role that he has",
        |on, t| {
            on.by_owner(t, Method::PATCH, &t.member())
                .json(&json!({ "role": "editor" }))
        },
        none,
    ),
    event(
        "the client app is disabled",
        |on, t| on.change_client(t, &json!({ "is_active": false })),
        none,
    ),
    event(
        "the service app is renamed",
        |on, t| on.change_service(t, &json!({ "name": "Papers" })),
        none,
    ),
    event(
        "he becomes an administrator",
        |on, t| on.change_user(t.victim, &json!({ "is_admin": true })),
        none,
    ),
    event(
        "he is activated, which he was",
        |on, t| on.change_user(t.victim, &json!({ "is_active": true })),
        none,
    ),
];

impl Try {
    fn pair(&self, through: Through) -> &Pair {
        let found = self
            .sessions
            .iter()
            .find(|session| session.label == Label(Victim, Acme, through));
        match found.map(|session| &session.tokens) {
            Some(Tokens::Pair(pair)) => pair,
            _ => panic!("no session with a pair through {through:?}"),
        }
    }

    fn member(&self) -> String {
        format!("/workspaces/{}/members/{}", self.acme, self.victim)
    }

    fn in_group(&self) -> String {
        format!(
            "/workspaces/{}/groups/{}/members/{}",
            self.acme, self.group, self.victim
        )
    }
}

/// A control plane with an edge that follows it, and its administrator.
struct Stage {
    app: TestApp,
    cookie: String,
    edge: Replica,
    _state: tempfile::TempDir,
    following: tokio::task::JoinHandle<()>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.following.abort();
    }
}

impl Stage {
    async fn set(app: TestApp) -> Self {
        let (_, key) = app.enrol("edge").await;
        let state = tempfile::tempdir().expect("directory");
        let edge = Replica::new();
        let follower = app.follower(key, state.path());
        let replica = edge.clone();
        let following = tokio::spawn(async move {
            follower.run(replica, std::future::pending()).await;
        });
        let (_, cookie) = app.admin("root@example.com").await;
        Self {
            app,
            cookie,
            edge,
            _state: state,
            following,
        }
    }

    fn by_admin(&self, method: Method, path: &str) -> RequestBuilder {
        self.app.request(method, path).admin(&self.cookie)
    }

    fn by_owner(&self, of: &Try, method: Method, path: &str) -> RequestBuilder {
        self.app.request(method, path).bearer(&of.owner)
    }

    fn change_user(&self, user: UserId, change: &Value) -> RequestBuilder {
        self.by_admin(Method::PATCH, &format!("/admin/users/{user}"))
            .json(change)
    }

    fn change_client(&self, of: &Try, change: &Value) -> RequestBuilder {
        self.by_admin(Method::PATCH, &format!("/admin/client-apps/{}", of.spa))
            .json(change)
    }

    fn change_service(&self, of: &Try, change: &Value) -> RequestBuilder {
        self.by_admin(Method::PATCH, &format!("/admin/service-apps/{}", of.docs))
            .json(change)
    }

    /// People, workspaces and apps that no other try has, and a session for each label.
    async fn prepare(&self, number: usize) -> Try {
        let app = &self.app;
        let name = |what: &str| format!("{what}-{number}");
        let email = |who: &str| format!("{who}-{number}@example.com");
        let (_, acme, owner) = app.owner(&email("owner"), &name("acme")).await;
        let victim = app.user(&email("victim")).await.id;
        let bystander = app.user(&email("bystander")).await.id;
        app.member(acme, &email("victim"), Editor).await;
        app.member(acme, &email("bystander"), Viewer).await;
        let home = app.workspace(victim, &name("home")).await;
        app.member(home, &email("bystander"), Viewer).await;
        let group = self.group(acme, victim).await;
        let uri = format!("https://spa-{number}.example.com/cb");
        let (spa, mobile) = (
            app.client_app(&name("spa"), &[&uri]).await,
            app.client_app(&name("mobile"), &[&uri]).await,
        );
        let (docs, _) = app.service(&name("docs")).await;
        let (wiki, _) = app.service(&name("wiki")).await;
        let mut sessions = Vec::new();
        for label in LABELS {
            let Label(who, place, through) = label;
            let grant = Grant {
                user: if who == Victim { victim } else { bystander },
                workspace: Some(if place == Acme { acme } else { home }),
                client_app: match through {
                    Spa => Some(spa),
                    Mobile => Some(mobile),
                    Docs | Wiki => None,
                },
                arrived_at: app.app.now(),
                service_app: match through {
                    Docs => Some(docs),
                    Wiki => Some(wiki),
                    Spa | Mobile => None,
                },
                provider: "demo".into(),
                auth_time: app.app.now(),
                amr: vec!["pwd".into()],
                context: Context::default(),
            };
            sessions.push(self.begin(label, &grant, number).await);
        }
        app.settle().await;
        Try {
            victim,
            owner,
            acme,
            home,
            group,
            spa,
            docs,
            sessions,
        }
    }

    async fn group(&self, workspace: WorkspaceId, member: UserId) -> GroupId {
        let by = Authority::of_administrator(workspace, None);
        let groups = &self.app.app.access().groups;
        let mut tx = self.app.app.database().write().await.expect("tx");
        let group = groups
            .create(&mut tx, &by, "eng".parse().expect("name"), None)
            .await
            .expect("group");
        groups
            .add_member(&mut tx, &by, group.id, member)
            .await
            .expect("member");
        tx.commit().await.expect("commit");
        group.id
    }

    async fn begin(&self, label: Label, grant: &Grant, number: usize) -> Session {
        let sessions = &self.app.app.sessions;
        if grant.service_app.is_none() {
            let pair = sessions.start(grant).await.expect("session");
            let pair = Pair {
                access: pair.access_token.expose_secret().to_owned(),
                refresh: pair.refresh_token.expose_secret().to_owned(),
            };
            let id = session_of(&pair.access);
            let tokens = Tokens::Pair(pair);
            return Session { label, id, tokens };
        }
        let service = if label.2 == Docs { "docs" } else { "wiki" };
        let service = format!("{service}-{number}").parse().expect("service");
        let mut tx = self.app.app.database().begin().await.expect("tx");
        let minted = sessions
            .mint_authz(&mut tx, grant, &service, "subject-1", Vec::new())
            .await
            .expect("minted");
        tx.commit().await.expect("commit");
        let token = minted.token.expose_secret().to_owned();
        Session {
            label,
            id: session_of(&token),
            tokens: Tokens::Authz(token),
        }
    }

    /// Waits until the control plane and the edge know everything there is.
    async fn settle(&self) {
        self.app.settle().await;
        let head = self.app.app.database().head().await.expect("head");
        let told = self.edge.wait_for(head, Duration::from_secs(10)).await;
        assert!(told, "the edge is told");
    }

    /// Whether a session is alive by all that there is to ask: its access token or authz token here, its refresh token,
    /// and the edge. A refresh token that is good is replaced by the next.
    async fn is_alive(&self, session: &mut Session, during: &dyn fmt::Display) -> bool {
        let me = self.app.get("/users/me");
        let me = match &session.tokens {
            Tokens::Pair(pair) => me.bearer(pair),
            // `Authorization` has the provider's own token then, which nobody looks at here.
            Tokens::Authz(token) => me.header("x-authz-token", token).bearer_auth("of the provider"),
        };
        let answer = send(me).await;
        let is_alive = match answer.problem() {
            (200, _) => true,
            (401, "Token has been revoked") => false,
            _ => panic!("{during}, {:?}: {answer:?}", session.label),
        };
        if let Tokens::Pair(pair) = &mut session.tokens {
            let asked = json!({ "refresh_token": pair.refresh });
            let refreshed = send(self.app.post("/auth/refresh").json(&asked)).await;
            let expected = if is_alive { 200 } else { 401 };
            assert_eq!(
                refreshed.status, expected,
                "{during}, {:?}: {refreshed:?}",
                session.label
            );
            if is_alive {
                *pair = Pair {
                    access: refreshed.text("access_token").to_owned(),
                    refresh: refreshed.text("refresh_token").to_owned(),
                };
            }
        }
        for (whose, replica) in [("here", self.app.app.replica()), ("at the edge", &self.edge)] {
            let is_revoked = replica.load().is_session_revoked(session.id);
            assert_eq!(is_revoked, !is_alive, "{during}, {:?} {whose}", session.label);
        }
        is_alive
    }

    /// Checks every session of a try, by the edge's and the own replica as they are now.
    async fn expect(&self, of: &mut Try, during: &str, is_alive: impl Fn(Label) -> bool) {
        for session in &mut of.sessions {
            let (label, expected) = (session.label, is_alive(session.label));
            assert_eq!(
                self.is_alive(session, &during).await,
                expected,
                "{during}: {label:?}"
            );
        }
    }
}

/// The session in a token's claims.
fn session_of(token: &str) -> SessionId {
    let payload = token.split('.').nth(1).expect("payload");
    let claims = URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    let claims: Value = serde_json::from_slice(&claims).expect("json");
    claims["sid"].as_str().expect("sid").parse().expect("id")
}

/// Waits at the edge for the revision that an answer names.
async fn told(stage: &Stage, name: &str, answer: &Answer) {
    let revision = answer
        .revision
        .as_deref()
        .unwrap_or_else(|| panic!("{name}: the answer names a revision"))
        .parse()
        .expect("revision");
    let told = stage.edge.wait_for(revision, Duration::from_secs(10)).await;
    assert!(told, "{name}: the edge is told");
}

on_both_backends! {
    async fn every_event_ends_the_sessions_that_it_should_and_no_other(store: TestStore) {
        let stage = Stage::set(TestApp::start(store).await).await;
        for (number, Event { name, request, ends }) in EVENTS.iter().enumerate() {
            let mut tried = stage.prepare(number).await;
            if *name == "he is demoted" {
                let mut tx = stage.app.app.database().write().await.expect("tx");
                stage.app.app.access().users.set_admin(&mut tx, None, tried.victim, true).await.expect("promoted");
                tx.commit().await.expect("commit");
            }
            stage.settle().await;
            stage.expect(&mut tried, name, |_| true).await;
            let answer = send(request(&stage, &tried)).await;
            assert!((200..300).contains(&answer.status), "{name}: {answer:?}");
            let ended = LABELS.into_iter().filter(|label| ends(*label)).count();
            if ended > 0 {
                // From the revision that the answer names on, and without waiting for anything else.
                told(&stage, name, &answer).await;
            }
            if name.contains("revokes his tokens") {
                assert_eq!(answer.body["tokens_revoked"], json!(ended), "{answer:?}");
            }
            stage.expect(&mut tried, name, |label| !ends(label)).await;
        }
    }

    async fn a_spent_refresh_token_ends_its_session_only(store: TestStore) {
        let stage = Stage::set(TestApp::start(store).await).await;
        let mut tried = stage.prepare(0).await;
        let spent = json!({ "refresh_token": tried.pair(Spa).refresh });
        stage.settle().await;
        // Every session is refreshed by this, and by this once more: nothing is sent again then.
        stage.expect(&mut tried, "before", |_| true).await;
        stage.expect(&mut tried, "before", |_| true).await;
        let reused = send(stage.app.post("/auth/refresh").json(&spent)).await;
        assert_eq!(reused.status, 401, "{reused:?}");
        stage.settle().await;
        stage.expect(&mut tried, "reuse", |label| label != Label(Victim, Acme, Spa)).await;
    }

    async fn who_comes_back_begins_anew(store: TestStore) {
        let stage = Stage::set(TestApp::start(store).await).await;
        let mut tried = stage.prepare(0).await;
        let removed = send(stage.by_owner(&tried, Method::DELETE, &tried.member())).await;
        assert_eq!(removed.status, 204);
        stage.app.member(tried.acme, "victim-0@example.com", WorkspaceRole::Editor).await;
        stage.settle().await;
        stage.expect(&mut tried, "invited again", |label| !his_in_acme(label)).await;
        let pair = stage.app.tokens(tried.victim, tried.acme).await;
        assert_eq!(send(stage.app.get("/users/me").bearer(&pair)).await.status, 200);
    }

    async fn joining_a_group_or_a_workspace_ends_nothing(store: TestStore) {
        let stage = Stage::set(TestApp::start(store).await).await;
        let mut tried = stage.prepare(0).await;
        let left = send(stage.by_owner(&tried, Method::DELETE, &tried.in_group())).await;
        assert_eq!(left.status, 204);
        let mut again = stage.prepare(1).await;
        let joined = send(stage.by_owner(&tried, Method::POST, &tried.in_group())).await;
        assert_eq!(joined.status, 201, "{joined:?}");
        stage.app.member(again.acme, "victim-0@example.com", Editor).await;
        stage.settle().await;
        stage.expect(&mut tried, "joined", |label| !his_in_acme(label)).await;
        stage.expect(&mut again, "joined", |_| true).await;
        assert_ne!(tried.home, again.home);
    }

    async fn the_panel_of_who_is_demoted_or_deactivated_is_closed(store: TestStore) {
        let stage = Stage::set(TestApp::start(store).await).await;
        for (number, change) in [json!({ "is_admin": false }), json!({ "is_active": false })].iter().enumerate() {
            let (user, cookie) = stage.app.admin(&format!("admin-{number}@example.com")).await;
            let me = || stage.app.get("/auth/admin/me").header("cookie", &cookie);
            assert_eq!(send(me()).await.status, 200);
            let done = send(stage.change_user(user.id, change)).await;
            assert_eq!(done.status, 200, "{done:?}");
            assert_eq!(send(me()).await.problem(), (401, "Token has been revoked"), "{change}");
        }
    }
}

//! Fifty at once for what only one can have. Whoever comes too late gets a refusal that says so, nobody a fault of ours,
//! and nothing half done is left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, RequestBuilder};
use sentinel_access::activity::{Action, Filter};
use sentinel_core::WorkspaceRole::Owner;
use sentinel_core::id::WorkspaceId;
use sentinel_store::on_both_backends;
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::answer::{Answer, send};
use crate::common::oidc::{Person, Twist};
use crate::common::{As, LIFETIMES, Options, Pair, TestApp};
use crate::login::{REDIRECT, VERIFIER, code_of, start, to_callback};

const MANY: usize = 50;

/// Sends the requests from a task each, which all wait for the last one to be ready.
async fn at_once(requests: Vec<RequestBuilder>) -> Vec<Answer> {
    let barrier = Arc::new(Barrier::new(requests.len()));
    let tasks: Vec<_> = requests
        .into_iter()
        .map(|request| {
            let barrier = Arc::clone(&barrier);
            tokio::spawn(async move {
                barrier.wait().await;
                send(request).await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.expect("no panic"));
    }
    for answer in &answers {
        assert!(answer.status < 500, "{answer:?}");
    }
    answers
}

/// How many answers have which status.
fn statuses(answers: &[Answer]) -> BTreeMap<u16, usize> {
    let mut counted = BTreeMap::new();
    for answer in answers {
        *counted.entry(answer.status).or_default() += 1;
    }
    counted
}

fn repeat(request: &RequestBuilder) -> Vec<RequestBuilder> {
    (0..MANY)
        .map(|_| request.try_clone().expect("no stream"))
        .collect()
}

fn jti(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("payload");
    let claims: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("json");
    claims["jti"].clone()
}

/// How often the log says that it was done.
async fn times(app: &TestApp, action: Action) -> i64 {
    let filter = Filter {
        action: Some(action),
        ..Filter::default()
    };
    let mut tx = app.app.database().read().await.expect("tx");
    app.app
        .access()
        .activity
        .list(&mut tx, &filter, 1, 1)
        .await
        .expect("log")
        .total
}

/// The members as the services know them: address and role, in the order of the addresses.
async fn members(app: &TestApp, workspace: WorkspaceId) -> Vec<(String, String)> {
    let mut tx = app.app.database().read().await.expect("tx");
    let members = app
        .app
        .access()
        .members
        .list(&mut tx, workspace, None, None)
        .await
        .expect("members");
    let mut members: Vec<_> = members
        .into_iter()
        .map(|member| (member.email, member.role.to_string()))
        .collect();
    members.sort();
    members
}

/// What the replica of the control plane knows is what the rows say.
async fn replica_agrees(app: &TestApp, workspace: WorkspaceId) {
    app.settle().await;
    let mut tx = app.app.database().read().await.expect("tx");
    let members = app
        .app
        .access()
        .members
        .list(&mut tx, workspace, None, None)
        .await
        .expect("members");
    let state = app.app.replica().load_full();
    for member in &members {
        let known = sentinel_authz::sentinel::role_of(state.graph(), workspace, member.user).expect("answer");
        assert_eq!(known, Some(member.role), "{}", member.email);
    }
}

/// A workspace of two owners, and their tokens.
async fn two_owners(app: &TestApp) -> (WorkspaceId, [(String, Pair); 2]) {
    let (alice, workspace, one) = app.owner("alice@example.com", "acme").await;
    let bob = app.user("bob@example.com").await;
    app.member(workspace, "bob@example.com", Owner).await;
    let two = app.tokens(bob.id, workspace).await;
    (
        workspace,
        [(alice.id.to_string(), one), (bob.id.to_string(), two)],
    )
}

/// Half of the requests by each of the two owners, about the other.
fn against_each_other(
    owners: &[(String, Pair); 2],
    request: impl Fn(&str, &Pair) -> RequestBuilder,
) -> Vec<RequestBuilder> {
    let [(alice, one), (bob, two)] = owners;
    (0..MANY)
        .map(|number| {
            if number % 2 == 0 {
                request(bob, one)
            } else {
                request(alice, two)
            }
        })
        .collect()
}

on_both_backends! {
    async fn a_code_is_exchanged_once(store: TestStore) {
        let (app, provider) = start(store, |_| {}).await;
        provider.next(Person::new("1", "ann@example.com"), Twist::None);
        let (callback, cookie) = to_callback(&app, REDIRECT).await;
        let code = code_of(&app.http.get(callback).header("cookie", cookie).send().await.expect("answer"));
        let mut tx = app.app.database().read().await.expect("tx");
        let ann = app.app.access().users.find_by_email(&mut tx, "ann@example.com").await.expect("users").expect("ann");
        drop(tx);
        let workspace = app.workspace(ann.id, "acme").await;
        let body = json!({ "code": code, "workspace_id": workspace, "code_verifier": VERIFIER });
        let answers = at_once(repeat(&app.post("/auth/token").json(&body))).await;
        assert_eq!(statuses(&answers), BTreeMap::from([(200, 1), (400, MANY - 1)]));
        let late = answers.iter().filter(|answer| answer.status == 400);
        assert!(late.into_iter().all(|answer| answer.problem().1 == "Invalid or expired authorization code"));
        let won = answers.iter().find(|answer| answer.status == 200).expect("a winner");
        assert_eq!(send(app.get("/users/me").bearer_auth(won.text("access_token"))).await.status, 200);
        let refresh = json!({ "refresh_token": won.text("refresh_token") });
        assert_eq!(send(app.post("/auth/refresh").json(&refresh)).await.status, 200, "nobody ended his session");
    }

    async fn a_refresh_token_is_exchanged_once(store: TestStore) {
        let mut lifetimes = LIFETIMES;
        lifetimes.refresh_grace = Duration::ZERO;
        let app = TestApp::start_with(store, Options { lifetimes, ..Options::default() }).await;
        let (alice, workspace, pair) = app.owner("alice@example.com", "acme").await;
        let other = app.tokens(alice.id, workspace).await;
        let body = json!({ "refresh_token": pair.refresh });
        let answers = at_once(repeat(&app.post("/auth/refresh").json(&body))).await;
        assert_eq!(statuses(&answers), BTreeMap::from([(200, 1), (401, MANY - 1)]));
        assert_eq!(times(&app, Action::RefreshReuseDetected).await, 1, "written down once");
        let won = answers.iter().find(|answer| answer.status == 200).expect("a winner");
        let body = json!({ "refresh_token": won.text("refresh_token") });
        assert_eq!(send(app.post("/auth/refresh").json(&body)).await.status, 401, "the session is over");
        app.settle().await;
        for access in [won.text("access_token"), &pair.access] {
            assert_eq!(send(app.get("/users/me").bearer_auth(access)).await.status, 401);
        }
        assert_eq!(send(app.get("/users/me").bearer(&other)).await.status, 200, "another session goes on");
    }

    async fn a_lost_answer_is_sent_again_but_to_one(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, _, pair) = app.owner("alice@example.com", "acme").await;
        let body = json!({ "refresh_token": pair.refresh });
        let answers = at_once(repeat(&app.post("/auth/refresh").json(&body))).await;
        let won: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert!((1..=2).contains(&won.len()), "{:?}", statuses(&answers));
        assert_eq!(statuses(&answers).get(&401), Some(&(MANY - won.len())));
        let tokens: Vec<_> = won.iter().map(|answer| jti(answer.text("refresh_token"))).collect();
        assert!(tokens.iter().all(|jti| *jti == tokens[0] && jti.is_string()), "one successor: {tokens:?}");
        assert_eq!(times(&app, Action::RefreshReuseDetected).await, 1);
        let body = json!({ "refresh_token": won[0].text("refresh_token") });
        assert_eq!(send(app.post("/auth/refresh").json(&body)).await.status, 401, "the session is over");
    }

    async fn an_address_is_invited_once(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, workspace, owner) = app.owner("alice@example.com", "acme").await;
        app.user("bob@example.com").await;
        let path = format!("/workspaces/{workspace}/members/invite");
        let invite = |email: &str| app.post(&path).bearer(&owner).json(&json!({ "email": email }));

        let answers = at_once(repeat(&invite("carol@example.com"))).await;
        assert_eq!(statuses(&answers), BTreeMap::from([(202, 1), (409, MANY - 1)]));
        let listed = send(app.get(&format!("/workspaces/{workspace}/invitations")).bearer(&owner)).await;
        let made = answers.iter().find(|answer| answer.status == 202).expect("one");
        assert_eq!(listed.body, json!([made.body]));
        assert_eq!(times(&app, Action::MemberInvited).await, 1);

        let answers = at_once(repeat(&invite("bob@example.com"))).await;
        assert_eq!(statuses(&answers), BTreeMap::from([(201, 1), (400, MANY - 1)]));
        assert_eq!(members(&app, workspace).await.len(), 2);
        assert_eq!(times(&app, Action::MemberInvited).await, 2);
        replica_agrees(&app, workspace).await;
    }

    async fn an_invited_person_signs_in_from_everywhere(store: TestStore) {
        let (app, provider) = start(store, |_| {}).await;
        let (_, workspace, owner) = app.owner("alice@example.com", "acme").await;
        let path = format!("/workspaces/{workspace}/members/invite");
        let body = json!({ "email": "bob@example.com", "role": "editor" });
        assert_eq!(send(app.post(&path).bearer(&owner).json(&body)).await.status, 202);
        provider.next(Person::new("1", "bob@example.com"), Twist::None);
        let barrier = Arc::new(Barrier::new(MANY));
        let mut tasks = Vec::new();
        for _ in 0..MANY {
            let (callback, cookie) = to_callback(&app, REDIRECT).await;
            let request = app.http.get(callback).header("cookie", cookie);
            let barrier = Arc::clone(&barrier);
            tasks.push(tokio::spawn(async move {
                barrier.wait().await;
                code_of(&request.send().await.expect("answer"))
            }));
        }
        for task in tasks {
            let body = json!({ "code": task.await.expect("a code"), "code_verifier": VERIFIER });
            let choices = send(app.post("/auth/workspaces").json(&body)).await;
            assert_eq!(choices.body[0]["id"], workspace.to_string(), "{choices:?}");
            assert_eq!(choices.body.as_array().map(Vec::len), Some(1));
        }
        let expected = [("alice@example.com", "owner"), ("bob@example.com", "editor")];
        assert_eq!(members(&app, workspace).await, expected.map(|(email, role)| (email.to_owned(), role.to_owned())));
        let left = send(app.get(&format!("/workspaces/{workspace}/invitations")).bearer(&owner)).await;
        assert_eq!(left.body, json!([]));
        assert_eq!(times(&app, Action::InvitationAccepted).await, 1);
        assert_eq!(times(&app, Action::InvitationVoid).await, 0);
        let logins = i64::try_from(MANY).expect("small");
        assert_eq!(times(&app, Action::UserLogin).await, logins);
        replica_agrees(&app, workspace).await;
    }

    async fn a_slug_is_given_once(store: TestStore) {
        let app = TestApp::start(store).await;
        let (alice, _, home) = app.owner("alice@example.com", "home").await;
        let request = app.post("/workspaces").bearer(&home).json(&json!({ "name": "Acme", "slug": "acme" }));
        let answers = at_once(repeat(&request)).await;
        assert_eq!(statuses(&answers), BTreeMap::from([(201, 1), (409, MANY - 1)]));
        let late = answers.iter().find(|answer| answer.status == 409).expect("one");
        assert_eq!(late.problem().1, "A workspace with this slug already exists");
        let listed = send(app.get("/workspaces").bearer(&home)).await;
        assert_eq!(listed.body.as_array().map(Vec::len), Some(2), "home and the one");
        assert_eq!(times(&app, Action::WorkspaceCreated).await, 2);
        let made = answers.iter().find(|answer| answer.status == 201).expect("one").text("id").parse().expect("id");
        assert_eq!(members(&app, made).await, [(alice.email, "owner".to_owned())]);
        replica_agrees(&app, made).await;
    }

    async fn a_group_name_is_given_once(store: TestStore) {
        let app = TestApp::start(store).await;
        let (_, workspace, owner) = app.owner("alice@example.com", "acme").await;
        let path = format!("/workspaces/{workspace}/groups");
        let answers = at_once(repeat(&app.post(&path).bearer(&owner).json(&json!({ "name": "Eng" })))).await;
        assert_eq!(statuses(&answers), BTreeMap::from([(201, 1), (409, MANY - 1)]));
        let listed = send(app.get(&path).bearer(&owner)).await;
        assert_eq!(listed.body.as_array().map(Vec::len), Some(1));
        assert_eq!(times(&app, Action::GroupCreated).await, 1);
    }

    async fn of_two_owners_who_remove_each_other_one_stays(store: TestStore) {
        let app = TestApp::start(store).await;
        let (workspace, owners) = two_owners(&app).await;
        let requests = against_each_other(&owners, |user, by| {
            app.request(Method::DELETE, &format!("/workspaces/{workspace}/members/{user}")).bearer(by)
        });
        let answers = at_once(requests).await;
        let counted = statuses(&answers);
        assert_eq!(counted.get(&204), Some(&1), "{counted:?}");
        assert!(counted.keys().all(|status| [204, 401, 403, 404].contains(status)), "{counted:?}");
        let left = members(&app, workspace).await;
        assert_eq!(left.iter().map(|(_, role)| role.as_str()).collect::<Vec<_>>(), ["owner"]);
        assert_eq!(times(&app, Action::MemberRemoved).await, 1);
        replica_agrees(&app, workspace).await;
    }

    async fn of_two_owners_who_demote_each_other_one_stays(store: TestStore) {
        let app = TestApp::start(store).await;
        let (workspace, owners) = two_owners(&app).await;
        let requests = against_each_other(&owners, |user, by| {
            let path = format!("/workspaces/{workspace}/members/{user}");
            app.request(Method::PATCH, &path).bearer(by).json(&json!({ "role": "viewer" }))
        });
        let answers = at_once(requests).await;
        let counted = statuses(&answers);
        // Whoever won says again what is so already.
        assert!(counted.keys().all(|status| [200, 401, 403].contains(status)), "{counted:?}");
        assert!(counted.get(&200).is_some_and(|won| (1..=MANY / 2).contains(won)), "{counted:?}");
        assert_eq!(times(&app, Action::MemberRoleChanged).await, 1);
        let mut roles: Vec<_> = members(&app, workspace).await.into_iter().map(|(_, role)| role).collect();
        roles.sort_unstable();
        assert_eq!(roles, ["owner", "viewer"]);
        replica_agrees(&app, workspace).await;
    }
}

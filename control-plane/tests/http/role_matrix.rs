//! Who may do what in a workspace: every operation on it, its members, groups and invitations, by everybody, with the answer
//! that he gets. After a refusal nothing has changed.

use std::collections::HashMap;

use reqwest::Method;
use sentinel_access::activity::Filter;
use sentinel_access::invitations::Invited;
use sentinel_access::members::Authority;
use sentinel_access::users::NewUser;
use sentinel_core::WorkspaceRole::{self, Admin, Editor, Owner, Viewer};
use sentinel_core::id::WorkspaceId;
use sentinel_store::on_both_backends;
use serde_json::{Value, json};

use crate::answer::{Answer, send};
use crate::common::{As, Pair, TestApp};

/// The callers, in the order of the cells of a row.
const CALLERS: [&str; 6] = [
    "viewer",
    "editor",
    "admin",
    "owner",
    "a former member",
    "a member of another workspace",
];

/// What a caller gets.
#[derive(Debug, Clone, Copy)]
enum Cell {
    /// It is done, with this status.
    Done(u16),
    /// It is refused, with this status and text.
    No(u16, &'static str),
}

use Cell::{Done, No};

const LOW: Cell = No(403, "Insufficient role");
const FORMER: Cell = No(401, "Token has been revoked");
const STRANGER: Cell = No(403, "Not a member of this workspace");
const GRANT: &str = "Only workspace owners can grant the owner role";
const CHANGE_OWNER: Cell = No(403, "Only workspace owners can change another owner's role");
const REMOVE_OWNER: Cell = No(403, "Only workspace owners can remove another owner");

/// An operation: where, with what, and what each caller gets. The `{names}` are those of [`props`].
struct Row {
    method: Method,
    path: &'static str,
    body: Value,
    cells: [Cell; 6],
}

/// A row about one workspace, which people of other workspaces have no part in.
fn row(method: Method, path: &'static str, body: Value, members: [Cell; 4]) -> Row {
    let [viewer, editor, admin, owner] = members;
    Row {
        method,
        path,
        body,
        cells: [viewer, editor, admin, owner, FORMER, STRANGER],
    }
}

/// A row about the workspaces of the caller.
fn own(method: Method, body: Value, status: u16) -> Row {
    let done = Done(status);
    Row {
        method,
        path: "/workspaces",
        body,
        cells: [done, done, done, done, FORMER, done],
    }
}

fn for_all(method: Method, path: &'static str) -> Row {
    row(method, path, Value::Null, [Done(200); 4])
}

fn for_admins(method: Method, path: &'static str, body: Value, status: u16) -> Row {
    row(method, path, body, [LOW, LOW, Done(status), Done(status)])
}

fn role(role: &str) -> Value {
    json!({ "role": role })
}

fn invited(email: &str, role: &str) -> Value {
    json!({ "email": email, "role": role })
}

fn rows() -> Vec<Row> {
    // The only owner of the workspace is `{owner}` as long as no row has made another.
    let mut rows = of_the_last_owner();
    rows.extend(of_workspaces());
    rows.extend(of_invitations());
    rows.extend(of_members());
    rows.extend(of_groups());
    rows.push(row(
        Method::DELETE,
        "/workspaces/{w}",
        Value::Null,
        [LOW, LOW, LOW, Done(204)],
    ));
    rows
}

fn of_the_last_owner() -> Vec<Row> {
    let path = "/workspaces/{w}/members/{owner}";
    let demoted = No(403, "Cannot demote the last workspace owner");
    let removed = No(403, "Cannot remove the last workspace owner");
    vec![
        row(
            Method::PATCH,
            path,
            role("admin"),
            [LOW, LOW, CHANGE_OWNER, demoted],
        ),
        row(
            Method::DELETE,
            path,
            Value::Null,
            [LOW, LOW, REMOVE_OWNER, removed],
        ),
    ]
}

fn of_workspaces() -> Vec<Row> {
    let one = "/workspaces/{w}";
    vec![
        own(Method::GET, Value::Null, 200),
        own(Method::POST, json!({ "name": "New", "slug": "new-{n}" }), 201),
        for_all(Method::GET, one),
        for_admins(Method::PATCH, one, json!({ "description": "{n}" }), 200),
    ]
}

fn of_invitations() -> Vec<Row> {
    let invite = "/workspaces/{w}/members/invite";
    let list = "/workspaces/{w}/invitations";
    let one = "/workspaces/{w}/invitations/{invitation}";
    let as_owner = |status| [LOW, LOW, No(400, GRANT), Done(status)];
    vec![
        for_admins(Method::POST, invite, invited("{account}", "admin"), 201),
        for_admins(Method::POST, invite, invited("{guest}", "admin"), 202),
        row(Method::POST, invite, invited("{account}", "owner"), as_owner(201)),
        row(Method::POST, invite, invited("{guest}", "owner"), as_owner(202)),
        for_admins(Method::GET, list, Value::Null, 200),
        for_admins(Method::DELETE, one, Value::Null, 204),
    ]
}

fn of_members() -> Vec<Row> {
    let member = "/workspaces/{w}/members/{member}";
    let owner = "/workspaces/{w}/members/{second_owner}";
    let granted = [LOW, LOW, No(403, GRANT), Done(200)];
    let changed = [LOW, LOW, CHANGE_OWNER, Done(200)];
    let removed = [LOW, LOW, REMOVE_OWNER, Done(204)];
    vec![
        for_all(Method::GET, "/workspaces/{w}/members"),
        for_admins(Method::PATCH, member, role("editor"), 200),
        row(Method::PATCH, member, role("owner"), granted),
        row(Method::PATCH, owner, role("viewer"), changed),
        for_admins(Method::DELETE, member, Value::Null, 204),
        row(Method::DELETE, owner, Value::Null, removed),
    ]
}

fn of_groups() -> Vec<Row> {
    let groups = "/workspaces/{w}/groups";
    let one = "/workspaces/{w}/groups/{group}";
    let members = "/workspaces/{w}/groups/{group}/members";
    let (other, member) = (
        "/workspaces/{w}/groups/{group}/members/{other}",
        "/workspaces/{w}/groups/{group}/members/{member}",
    );
    vec![
        for_all(Method::GET, groups),
        for_admins(Method::POST, groups, json!({ "name": "New {n}" }), 201),
        for_admins(Method::PATCH, one, json!({ "name": "Renamed {n}" }), 200),
        for_all(Method::GET, members),
        for_admins(Method::POST, other, Value::Null, 201),
        for_admins(Method::DELETE, member, Value::Null, 204),
        for_admins(Method::DELETE, one, Value::Null, 204),
    ]
}

/// What the names in a row stand for.
type Props = HashMap<&'static str, String>;

/// Fresh things to do something to: a member in a group, one who is not, an account outside, an address that is
/// invited; and a second owner if the row is about one.
async fn props(app: &TestApp, workspace: WorkspaceId, number: usize, row: &Row) -> Props {
    let access = app.app.access();
    let by = Authority::of_administrator(workspace, None);
    let mut tx = app.app.database().write().await.expect("tx");
    let mut props = Props::from([
        ("w", workspace.to_string()),
        ("n", number.to_string()),
        ("guest", format!("guest{number}@example.com")),
        ("account", format!("account{number}@example.com")),
    ]);
    let people = [
        ("account", None),
        ("member", Some(Viewer)),
        ("other", Some(Viewer)),
        ("second_owner", Some(Owner)),
    ];
    for (name, role) in people {
        if role == Some(Owner) && !row.path.contains("second_owner") {
            continue;
        }
        let new = NewUser {
            email: format!("{}{number}@example.com", name.replace('_', "-"))
                .parse()
                .expect("email"),
            email_verified: true,
            name: name.parse().expect("name"),
            avatar_url: None,
            is_admin: false,
        };
        let user = access.users.create(&mut tx, new).await.expect("user");
        if let Some(role) = role {
            props.insert(name, user.id.to_string());
            access
                .members
                .add(&mut tx, &by, user, role)
                .await
                .expect("member");
        }
    }
    let name = format!("Group {number}").parse().expect("name");
    let group = access
        .groups
        .create(&mut tx, &by, name, None)
        .await
        .expect("group")
        .id;
    let member = props["member"].parse().expect("id");
    access
        .groups
        .add_member(&mut tx, &by, group, member)
        .await
        .expect("in the group");
    props.insert("group", group.to_string());
    let waiting = format!("waiting{number}@example.com").parse().expect("email");
    let invited = access
        .invitations
        .invite(&mut tx, &by, &waiting, Viewer)
        .await
        .expect("invited");
    let Invited::Pending(invitation) = invited else {
        panic!("{invited:?} should wait");
    };
    props.insert("invitation", invitation.id.to_string());
    tx.commit().await.expect("commit");
    app.settle().await;
    props
}

fn filled(text: &str, props: &Props) -> String {
    let mut text = text.to_owned();
    for (name, value) in props {
        text = text.replace(&format!("{{{name}}}"), value);
    }
    text
}

async fn ask(app: &TestApp, row: &Row, props: &Props, caller: &Pair) -> Answer {
    let request = app
        .request(row.method.clone(), &filled(row.path, props))
        .bearer(caller);
    if row.body.is_null() {
        return send(request).await;
    }
    let body: Value = serde_json::from_str(&filled(&row.body.to_string(), props)).expect("json");
    send(request.json(&body)).await
}

/// All that the operations could change.
async fn picture(app: &TestApp, workspace: WorkspaceId, group: &str) -> String {
    let access = app.app.access();
    let mut tx = app.app.database().read().await.expect("tx");
    let (workspaces, members) = (&access.workspaces, &access.members);
    let group = group.parse().expect("id");
    format!(
        "{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}",
        workspaces.list_all(&mut tx, 1, 1_000).await.expect("workspaces"),
        members
            .list(&mut tx, workspace, None, None)
            .await
            .expect("members"),
        access.groups.list(&mut tx, workspace).await.expect("groups"),
        access
            .groups
            .members(&mut tx, workspace, group)
            .await
            .expect("group"),
        access
            .invitations
            .list(&mut tx, workspace)
            .await
            .expect("invitations"),
        access
            .activity
            .list(&mut tx, &Filter::default(), 1, 1)
            .await
            .expect("log")
            .total,
        tx.head().await.expect("revision"),
    )
}

/// Somebody in the workspace, with tokens for it.
async fn insider(app: &TestApp, workspace: WorkspaceId, email: &str, role: WorkspaceRole) -> (String, Pair) {
    let user = app.user(email).await;
    app.member(workspace, email, role).await;
    (user.id.to_string(), app.tokens(user.id, workspace).await)
}

on_both_backends! {
    async fn everybody_gets_the_answer_of_the_matrix_and_a_refusal_changes_nothing(store: TestStore) {
        let app = TestApp::start(store).await;
        let (alice, workspace, owner) = app.owner("alice@example.com", "acme").await;
        let (_, viewer) = insider(&app, workspace, "viewer@example.com", Viewer).await;
        let (_, editor) = insider(&app, workspace, "editor@example.com", Editor).await;
        let (_, admin) = insider(&app, workspace, "admin@example.com", Admin).await;
        let (gone, former) = insider(&app, workspace, "former@example.com", Owner).await;
        let leave = format!("/workspaces/{workspace}/members/{gone}");
        assert_eq!(send(app.request(Method::DELETE, &leave).bearer(&owner)).await.status, 204);
        let (_, _, stranger) = app.owner("stranger@example.com", "elsewhere").await;
        let callers = [viewer, editor, admin, owner, former, stranger];

        let mut number = 0;
        for row in rows() {
            let mut fresh = async || {
                number += 1;
                let mut props = props(&app, workspace, number, &row).await;
                props.insert("owner", alice.id.to_string());
                props
            };
            let scene = fresh().await;
            let what = format!("{} {} {}", row.method, row.path, row.body);
            let before = picture(&app, workspace, &scene["group"]).await;
            for ((cell, caller), name) in row.cells.iter().zip(&callers).zip(CALLERS) {
                if let No(status, text) = *cell {
                    let answer = ask(&app, &row, &scene, caller).await;
                    assert_eq!(answer.problem(), (status, text), "{what} by {name}");
                    assert_eq!(picture(&app, workspace, &scene["group"]).await, before, "{what} by {name}");
                }
            }
            for ((cell, caller), name) in row.cells.iter().zip(&callers).zip(CALLERS) {
                if let Done(status) = *cell {
                    let scene = fresh().await;
                    let answer = ask(&app, &row, &scene, caller).await;
                    assert_eq!(answer.status, status, "{what} by {name}: {answer:?}");
                }
            }
        }
    }
}

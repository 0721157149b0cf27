use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::{Change, Revision};

use super::*;
use crate::interest::Extent;
use crate::replica::Replica;
use crate::testing::{every_kind_of_fact, rev};

fn id(n: u128) -> String {
    uuid::Uuid::from_u128(n).to_string()
}

fn fact(line: &str) -> Fact {
    line.parse().expect(line)
}

fn put(line: &str) -> Change {
    Change::Put(fact(&format!("tuple {line}")))
}

fn delete(line: &str) -> Change {
    Change::Delete(fact(&format!("tuple {line}")))
}

fn interest(services: Option<&[&str]>, workspaces: Option<&[u128]>) -> Interest {
    let services = services.map_or(Extent::All, |names| {
        Extent::Of(names.iter().map(|name| name.parse().expect("a name")).collect())
    });
    let workspaces = workspaces.map_or(Extent::All, |ids| {
        Extent::Of(ids.iter().map(|n| uuid::Uuid::from_u128(*n).into()).collect())
    });
    Interest::new(services, workspaces)
}

/// Facts of two services in two workspaces, and of none.
fn everything() -> Vec<Fact> {
    let mut facts = every_kind_of_fact();
    facts.push(fact(
        "model wiki 1 model\\n  schema 1.1\\ntype page\\n  relations\\n    define viewer: [user]",
    ));
    let mut lines = vec![format!("wiki/page:1#viewer@user:{}", id(9))];
    for workspace in [1, 2] {
        let (ws, group, role) = (id(workspace), id(workspace + 10), id(workspace + 20));
        lines.extend([
            format!("workspace:{ws}#editor@user:{}", id(9)),
            format!("group:{group}#workspace@workspace:{ws}"),
            format!("group:{group}#member@user:{}", id(9)),
            format!("role:{role}#workspace@workspace:{ws}"),
            format!("role:{role}#assignee@user:{}", id(9)),
        ]);
        for service in ["docs", "wiki"] {
            lines.extend([
                format!("action:{ws}/{service}/reports#granted@role:{role}#holder"),
                format!("resource:{service}/document/{workspace}#workspace@workspace:{ws}"),
                format!(
                    "resource:{service}/document/{workspace}#share_view@user:{}",
                    id(9)
                ),
            ]);
        }
    }
    facts.extend(lines.iter().map(|line| fact(&format!("tuple {line}"))));
    facts
}

fn lines(state: &ReplicaState) -> BTreeSet<String> {
    state.facts().map(|fact| fact.to_string()).collect()
}

fn interests() -> Vec<Interest> {
    vec![
        interest(Some(&["docs"]), None),
        interest(Some(&["docs", "wiki"]), None),
        interest(Some(&[]), None),
        interest(None, Some(&[1])),
        interest(Some(&["wiki"]), Some(&[2])),
        interest(Some(&["docs"]), Some(&[1, 2])),
        interest(Some(&["unheard"]), Some(&[7])),
    ]
}

#[test]
fn a_part_has_what_belongs_to_it_and_what_belongs_to_nobody() {
    let state = ReplicaState::from_snapshot(rev(1), everything()).expect("good facts");
    let part = state
        .narrowed(&interest(Some(&["docs"]), Some(&[1])))
        .expect("a state");
    let kept = lines(&part);
    let has = |text: &str| kept.iter().any(|line| line.contains(text));
    for there in [
        "model docs ",
        "docs/folder:",
        "resource:docs/document/1#share_view",
        "service-key",
        "signing-key",
        "revoked-session",
        "revoked-token",
        "disabled-user",
        // Nobody says which workspace it belongs to.
        "group:a#member@user:b",
        &format!("group:{}#member", id(11)),
        &format!("role:{}#assignee", id(21)),
        &format!("workspace:{}#editor", id(1)),
        &format!("action:{}/docs/", id(1)),
    ] {
        assert!(has(there), "{there}");
    }
    for elsewhere in [
        "wiki",
        "resource:docs/document/2",
        &format!("group:{}#", id(12)),
        &format!("role:{}#", id(22)),
        &format!("workspace:{}#", id(2)),
        &format!("action:{}/", id(2)),
    ] {
        assert!(!has(elsewhere), "{elsewhere}");
    }
    assert_eq!(
        part.narrowed(&interest(None, None)).map(|all| lines(&all)),
        Ok(kept)
    );
}

/// The books say of every part, at every revision, what the part itself says.
async fn holds_for(replica: &Replica) {
    replica.open_books(Duration::MAX).await;
    let state = replica.load_full();
    for interest in interests() {
        let part = state.narrowed(&interest).expect("a state");
        let said = replica.books().digest(&interest, state.revision());
        assert_eq!(said, Some(part.digest()), "{interest}");
    }
}

fn control_plane() -> Replica {
    let replica = Replica::new();
    replica.install(ReplicaState::from_snapshot(rev(1), everything()).expect("good facts"));
    replica
}

fn commit(replica: &Replica, changes: Vec<Change>) -> Revision {
    let number = replica.load().revision().number + 1;
    replica.advance(rev(number), changes).expect("good changes");
    rev(number)
}

#[tokio::test]
async fn the_books_agree_with_the_parts_whatever_changes() {
    let replica = control_plane();
    holds_for(&replica).await;
    let edition = replica.books().edition().expect("open");
    let (ws, other) = (id(1), id(2));
    let steps: Vec<Vec<Change>> = vec![
        // A resource with its share, in whatever order; and a change that changes nothing.
        vec![
            put(&format!("resource:docs/document/7#share_view@user:{}", id(9))),
            put(&format!("resource:docs/document/7#workspace@workspace:{ws}")),
        ],
        vec![put(&format!(
            "resource:docs/document/7#share_view@user:{}",
            id(9)
        ))],
        vec![put(&format!(
            "resource:docs/document/7#share_edit@user:{}",
            id(8)
        ))],
        vec![delete(&format!(
            "resource:docs/document/7#share_view@user:{}",
            id(9)
        ))],
        vec![
            delete(&format!("resource:docs/document/7#workspace@workspace:{ws}")),
            delete(&format!("resource:docs/document/7#share_edit@user:{}", id(8))),
        ],
        // The same id again, elsewhere.
        vec![put(&format!(
            "resource:docs/document/7#workspace@workspace:{other}"
        ))],
        vec![put(&format!("group:{}#workspace@workspace:{other}", id(30)))],
        vec![put(&format!("group:{}#member@user:{}", id(30), id(9)))],
        vec![Change::Delete(fact("tuple docs/folder:a#parent@docs/folder:b"))],
        vec![Change::Put(fact(&format!("disabled-user {}", id(77))))],
        vec![Change::Put(fact(&format!("revoked-session {} 9", id(2))))],
        vec![Change::Put(fact("expiring-tuple 8 docs/folder:z#viewer@user:b"))],
        vec![Change::Put(fact("tuple docs/folder:z#viewer@user:b"))],
    ];
    for changes in steps {
        commit(&replica, changes);
        holds_for(&replica).await;
    }
    assert_eq!(
        replica.books().edition(),
        Some(edition),
        "they were never made anew"
    );
}

#[tokio::test]
async fn what_goes_over_to_another_workspace_has_the_books_made_anew() {
    let (here, there) = (id(1), id(2));
    let name = "resource:docs/document/1";
    let moves: [Vec<Change>; 4] = [
        vec![
            delete(&format!("{name}#workspace@workspace:{here}")),
            put(&format!("{name}#workspace@workspace:{there}")),
        ],
        // The smaller of two counts.
        vec![put(&format!("{name}#workspace@workspace:{}", id(0)))],
        // It belongs to nobody now, and its share is left.
        vec![delete(&format!("{name}#workspace@workspace:{here}"))],
        // A share was there before anybody knew whose it was.
        vec![put(&format!("group:a#workspace@workspace:{here}"))],
    ];
    for changes in moves {
        let replica = control_plane();
        holds_for(&replica).await;
        let edition = replica.books().edition();
        commit(&replica, changes);
        assert_eq!(replica.books().edition(), None, "nobody is told anything by them");
        holds_for(&replica).await;
        assert_ne!(replica.books().edition(), edition);
    }
}

#[tokio::test]
async fn of_two_workspaces_the_smaller_counts_in_whatever_order_they_come() {
    let (small, large) = (id(1), id(2));
    let belongs = |n: u32, to: &str| format!("resource:docs/document/{n}#workspace@workspace:{to}");
    let owner = |n: u32| put(&format!("resource:docs/document/{n}#owner@user:{}", id(9)));
    let replica = control_plane();
    holds_for(&replica).await;
    let edition = replica.books().edition();
    commit(
        &replica,
        vec![put(&belongs(70, &small)), put(&belongs(70, &large)), owner(70)],
    );
    commit(
        &replica,
        vec![put(&belongs(71, &large)), put(&belongs(71, &small)), owner(71)],
    );
    // One more that counts for nothing, and goes again.
    commit(&replica, vec![put(&belongs(70, &id(3)))]);
    commit(&replica, vec![delete(&belongs(70, &id(3)))]);
    assert_eq!(replica.books().edition(), edition, "nothing went over");
    holds_for(&replica).await;
    commit(&replica, vec![delete(&belongs(70, &small))]);
    assert_eq!(replica.books().edition(), None);
    holds_for(&replica).await;
}

#[tokio::test]
async fn frames_of_a_part_lead_from_one_state_of_it_to_another() {
    let replica = control_plane();
    replica.open_books(Duration::MAX).await;
    let edition = replica.books().edition().expect("open");
    let before = replica.load_full();
    for n in 100..140_u32 {
        let (service, workspace) = (["docs", "wiki"][n as usize % 2], id(u128::from(n % 3)));
        commit(
            &replica,
            vec![
                put(&format!(
                    "resource:{service}/document/{n}#workspace@workspace:{workspace}"
                )),
                put(&format!("resource:{service}/document/{n}#owner@user:{}", id(9))),
            ],
        );
    }
    let head = replica.load().revision();
    for interest in interests() {
        for middle in [rev(1), rev(13), head] {
            let mut part = before.narrowed(&interest).expect("a state");
            for (from, to) in [(rev(1), middle), (middle, head)] {
                if from == to {
                    continue;
                }
                let frame = replica
                    .books()
                    .frame(edition, &interest, from, to, usize::MAX)
                    .expect("kept");
                part = part.apply(&frame).expect("follows");
            }
            let expected = replica.load().narrowed(&interest).expect("a state");
            assert_eq!(
                (part.digest(), lines(&part)),
                (expected.digest(), lines(&expected))
            );
            assert_eq!(part.interest(), &interest);
        }
        let nothing = replica
            .books()
            .frame(edition + 1, &interest, rev(1), head, usize::MAX);
        assert_eq!(nothing, None, "of another edition");
    }
    let other_epoch = Revision { epoch: 2, number: 3 };
    let docs = interest(Some(&["docs"]), None);
    assert_eq!(
        replica
            .books()
            .frame(edition, &docs, other_epoch, head, usize::MAX),
        None
    );
    assert_eq!(
        replica.books().frame(edition, &docs, rev(0), head, usize::MAX),
        None
    );
    assert_eq!(replica.books().digest(&docs, rev(head.number + 1)), None);
}

#[tokio::test]
async fn a_frame_of_a_part_has_no_more_changes_than_one_may() {
    let replica = control_plane();
    replica.open_books(Duration::MAX).await;
    let edition = replica.books().edition().expect("open");
    let (docs, before) = (interest(Some(&["docs"]), None), replica.load_full());
    let from = before.revision();
    for n in 0..10 {
        for service in ["docs", "wiki"] {
            let of = |user| {
                put(&format!(
                    "resource:{service}/document/{n}#owner@user:{}",
                    id(user)
                ))
            };
            commit(&replica, vec![of(7), of(9)]);
        }
    }
    let head = replica.load().revision();
    let (mut part, mut changes) = (before.narrowed(&docs).expect("a state"), Vec::new());
    while part.revision() < head {
        let frame = replica.books().frame(edition, &docs, part.revision(), head, 5);
        let frame = frame.expect("kept");
        changes.push(frame.changes.len());
        part = part.apply(&frame).expect("follows");
    }
    assert_eq!(
        changes,
        [4, 4, 4, 4, 4],
        "whole revisions, and none of others counts"
    );
    assert_eq!(
        part.digest(),
        replica.load().narrowed(&docs).expect("a state").digest()
    );
    let whole = replica.books().frame(edition, &docs, from, head, 1);
    assert_eq!(whole.expect("kept").changes.len(), 2, "one revision always fits");
}

#[tokio::test]
async fn a_large_change_is_in_the_books_until_edges_were_sent_it() {
    let replica = control_plane();
    replica.open_books(Duration::MAX).await;
    let edition = replica.books().edition().expect("open");
    let from = replica.load().revision();
    // The last word on one thing, many times.
    commit(&replica, vec![put("docs/folder:1#viewer@user:b"); 200_001]);
    commit(&replica, vec![put("docs/folder:2#viewer@user:b")]);
    let (docs, head) = (interest(Some(&["docs"]), None), replica.load().revision());
    let frame = replica.books().frame(edition, &docs, from, head, usize::MAX);
    assert_eq!(frame.expect("it is kept").changes.len(), 2);
}

#[tokio::test]
async fn what_changes_while_the_books_are_made_is_in_them() {
    let replica = control_plane();
    let writer = tokio::spawn({
        let replica = replica.clone();
        async move {
            for n in 0..200 {
                commit(&replica, vec![put(&format!("docs/folder:{n}#viewer@user:b"))]);
                tokio::task::yield_now().await;
            }
        }
    });
    let (a, b) = tokio::join!(
        replica.open_books(Duration::MAX),
        replica.open_books(Duration::MAX)
    );
    assert!(a && b);
    writer.await.expect("no panic");
    let edition = replica.books().edition().expect("open");
    assert_eq!(replica.books().head(edition), Some(replica.load().revision()));
    holds_for(&replica).await;
    replica.install(ReplicaState::clone(&Arc::clone(&replica.load_full())));
    assert_eq!(replica.books().edition(), None, "the state was replaced");
    holds_for(&replica).await;
}

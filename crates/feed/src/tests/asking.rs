//! Questions that an edge cannot answer by what it keeps.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::WorkspaceRole;
use sentinel_core::{Change, Revision};
use tempfile::TempDir;

use crate::client::{Ask as _, AskError};
use crate::interest::{Extent, Interest};
use crate::question::{Question, Verdict};
use crate::testing::{ControlPlane, Edge, Relay, eventually, rev};

const WORKSPACE: &str = "00000000-0000-0000-0000-000000000001";
const ANN: &str = "00000000-0000-0000-0000-000000000002";
const EVE: &str = "00000000-0000-0000-0000-000000000003";

/// Nothing here takes that long unless it is broken.
const LONG: Duration = Duration::from_secs(20);

fn put(line: &str) -> Change {
    Change::Put(line.parse().expect(line))
}

fn may(user: &str) -> Question {
    Question::Permission {
        workspace: WORKSPACE.parse().expect("an id"),
        user: user.parse().expect("an id"),
        service: "wiki".parse().expect("a name"),
        resource_type: "page".parse().expect("a name"),
        id: "7".into(),
        permission: sentinel_authz::sentinel::Permission::View,
    }
}

struct Stage {
    plane: Arc<ControlPlane>,
    relay: Relay,
    edge: Edge,
    key: sentinel_token::PlainEdgeKey,
    _dir: TempDir,
}

/// An edge that knows nothing of any service.
async fn stage() -> Stage {
    let plane = ControlPlane::new([]);
    plane.commit(vec![
        put(&format!("tuple workspace:{WORKSPACE}#viewer@user:{ANN}")),
        put(&format!(
            "tuple resource:wiki/page/7#workspace@workspace:{WORKSPACE}"
        )),
        put(&format!(
            "tuple resource:wiki/page/7#shared_in@workspace:{WORKSPACE}"
        )),
    ]);
    let relay = Relay::to(plane.serve().await).await;
    let (key, dir) = (plane.enrol(), TempDir::new().expect("a directory"));
    let none = Interest::new(Extent::Of([].into()), Extent::All);
    let mut edge = Edge::start_of(none, relay.url(), &key, dir.path());
    edge.is_in_touch().await;
    Stage {
        plane,
        relay,
        edge,
        key,
        _dir: dir,
    }
}

#[tokio::test]
async fn the_control_plane_answers_what_is_not_kept_by_one_state() {
    let stage = stage().await;
    let wiki = "wiki".parse().expect("a name");
    assert!(!stage.edge.replica.load().covers(&wiki, WORKSPACE.parse().ok()));
    let asked = [may(ANN), may(EVE)];
    let answers = stage.edge.asker.ask(&asked, rev(2), LONG).await.expect("answers");
    let said: Vec<_> = answers
        .answers
        .iter()
        .map(|answer| (answer.verdict, answer.role))
        .collect();
    assert_eq!(
        said,
        [(Verdict::Yes, Some(WorkspaceRole::Viewer)), (Verdict::No, None)]
    );
    assert_eq!(answers.revision, rev(2));
    // Nothing is remembered.
    let taken = stage.plane.commit(vec![Change::Delete(
        put(&format!("tuple workspace:{WORKSPACE}#viewer@user:{ANN}"))
            .fact()
            .clone(),
    )]);
    let answers = stage.edge.asker.ask(&asked, taken, LONG).await.expect("answers");
    assert_eq!(answers.answers[0].verdict, Verdict::No);
    assert!(answers.revision >= taken);
}

#[tokio::test]
async fn an_answer_is_as_fresh_as_was_asked_for_or_there_is_none() {
    let stage = stage().await;
    let (asker, plane) = (stage.edge.asker.clone(), Arc::clone(&stage.plane));
    let waiting = tokio::spawn(async move { asker.ask(&[may(ANN)], rev(3), LONG).await });
    tokio::task::yield_now().await;
    plane.add("a", "b");
    let found = waiting.await.expect("no panic").expect("answers");
    assert!(found.revision >= rev(3));
    let client = &stage.edge.asker;
    let never = client.ask(&[may(ANN)], rev(99), Duration::from_millis(50)).await;
    assert!(
        matches!(never, Err(AskError::Behind | AskError::Late(_))),
        "{never:?}"
    );
    let later = Revision { epoch: 9, number: 0 };
    let never = client.ask(&[may(ANN)], later, Duration::from_millis(50)).await;
    assert!(
        matches!(never, Err(AskError::Behind | AskError::Late(_))),
        "{never:?}"
    );
}

#[tokio::test]
async fn without_a_connection_nobody_waits_and_with_one_again_there_are_answers() {
    let mut stage = stage().await;
    stage.relay.close();
    stage.edge.status_is(|status| !status.connected).await;
    let asker = stage.edge.asker.clone();
    let unanswered = asker.ask(&[may(ANN)], rev(1), LONG).await;
    assert!(unanswered.is_err(), "{unanswered:?}");
    stage.relay.open();
    stage.edge.is_in_touch().await;
    loop {
        // Until the pause after failures is over.
        match asker.ask(&[may(ANN)], rev(1), LONG).await {
            Ok(answers) => break assert_eq!(answers.answers[0].verdict, Verdict::Yes),
            Err(AskError::Resting) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_control_plane_that_does_not_answer_is_left_alone() {
    let stage = stage().await;
    let asker = &stage.edge.asker;
    stage.plane.hold_checks();
    let brief = Duration::from_millis(20);
    let mut late = 0;
    eventually_async(async || match asker.ask(&[may(ANN)], rev(1), brief).await {
        Err(AskError::Late(_)) => {
            late += 1;
            false
        }
        Err(AskError::Resting) => true,
        other => panic!("{other:?}"),
    })
    .await;
    assert_eq!(late, 5);
    stage.plane.release_checks();
    eventually_async(async || asker.ask(&[may(ANN)], rev(1), LONG).await.is_ok()).await;
}

async fn eventually_async(mut so: impl AsyncFnMut() -> bool) {
    let polled = tokio::time::timeout(LONG, async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(polled.await.is_ok(), "it never came to be so");
}

#[tokio::test]
async fn an_answer_that_another_signed_or_that_is_to_something_else_is_none() {
    let stage = stage().await;
    let asker = &stage.edge.asker;
    let real = asker.ask(&[may(ANN)], rev(1), LONG).await.expect("answers");
    assert_eq!(real.answers[0].verdict, Verdict::Yes);
    // The last answer again: to another nonce.
    stage.plane.replay_checks();
    let replayed = asker.ask(&[may(ANN)], rev(1), LONG).await;
    assert!(matches!(replayed, Err(AskError::Forged(_))), "{replayed:?}");
}

#[tokio::test]
async fn an_edge_whose_key_was_withdrawn_is_not_answered() {
    let stage = stage().await;
    stage.plane.revoke(&stage.key);
    eventually_async(async || {
        let asked = stage.edge.asker.ask(&[may(ANN)], rev(1), LONG).await;
        matches!(asked, Err(AskError::Refused(_) | AskError::NotConnected))
    })
    .await;
    let replica = stage.edge.replica.clone();
    eventually(|| replica.age() > Some(Duration::from_millis(500))).await;
}

#[tokio::test]
async fn what_is_wrong_with_the_questions_of_one_keeps_no_other_from_asking() {
    let stage = stage().await;
    let asker = &stage.edge.asker;
    let ask = async || asker.ask(&[may(ANN)], rev(1), LONG).await;
    for _ in 0..20 {
        stage.plane.refuse_checks(tonic::Code::ResourceExhausted);
        let busy = ask().await;
        assert!(matches!(busy, Err(AskError::Busy)), "{busy:?}");
        stage.plane.refuse_checks(tonic::Code::InvalidArgument);
        let refused = ask().await;
        assert!(matches!(refused, Err(AskError::Refused(_))), "{refused:?}");
    }
    stage.plane.refuse_checks(tonic::Code::Unavailable);
    for _ in 0..5 {
        let refused = ask().await;
        assert!(matches!(refused, Err(AskError::Refused(_))), "{refused:?}");
    }
    let resting = ask().await;
    assert!(matches!(resting, Err(AskError::Resting)), "{resting:?}");
}

#[tokio::test]
async fn no_more_is_asked_at_a_time_than_is_answered() {
    let stage = stage().await;
    stage.plane.hold_checks();
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let asker = stage.edge.asker.clone();
        waiting.spawn(async move { asker.ask(&[may(ANN)], rev(1), LONG).await });
    }
    // One after the other they all begin to wait; as long as they do not, this one has no time for an answer.
    let asker = stage.edge.asker.clone();
    while !matches!(
        asker.ask(&[may(ANN)], rev(1), Duration::ZERO).await,
        Err(AskError::Busy)
    ) {
        tokio::task::yield_now().await;
    }
    stage.plane.release_checks();
    for answers in waiting.join_all().await {
        assert!(answers.is_ok(), "{answers:?}");
    }
}

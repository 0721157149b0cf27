//! The state machine by itself: what a change does, what is refused, and that every way to a state gives the same one.

use super::*;
use crate::testing::{FOLDERS, every_kind_of_fact, rev, signing_key, tuple};

fn put(fact: &Fact) -> Change {
    Change::Put(fact.clone())
}

fn delete(fact: &Fact) -> Change {
    Change::Delete(fact.clone())
}

fn lines(state: &ReplicaState) -> Vec<String> {
    let mut lines: Vec<String> = state.facts().map(|fact| fact.to_string()).collect();
    lines.sort();
    lines
}

fn at(number: u64, facts: Vec<Fact>) -> ReplicaState {
    ReplicaState::from_snapshot(rev(number), facts).expect("good facts")
}

fn after(state: &ReplicaState, changes: Vec<Change>) -> ReplicaState {
    let to = rev(state.revision().number + 1);
    let (advanced, frame) = state.advance(to, changes).expect("good changes");
    let applied = state.apply(&frame).expect("own frame");
    assert_eq!(
        (applied.digest(), lines(&applied)),
        (advanced.digest(), lines(&advanced))
    );
    assert_eq!(
        frame.digest,
        at(to.number, applied.facts().collect()).digest(),
        "the sum is kept right"
    );
    applied
}

#[test]
fn every_kind_of_fact_can_be_put_and_deleted() {
    let facts = every_kind_of_fact();
    let empty = at(1, vec![]);
    let full = after(&empty, facts.iter().map(put).collect());
    assert_eq!(full.len(), facts.len());
    assert_eq!(full.digest(), at(2, facts.clone()).digest());
    for fact in &facts {
        if matches!(fact, Fact::Model(_)) {
            let refused = full.advance(rev(3), vec![delete(fact)]);
            assert!(
                matches!(refused, Err(ApplyError::Model(_))),
                "its tuples are still there"
            );
            continue;
        }
        let less = after(&full, vec![delete(fact)]);
        assert_eq!(less.len(), facts.len() - 1, "{fact}");
        assert_eq!(after(&less, vec![put(fact)]).digest(), full.digest());
    }
    let none = after(&full, facts.iter().map(delete).collect());
    assert!(none.is_empty());
    assert_eq!(none.digest(), Digest::EMPTY);
}

#[test]
fn what_is_put_can_be_looked_up() {
    let state = at(1, every_kind_of_fact());
    let id = uuid::Uuid::from_u128;
    assert!(state.is_session_revoked(id(2).into()) && !state.is_session_revoked(id(9).into()));
    assert!(state.is_token_revoked(id(3).into()) && !state.is_token_revoked(id(9).into()));
    assert!(state.is_user_disabled(id(4).into()) && !state.is_user_disabled(id(9).into()));
    let key = state.service_key(&[0xcd; 32]).expect("known");
    assert_eq!(key.expires_at.map(|at| at.timestamp_micros()), Some(5));
    assert!(state.service_key(&[0; 32]).is_none());
    assert_eq!(state.keys().len(), 1);
    let Fact::Tuple(held) = tuple("a", "b") else {
        panic!("a tuple");
    };
    assert!(state.graph().contains(&held));
}

#[test]
fn repeating_a_change_changes_nothing() {
    let facts = every_kind_of_fact();
    let state = at(1, facts.clone());
    let again = after(&state, facts.iter().map(put).collect());
    assert_eq!(again.digest(), state.digest());
    let absent = [
        tuple("x", "y"),
        "disabled-user 00000000-0000-0000-0000-0000000000ff"
            .parse()
            .expect("a fact"),
    ];
    let still = after(&state, absent.iter().map(delete).collect());
    assert_eq!(still.digest(), state.digest());
}

#[test]
fn the_last_word_in_a_transaction_counts() {
    let (fact, state) = (tuple("a", "b"), at(1, vec![]));
    let there = after(&state, vec![put(&fact), delete(&fact), put(&fact)]);
    assert_eq!(lines(&there), [fact.to_string()]);
    let gone = after(&there, vec![delete(&fact), put(&fact), delete(&fact)]);
    assert!(gone.is_empty());
}

#[test]
fn only_the_key_of_a_fact_decides_what_is_replaced_or_deleted() {
    let line = |app: u128, expires: &str| -> Fact {
        let app = uuid::Uuid::from_u128(app);
        format!("service-key {} {app} docs {expires}", "ab".repeat(32))
            .parse()
            .expect("a fact")
    };
    let state = after(&at(1, vec![line(1, "-1")]), vec![put(&line(1, "77"))]);
    assert_eq!(lines(&state), [line(1, "77").to_string()]);
    let gone = after(&state, vec![delete(&line(9, "5"))]);
    assert!(gone.is_empty());
    assert_eq!(gone.digest(), Digest::EMPTY);
}

#[test]
fn a_tuple_with_an_end_and_the_same_without_replace_each_other() {
    let fact = |line: &str| line.parse::<Fact>().expect(line);
    let ending = |until| fact(&format!("expiring-tuple {until} docs/folder:a#viewer@user:b"));
    let (model, for_ever) = (
        fact(&format!("model docs 1 {FOLDERS}")),
        fact("tuple docs/folder:a#viewer@user:b"),
    );
    let mut state = at(1, vec![model.clone(), for_ever.clone()]);
    for fact in [ending(5), ending(6), ending(6), for_ever.clone(), ending(7)] {
        state = after(&state, vec![put(&fact)]);
        let mut both = [fact.to_string(), model.to_string()];
        both.sort();
        assert_eq!(lines(&state), both);
    }
    assert_eq!(after(&state, vec![delete(&for_ever)]).len(), 1);
}

#[test]
fn a_model_comes_and_goes_with_its_tuples() {
    let fact = |line: &str| line.parse::<Fact>().expect(line);
    let (model, held) = (
        fact(&format!("model docs 1 {FOLDERS}")),
        fact("tuple docs/folder:a#viewer@user:b"),
    );
    let state = at(1, vec![tuple("a", "b")]);
    assert!(matches!(
        state.advance(rev(2), vec![put(&held)]),
        Err(ApplyError::Model(_))
    ));
    // In whatever order a transaction says it.
    let both = after(&state, vec![put(&held), put(&model)]);
    assert_eq!(both.graph().len(), 2);
    let docs = "docs".parse().expect("a name");
    assert_eq!(both.models.get(&docs).map(|model| model.version), Some(1));
    let wider = format!("model docs 2 {FOLDERS}\\n    define owner: [user]");
    let wider = after(
        &both,
        vec![put(&fact(&wider)), put(&fact("tuple docs/folder:a#owner@user:b"))],
    );
    assert_eq!(wider.graph().len(), 3);
    let none = after(&both, vec![delete(&model), delete(&held)]);
    assert_eq!(none.digest(), state.digest());
    let bad = fact("model docs 1 no model");
    assert!(matches!(
        state.advance(rev(2), vec![put(&bad)]),
        Err(ApplyError::Models(_))
    ));
}

#[test]
fn a_model_that_means_the_same_leaves_the_graph_as_it_is() {
    let model = |version: u32, text: &str| -> Fact {
        format!("model docs {version} {text}").parse().expect("a fact")
    };
    let state = at(1, vec![model(1, FOLDERS), tuple("a", "b")]);
    let said_more = after(
        &state,
        vec![put(&model(2, &format!("{FOLDERS}\\n# that is all")))],
    );
    let before = state.graph().model();
    assert!(Arc::ptr_eq(before, said_more.graph().model()));
    assert_ne!(state.digest(), said_more.digest());
    let wider = format!("{FOLDERS}\\n    define owner: [user]");
    let wider = after(&state, vec![put(&model(2, &wider))]);
    assert!(!Arc::ptr_eq(before, wider.graph().model()));
}

#[test]
fn a_frame_applies_only_where_it_begins() {
    let state = at(5, vec![]);
    let frame = |from, to| Frame {
        from,
        to,
        changes: vec![put(&tuple("a", "b"))],
        digest: Digest::of(&tuple("a", "b")),
    };
    let other_epoch = |number| Revision { epoch: 2, number };
    assert!(state.apply(&frame(rev(5), rev(6))).is_ok());
    assert!(
        state.apply(&frame(rev(5), rev(9))).is_ok(),
        "several revisions at once"
    );
    for (from, to) in [
        (rev(4), rev(5)),
        (rev(6), rev(7)),
        (rev(5), rev(5)),
        (rev(5), rev(4)),
        (rev(5), other_epoch(6)),
        (other_epoch(5), other_epoch(6)),
    ] {
        let refused = state.apply(&frame(from, to));
        assert!(matches!(refused, Err(ApplyError::Gap { .. })), "{from} to {to}");
    }
}

#[test]
fn the_control_plane_itself_skips_no_revision() {
    let state = at(5, vec![]);
    for to in [rev(5), rev(4), rev(7), Revision { epoch: 2, number: 6 }] {
        assert!(
            matches!(state.advance(to, vec![]), Err(ApplyError::Gap { .. })),
            "{to}"
        );
    }
    assert!(state.advance(rev(6), vec![]).is_ok());
}

#[test]
fn a_frame_must_end_where_it_says() {
    let state = at(5, vec![]);
    let (_, mut frame) = state
        .advance(rev(6), vec![put(&tuple("a", "b"))])
        .expect("good changes");
    frame.changes.push(put(&tuple("a", "c")));
    assert!(matches!(state.apply(&frame), Err(ApplyError::Diverged { .. })));
    frame.changes.clear();
    assert!(matches!(state.apply(&frame), Err(ApplyError::Diverged { .. })));
}

#[test]
fn what_the_model_or_the_key_set_does_not_allow_is_refused_as_a_whole() {
    let good = tuple("a", "b");
    let odd: Fact = "tuple group:a#member@workspace:w".parse().expect("a tuple");
    let mut key = signing_key().to_json();
    key = key.replace("RS256", "HS256");
    let weak: Fact = format!("signing-key k 0 {key}").parse().expect("a fact");
    let state = at(1, vec![]);
    for (bad, wanted) in [(odd, "the model"), (weak, "signing key")] {
        let error = state
            .advance(rev(2), vec![put(&good), put(&bad)])
            .expect_err("refused");
        assert!(error.to_string().contains(wanted), "{error}");
        let error = ReplicaState::from_snapshot(rev(2), [good.clone(), bad]).expect_err("refused");
        assert!(error.to_string().contains(wanted), "{error}");
    }
}

#[test]
fn one_key_twice_in_a_snapshot_is_refused() {
    let a: Fact = "revoked-token 00000000-0000-0000-0000-000000000001 5"
        .parse()
        .expect("a fact");
    let b: Fact = "revoked-token 00000000-0000-0000-0000-000000000001 6"
        .parse()
        .expect("a fact");
    for facts in [[a.clone(), b], [a.clone(), a], [tuple("a", "b"), tuple("a", "b")]] {
        let refused = ReplicaState::from_snapshot(rev(1), facts).map(|_| ());
        assert_eq!(refused, Err(ApplyError::Duplicate));
    }
}

#[test]
fn maps_that_a_change_does_not_touch_are_shared() {
    let state = at(1, every_kind_of_fact());
    let next = after(&state, vec![put(&tuple("a", "z")), delete(&tuple("a", "b"))]);
    assert!(Arc::ptr_eq(&state.service_keys, &next.service_keys));
    assert!(Arc::ptr_eq(&state.revoked_sessions, &next.revoked_sessions));
    assert!(Arc::ptr_eq(&state.keys, &next.keys));
    let absent: Fact = "revoked-session 00000000-0000-0000-0000-0000000000ff 5"
        .parse()
        .expect("a fact");
    let next = after(&next, vec![delete(&absent)]);
    assert!(Arc::ptr_eq(&state.revoked_sessions, &next.revoked_sessions));
}

/// Whatever happened, in whatever order: the same facts give the same digest.
#[test]
fn a_long_random_history_ends_like_its_snapshot() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let mut state = at(0, vec![]);
    for _ in 0..200 {
        let changes = (0..random(6))
            .map(|_| {
                let n = u128::from(random(8));
                let id = uuid::Uuid::from_u128(n);
                let fact: Fact = match random(4) {
                    0 => tuple("a", &n.to_string()),
                    1 => format!("revoked-session {id} {}", random(3))
                        .parse()
                        .expect("a fact"),
                    2 => format!("disabled-user {id}").parse().expect("a fact"),
                    _ => tuple(&n.to_string(), "b"),
                };
                if random(2) == 0 {
                    Change::Put(fact)
                } else {
                    Change::Delete(fact)
                }
            })
            .collect();
        state = after(&state, changes);
    }
    assert_eq!(state.revision(), rev(200));
}

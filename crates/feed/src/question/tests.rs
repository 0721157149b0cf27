use sentinel_core::Fact;

use super::*;
use crate::frame::MessageError;
use crate::signed::{Kind, Signed};
use crate::testing::{FeedKey, rev};

const WORKSPACE: &str = "00000000-0000-0000-0000-000000000001";
const ANN: &str = "00000000-0000-0000-0000-000000000002";

fn state() -> ReplicaState {
    let model = r"model docs 1 model\n  schema 1.1\ntype user\ntype folder\n  relations\n    define workspace: [workspace]\n    define viewer: [user]\n    define odd: [user] but not missing\n    define missing: [user]\ntype page\n  relations\n    define folder: [folder]\n    define workspace: workspace from folder\n    define viewer: [user]\ntype note\n  relations\n    define viewer: [user]";
    let facts = [
        format!("tuple workspace:{WORKSPACE}#editor@user:{ANN}"),
        format!("tuple resource:docs/document/7#workspace@workspace:{WORKSPACE}"),
        format!("tuple resource:docs/document/7#owner@user:{ANN}"),
        format!("tuple docs/folder:1#workspace@workspace:{WORKSPACE}"),
        format!("tuple docs/folder:1#viewer@user:{ANN}"),
        format!("tuple docs/folder:2#viewer@user:{ANN}"),
        "tuple docs/page:1#folder@docs/folder:1".to_owned(),
        format!("tuple docs/page:1#viewer@user:{ANN}"),
        "tuple docs/page:2#folder@docs/folder:2".to_owned(),
        format!("tuple docs/page:2#viewer@user:{ANN}"),
        format!("tuple docs/note:1#viewer@user:{ANN}"),
        format!("expiring-tuple 5 docs/note:2#viewer@user:{ANN}"),
        model.to_owned(),
    ];
    let facts = facts.iter().map(|line| line.parse::<Fact>().expect(line));
    ReplicaState::from_snapshot(rev(1), facts).expect("good facts")
}

fn relation(object_type: &str, object_id: &str) -> Question {
    Question::Relation {
        workspace: WORKSPACE.parse().expect("an id"),
        user: ANN.parse().expect("an id"),
        service: "docs".parse().expect("a name"),
        object_type: object_type.into(),
        object_id: object_id.into(),
        relation: "viewer".into(),
    }
}

fn permission(workspace: &str, user: &str) -> Question {
    Question::Permission {
        workspace: workspace.parse().expect("an id"),
        user: user.parse().expect("an id"),
        service: "docs".parse().expect("a name"),
        resource_type: "document".parse().expect("a name"),
        id: "7".into(),
        permission: sentinel::Permission::Manage,
    }
}

#[test]
fn the_four_questions_are_answered_with_the_role_beside() {
    let state = state();
    let ask = |question: &Question| {
        let answer = question.answered_by(&state, Timestamp::UNIX_EPOCH);
        (answer.verdict, answer.role)
    };
    let editor = Some(WorkspaceRole::Editor);
    let role = |least| Question::Role {
        workspace: WORKSPACE.parse().expect("an id"),
        user: ANN.parse().expect("an id"),
        least,
    };
    assert_eq!(ask(&role(WorkspaceRole::Editor)), (Verdict::Yes, editor));
    assert_eq!(ask(&role(WorkspaceRole::Admin)), (Verdict::No, editor));
    assert_eq!(ask(&permission(WORKSPACE, ANN)), (Verdict::Yes, editor));
    assert_eq!(
        ask(&permission(ANN, ANN)),
        (Verdict::No, None),
        "another workspace"
    );
    assert_eq!(ask(&permission(WORKSPACE, WORKSPACE)), (Verdict::No, None));
    let action = Question::Action {
        workspace: WORKSPACE.parse().expect("an id"),
        user: ANN.parse().expect("an id"),
        service: "docs".parse().expect("a name"),
        action: "reports:export".parse().expect("a name"),
    };
    assert_eq!(ask(&action), (Verdict::No, editor));
    assert_eq!(ask(&relation("folder", "1")), (Verdict::Yes, editor));
    assert_eq!(
        ask(&relation("folder", "2")),
        (Verdict::No, editor),
        "no workspace"
    );
    assert_eq!(ask(&relation("page", "1")), (Verdict::Yes, editor));
    assert_eq!(
        ask(&relation("page", "2")),
        (Verdict::No, editor),
        "nor has its folder any"
    );
    assert_eq!(
        ask(&relation("note", "1")),
        (Verdict::Yes, editor),
        "the type has none"
    );
    assert_eq!(ask(&relation("unheard", "1")), (Verdict::Undecidable, editor));
    assert_eq!(ask(&relation("note", "2")), (Verdict::Yes, editor));
    let late = Timestamp::from_timestamp_micros(5).expect("in range");
    let over = relation("note", "2").answered_by(&state, late);
    assert_eq!(over.verdict, Verdict::No, "its end has come");
}

fn asked(nonce: u8) -> Asked {
    Asked {
        questions: vec![relation("folder", "1"), permission(WORKSPACE, ANN)],
        at_least: rev(3),
        nonce: [nonce; 16],
        budget: Duration::from_millis(50),
    }
}

#[test]
fn answers_are_to_what_was_asked_and_to_nothing_else() {
    let key = FeedKey::generate();
    let bytes = asked(1).to_bytes();
    assert_eq!(Asked::from_bytes(&bytes), Some(asked(1)));
    let answer = |verdict| Answer {
        verdict,
        role: Some(WorkspaceRole::Viewer),
    };
    let answers = Answers {
        answers: vec![answer(Verdict::Yes), answer(Verdict::Undecidable)],
        revision: rev(4),
        age: Duration::from_micros(7),
    };
    let signed = answers.seal(&bytes, key.signer());
    let open = |signed: &Signed, key: &FeedKey, bytes: &[u8], count| {
        Answers::open(signed, key.public(), bytes, count)
    };
    assert_eq!(open(&signed, &key, &bytes, 2), Ok(answers.clone()));
    let other = asked(2).to_bytes();
    assert!(matches!(
        open(&signed, &key, &other, 2),
        Err(MessageError::Malformed(_))
    ));
    let more = open(&signed, &key, &bytes, 3);
    assert!(matches!(more, Err(MessageError::Malformed(_))));
    let stranger = FeedKey::generate();
    let forged = open(&signed, &stranger, &bytes, 2);
    assert!(matches!(forged, Err(MessageError::Signature(_))));
    assert!(open(&key.seal(Kind::Frame, Vec::new()), &key, &bytes, 2).is_err());
    assert!(open(&key.seal(Kind::Answers, Vec::new()), &key, &bytes, 2).is_err());
}

#[test]
fn what_are_no_questions_is_not_answered() {
    let mut many = asked(1);
    many.questions = vec![permission(WORKSPACE, ANN); MAX_QUESTIONS];
    assert_eq!(Asked::from_bytes(&many.to_bytes()), Some(many.clone()));
    many.questions.push(permission(WORKSPACE, ANN));
    let mut long = asked(1);
    long.questions[0] = relation("folder", &"x".repeat(1025));
    let mut none = asked(1);
    none.questions.clear();
    let bad = [
        many.to_bytes(),
        long.to_bytes(),
        none.to_bytes(),
        vec![0xff; 3],
        vec![0x42; 40],
    ];
    for bytes in bad {
        assert_eq!(Asked::from_bytes(&bytes), None);
    }
}

//! Cases in which OpenFGA is known to be wrong, or its lists to be other than its checks. Each shows the answers of both, so
//! that somebody notices when OpenFGA mends it.

use std::collections::BTreeSet;

use crate::appeal::judge;
use crate::case::{Answer, Case, Question, Triple};
use crate::circle::Circles;
use crate::compare::{Outcome, compare};
use crate::schema::{Kind, Schema, direct};
use crate::{fga, known, ours};

fn by_hand(schema: Schema, tuples: &[&str], questions: Vec<Question>) -> Case {
    let triple = |text: &&str| {
        let (place, subject) = text.split_once('@').expect("a subject");
        let (object, relation) = place.split_once('#').expect("a relation");
        Triple::new(object, relation, subject.to_owned())
    };
    Case {
        number: 0,
        text: format!("model\n  schema 1.1\n{}", schema.types()),
        own: schema.types(),
        beside_sentinel: false,
        schema,
        tuples: tuples.iter().map(triple).collect(),
        passing: Vec::new(),
        questions,
    }
}

/// What both say to the questions of a case. Ours are the same in all places.
fn both(case: &Case) -> Vec<(Answer, Answer)> {
    let [engine, others @ ..] = ours::everywhere(case).expect("a good case").places;
    let ours: Vec<Answer> = case.questions.iter().map(|one| engine.answer(one)).collect();
    for other in &others {
        let elsewhere: Vec<Answer> = case.questions.iter().map(|one| other.answer(one)).collect();
        assert_eq!(elsewhere, ours, "{}", other.place);
    }
    let dir = tempfile::tempdir().expect("a directory");
    let verdict = fga::ask(dir.path(), &[(case, &ours)]).expect("a good case");
    let theirs = case.questions.iter().zip(&ours);
    let theirs: Vec<Answer> = theirs
        .map(|(question, ours)| fga::answer(&verdict, case, question, ours))
        .collect();
    ours.into_iter().zip(theirs).collect()
}

const YES: Answer = Answer::Holds(true);
const NO: Answer = Answer::Holds(false);

/// `banned` takes its own usersets and those of `owner`, which some subjects cannot be.
fn owners_and_banned(owner: &[&str]) -> Schema {
    let kind = |name: &str, relations| Kind {
        name: name.to_owned(),
        relations,
    };
    let relations = vec![
        ("owner".to_owned(), direct(owner)),
        (
            "banned".to_owned(),
            direct(&["folder#banned", "folder#owner", "robot"]),
        ),
    ];
    Schema {
        kinds: vec![
            kind("user", Vec::new()),
            kind("robot", Vec::new()),
            kind("folder", relations),
        ],
    }
}

const ONE_IN_ANOTHER: [&str; 3] = [
    "folder:1#banned@robot:ann",
    "folder:2#banned@folder:1#owner",
    "folder:3#banned@folder:1#banned",
];

/// What the definition asks of `folder:2`: the only tuple of its `banned` names the owners of `folder:1`, so exactly they
/// are banned there. `folder:1` has no owner: no tuple gives it one. Nobody is banned from `folder:2`, Ann neither.
fn in_another() -> Vec<Question> {
    vec![
        Question::check("folder:2", "banned", "robot:ann"),
        Question::check("folder:1", "owner", "robot:ann"),
        Question::check("folder:1", "banned", "robot:ann"),
        Question::check("folder:3", "banned", "robot:ann"),
    ]
}

/// See [`Schema::confuses_them`].
#[test]
fn openfga_takes_another_relations_userset_for_the_recursion() {
    let schema = owners_and_banned(&["user"]);
    assert!(schema.confuses_them());
    let answers = both(&by_hand(schema, &ONE_IN_ANOTHER, in_another()));
    let [at_two, owner_of_one, at_one, at_three] = &answers[..] else {
        panic!("{answers:?}");
    };
    // Both agree on everything that the answer for `folder:2` is made of, and on the real recursion.
    assert_eq!(*owner_of_one, (NO, NO));
    assert_eq!((at_one, at_three), (&(YES, YES), &(YES, YES)));
    assert_eq!(
        at_two.0, owner_of_one.0,
        "banned from `folder:2` are the owners of `folder:1`"
    );
    assert_eq!(
        at_two.1, YES,
        "OpenFGA has mended it: cases like this can be made up again, see `Schema::confuses_them`"
    );
}

/// The same with a type between that has a relation of the same name.
#[test]
fn openfga_does_so_with_a_relation_of_the_same_name_elsewhere() {
    let mut schema = owners_and_banned(&["user"]);
    let [.., folder] = &mut schema.kinds[..] else {
        panic!("no types");
    };
    folder.relations[1].1 = direct(&["folder#banned", "team#owner", "robot"]);
    schema.kinds.push(Kind {
        name: "team".to_owned(),
        relations: vec![
            ("owner".to_owned(), direct(&["user"])),
            ("banned".to_owned(), direct(&["folder#banned"])),
        ],
    });
    assert!(schema.confuses_them());
    let tuples = [
        "folder:1#banned@robot:ann",
        "folder:2#banned@team:1#owner",
        "team:1#banned@folder:1#banned",
    ];
    // Banned from `folder:2` are the owners of the team, and it has none; Ann is banned from the team.
    let questions = vec![
        Question::check("folder:2", "banned", "robot:ann"),
        Question::check("team:1", "owner", "robot:ann"),
        Question::check("team:1", "banned", "robot:ann"),
    ];
    let answers = both(&by_hand(schema, &tuples, questions));
    assert_eq!(answers, [(NO, YES), (NO, NO), (YES, YES)]);
}

/// Where the other relation can have every subject, OpenFGA does not take its shortcut. Such models are made up at random.
#[test]
fn openfga_is_right_where_the_other_relation_takes_everyone() {
    let schema = owners_and_banned(&["user", "robot"]);
    assert!(!schema.confuses_them());
    let answers = both(&by_hand(schema, &ONE_IN_ANOTHER, in_another()));
    assert_eq!(answers, [(NO, NO), (NO, NO), (YES, YES), (YES, YES)]);
}

/// By the definition of `both` Ann is in it. She views `a`, as everyone does, and is not banned there. She views `1`
/// through its parent `a`; everyone is banned from `1`, and through its parent `b` she is, but she is pardoned in `1`.
/// Whoever views both `1` and a parent of it is in its `both`.
#[test]
fn openfga_lists_fewer_users_than_it_says_yes_to() {
    let ann = "user:018f4e7a-0000-7000-8000-000000000004";
    let tuples = [
        "folder:1#banned@user:*",
        &format!("folder:1#pardoned@{ann}"),
        "folder:1#parent@folder:a",
        "folder:1#parent@folder:b",
        "folder:a#viewer@user:*",
        &format!("folder:b#banned@{ann}"),
        "folder:b#parent@folder:a",
    ];
    let list = Question::subjects("folder:1", "both", "user", None);
    let questions = vec![Question::check("folder:1", "both", ann), list.clone()];
    let case = by_hand(known::folders(), &tuples, questions);
    let answers = both(&case);
    let [check, (ours, theirs)] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert_eq!(*check, (YES, YES));
    assert_eq!(*ours, listed(&[ann]));
    assert_eq!(
        *theirs,
        listed(&[]),
        "OpenFGA has mended it: say so in `appeal.rs`"
    );
    let outcome = judge(&case, &Circles::of(&case), &list, ours, theirs);
    assert_eq!(outcome, Outcome::AgainstTheirCheck);
}

fn listed(ids: &[&str]) -> Answer {
    let ids: BTreeSet<String> = ids.iter().map(|&id| id.to_owned()).collect();
    Answer::List(ids)
}

/// Nobody is excused whom OpenFGA's checks do not agree with, in any part of the list.
#[test]
fn a_wrong_list_of_ours_stays_a_difference() {
    let tuples = [
        "folder:1#banned@robot:ann",
        "folder:2#banned@robot:ann",
        "folder:2#banned@robot:bob",
    ];
    let case = by_hand(owners_and_banned(&["user"]), &tuples, Vec::new());
    let circles = Circles::of(&case);
    let banned = listed(&["folder:1", "folder:2"]);
    let people = listed(&["robot:ann", "robot:bob"]);
    let objects = Question::objects("folder", "banned", "robot:ann");
    let subjects = Question::subjects("folder:2", "banned", "robot", None);
    for (question, right, wrong) in [
        (&objects, &banned, listed(&["folder:1"])),
        (&objects, &banned, listed(&["folder:1", "folder:2", "folder:3"])),
        // One that is missing in theirs and one that is in ours by mistake: the checks agree with half of it.
        (
            &objects,
            &listed(&["folder:1"]),
            listed(&["folder:2", "folder:3"]),
        ),
        (&subjects, &people, listed(&["robot:ann"])),
        (
            &subjects,
            &people,
            listed(&["robot:ann", "robot:bob", "robot:eve"]),
        ),
        (&subjects, &people, listed(&["robot:ann", "robot:bob", "robot:*"])),
    ] {
        assert_eq!(compare(&circles, question, right, right), Outcome::Equal);
        let judged = |ours, theirs| judge(&case, &circles, question, ours, theirs);
        assert_eq!(judged(&wrong, right), Outcome::Different, "{question}: {wrong:?}");
    }
    let nothing = listed(&[]);
    for (question, right) in [(&objects, &banned), (&subjects, &people)] {
        let judged = |ours, theirs| judge(&case, &circles, question, ours, theirs);
        assert_eq!(judged(right, &nothing), Outcome::AgainstTheirCheck);
        // A list that failed is none that could be wrong.
        let failed = Answer::None("failed".to_owned());
        assert_eq!(judged(right, &failed), Outcome::Different);
        assert_eq!(judged(&failed, right), Outcome::Different);
    }
}

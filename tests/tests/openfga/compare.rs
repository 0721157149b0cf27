//! Whether two answers mean the same.

use std::collections::BTreeSet;

use crate::case::{Answer, Question};
use crate::circle::Circles;

/// What comes of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The answers are equal.
    Equal,
    /// OpenFGA follows at most 25 relations in a row and answers no question that takes more. Ours follows 100.
    BeyondTheirDepth,
    /// See [`Circles`]: here only a yes of theirs must be one of ours.
    Circle,
    /// Two lists differ, and where they do OpenFGA's own checks say what ours says: see [`judge`](crate::appeal::judge).
    AgainstTheirCheck,
    /// They differ.
    Different,
}

/// How OpenFGA says that it did not follow a question to its end.
const TOO_DEEP: &str = "Code(2002)";

/// Compares.
pub(crate) fn compare(circles: &Circles, question: &Question, ours: &Answer, theirs: &Answer) -> Outcome {
    if matches!(theirs, Answer::None(error) if error.contains(TOO_DEEP)) && !matches!(ours, Answer::None(_)) {
        return Outcome::BeyondTheirDepth;
    }
    match question {
        Question::Check { object, relation, .. } if circles.contain(object, relation) => {
            let is_wrong = theirs.holds() && !ours.holds();
            either(!is_wrong, Outcome::Circle)
        }
        Question::Check { .. } => either(ours == theirs, Outcome::Equal),
        Question::Objects { relation, .. } => match (ours, theirs) {
            (Answer::List(ours), Answer::List(theirs)) => {
                let mut other = ours.symmetric_difference(theirs).peekable();
                let outcome = if other.peek().is_some() {
                    Outcome::Circle
                } else {
                    Outcome::Equal
                };
                either(other.all(|object| circles.contain(object, relation)), outcome)
            }
            _ => Outcome::Different,
        },
        Question::Subjects { object, relation, .. } if circles.contain(object, relation) => Outcome::Circle,
        Question::Subjects { userset, .. } => match (ours, theirs) {
            (Answer::List(ours), Answer::List(theirs)) => {
                let mut theirs = theirs.clone();
                if userset.is_some() {
                    // Asked for usersets of a type, OpenFGA lists plain objects of the type as well. Ours does not.
                    theirs.retain(|subject| subject.contains('#'));
                }
                either(same_subjects(ours, &theirs), Outcome::Equal)
            }
            _ => Outcome::Different,
        },
    }
}

/// What is in one list only, each with the check that it stands for and what the check says if our list is right. Objects in
/// circles are not among them: there the two differ in what they mean, and a check decides nothing.
pub(crate) fn disputed(
    circles: &Circles,
    question: &Question,
    ours: &Answer,
    theirs: &Answer,
) -> Vec<(Question, Answer)> {
    let (Answer::List(ours), Answer::List(theirs)) = (ours, theirs) else {
        return Vec::new();
    };
    let either = ours.symmetric_difference(theirs);
    let check = |item: &String| {
        let check = match question {
            Question::Objects {
                relation, subject, ..
            } if !circles.contain(item, relation) => Question::check(item, relation, subject),
            Question::Subjects {
                object,
                relation,
                userset,
                ..
            } if userset.is_none() || item.contains('#') => Question::check(object, relation, item),
            _ => return None,
        };
        Some((check, Answer::Holds(ours.contains(item))))
    };
    either.filter_map(check).collect()
}

fn either(same: bool, outcome: Outcome) -> Outcome {
    if same { outcome } else { Outcome::Different }
}

/// Where everyone has a relation, OpenFGA lists `user:*` and those who have it by another way. Ours lists everyone whom a
/// tuple on the way mentions and who has it. The checks of every one of them are compared as well.
fn same_subjects(ours: &BTreeSet<String>, theirs: &BTreeSet<String>) -> bool {
    let everyone = |list: &BTreeSet<String>| list.iter().any(|subject| subject.ends_with(":*"));
    everyone(ours) == everyone(theirs) && ours.is_superset(theirs) && (everyone(ours) || ours == theirs)
}

/// Whether our engine may leave the question, or these objects of a list, without an answer: only in a paradox, which
/// needs a circle.
pub(crate) fn may_leave_open(circles: &Circles, question: &Question, open: &[String]) -> bool {
    match question {
        Question::Check { object, relation, .. } | Question::Subjects { object, relation, .. } => {
            circles.contain(object, relation)
        }
        Question::Objects { relation, .. } => {
            !open.is_empty() && open.iter().all(|object| circles.contain(object, relation))
        }
    }
}

/// How OpenFGA says that it sees nothing that a relation could begin with.
const NO_BEGINNING: [&str; 2] = ["no entrypoints defined", "potential loop"];

/// Whether OpenFGA refuses a model that ours takes for a reason that it alone has: on its way to what a relation begins
/// with it wants the excluded part of a `but not` to begin somewhere as well, and it does not enter a circle of
/// relations twice, even where another way leads out.
pub(crate) fn is_refused_by_them_alone(error: &str) -> bool {
    NO_BEGINNING.iter().any(|known| error.contains(known))
}

//! Lists on which the two engines differ: what OpenFGA's own checks say of them.
//!
//! A check is the definition, and a list is all that it says yes to. OpenFGA has other code for its lists, and some of them
//! are not what its checks say (of 1.22: users are missing where `and` and `but not` meet everyone of a type, and in
//! circles of usersets under `and`, there not every time). Whoever differs from such a list need not be wrong.

use crate::case::{Answer, Case, Question};
use crate::circle::Circles;
use crate::compare::{Outcome, compare, disputed};
use crate::fga;

/// Compares; where two lists differ, OpenFGA is asked to check, with the same model and tuples, everything that is in one
/// of them only.
pub(crate) fn judge(
    case: &Case,
    circles: &Circles,
    question: &Question,
    ours: &Answer,
    theirs: &Answer,
) -> Outcome {
    let outcome = compare(circles, question, ours, theirs);
    if outcome != Outcome::Different {
        return outcome;
    }
    let (questions, answers): (Vec<Question>, Vec<Answer>) =
        disputed(circles, question, ours, theirs).into_iter().unzip();
    if questions.is_empty() {
        return Outcome::Different;
    }
    let case = Case {
        questions,
        ..case.clone()
    };
    let dir = tempfile::tempdir().expect("a directory");
    match fga::ask(dir.path(), &[(&case, &answers)]) {
        Ok(verdict) if verdict.others.is_empty() => Outcome::AgainstTheirCheck,
        Ok(_) | Err(_) => Outcome::Different,
    }
}

/// How many lists may be against OpenFGA's own checks before something else must be behind it.
pub(crate) fn bearable(lists: u64) -> u64 {
    (lists / 1000).max(5)
}

//! A difference, made small and written so that it can be tried again by hand.

use std::fmt::Write as _;

use crate::case::{Answer, Case, Question};
use crate::circle::Circles;
use crate::compare::Outcome;
use crate::{appeal, fga, ours};

/// A difference between the two engines, with as few tuples as it takes.
pub(crate) fn shown(case: &Case, question: &Question, ours: &Answer, theirs: &Answer) -> String {
    let mut small = Case {
        questions: vec![question.clone()],
        ..case.clone()
    };
    let mut last = (ours.clone(), theirs.clone());
    let mut number = 0;
    while number < small.tuples.len() {
        let mut smaller = small.clone();
        smaller.tuples.remove(number);
        match differs(&smaller) {
            Some(answers) => (small, last) = (smaller, answers),
            None => number += 1,
        }
    }
    let (ours, theirs) = last;
    let mut text = describe(&small);
    let _ = write!(text, "{question}\n  ours:    {ours:?}\n  OpenFGA: {theirs:?}");
    text
}

/// The answers to the one question, if they still differ.
fn differs(case: &Case) -> Option<(Answer, Answer)> {
    let [question] = &case.questions[..] else {
        return None;
    };
    let answer = ours::engine(case).ok()?.answer(question);
    let dir = tempfile::tempdir().ok()?;
    let verdict = fga::ask(dir.path(), &[(case, std::slice::from_ref(&answer))]).ok()?;
    let theirs = fga::answer(&verdict, case, question, &answer);
    let outcome = appeal::judge(case, &Circles::of(case), question, &answer, &theirs);
    (outcome == Outcome::Different).then_some((answer, theirs))
}

/// A model or a tuple that one of the engines does not take and the other one does.
pub(crate) fn refused(case: &Case, error: &str) -> String {
    format!("{}refused: {error}", describe(case))
}

/// Two answers of ours that are not the same.
pub(crate) fn unequal(
    case: &Case,
    question: &Question,
    ours: &Answer,
    place: &str,
    other: &Answer,
) -> String {
    format!(
        "{}{question}\n  engine: {ours:?}\n  {place}: {other:?}",
        describe(case)
    )
}

fn describe(case: &Case) -> String {
    let mut text = format!("-- case {}\n{}", case.number, case.text);
    for tuple in &case.tuples {
        let _ = writeln!(text, "{tuple}");
    }
    text
}

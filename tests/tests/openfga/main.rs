//! Our permission engine against OpenFGA's own, the program `fga`: on random models, tuples and questions both must give
//! the same answers, and so must the replica of an edge, and the edge to a request.
//!
//! `cargo xtask openfga --cases N --seed S` compares as many cases as one likes.

mod appeal;
mod case;
mod circle;
mod compare;
mod fga;
mod generate;
mod known;
mod models;
mod ours;
mod pinned;
mod random;
mod requests;
mod schema;
mod served;
mod shrink;
mod signer;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::case::{Answer, Case, Question};
use crate::circle::Circles;
use crate::compare::{Outcome, is_refused_by_them_alone, may_leave_open};
use crate::ours::Everywhere;
use crate::requests::Edge;

/// How many cases there are if nothing else is said.
const CASES: u64 = 2_200;

/// How many of them must be compared. Models that OpenFGA refuses are not.
const COMPARED: u64 = 2_000;

/// The seed that they follow from then: the same on every run, so that a failure is the fault of the change.
const SEED: u64 = 5;

/// How many cases the program is given at once.
const BATCH: u64 = 50;

/// What was compared.
#[derive(Debug, Default)]
struct Tally {
    cases: u64,
    checks: u64,
    lists: u64,
    allowed: u64,
    /// Checks that were asked of an edge as well, as requests.
    requests: u64,
    /// How many of them it let pass.
    passed: u64,
    beyond_their_depth: u64,
    circles: u64,
    /// Models that OpenFGA alone refuses.
    refused: u64,
    /// Lists in which OpenFGA contradicts its own check.
    against_their_check: u64,
    differences: Vec<String>,
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var_os(variable)?;
    let number = value.to_str().and_then(|value| value.parse().ok());
    Some(number.unwrap_or_else(|| panic!("`{variable}` must be a number")))
}

#[test]
fn random_cases_have_the_same_answers() {
    let cases = number(xtask::openfga::CASES_VARIABLE).unwrap_or(CASES);
    let seed = number(xtask::openfga::SEED_VARIABLE).unwrap_or(SEED);
    xtask::openfga::version().expect("the program");
    let tally = Mutex::new(Tally::default());
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let mut edge = Edge::start();
                loop {
                    let start = next.fetch_add(BATCH, Ordering::Relaxed);
                    if start >= cases {
                        return;
                    }
                    let batch: Vec<Case> = (start..cases.min(start + BATCH))
                        .map(|number| generate::case(seed, number))
                        .collect();
                    let found = compare_batch(&batch, &mut edge);
                    tally.lock().unwrap_or_else(PoisonError::into_inner).add(found);
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{} of {} cases from seed {seed} compared: {} checks ({} allowed) and {} lists, {} of \
         the checks as requests at an edge ({} let pass); {} models refused by OpenFGA \
         alone, {} questions beyond its depth, {} in circles, {} lists in which OpenFGA contradicts its own check; {} \
         differences",
        tally.compared(),
        tally.cases,
        tally.checks,
        tally.allowed,
        tally.lists,
        tally.requests,
        tally.passed,
        tally.refused,
        tally.beyond_their_depth,
        tally.circles,
        tally.against_their_check,
        tally.differences.len()
    );
    let shown = tally
        .differences
        .get(..tally.differences.len().min(10))
        .unwrap_or_default();
    assert!(
        shown.is_empty(),
        "{} differences from seed {seed}:\n\n{}",
        tally.differences.len(),
        shown.join("\n\n")
    );
    assert_eq!(tally.cases, cases);
    let bearable = appeal::bearable(tally.lists);
    assert!(
        tally.against_their_check <= bearable,
        "{} lists in which OpenFGA contradicts its own check; at most {bearable} were to be expected",
        tally.against_their_check
    );
    if cases < CASES {
        return;
    }
    assert!(tally.compared() >= COMPARED, "too few cases were compared");
    // The cases are worth something: both answers are common, and few questions are beyond comparison.
    let questions = tally.checks + tally.lists;
    assert!(tally.allowed * 10 > tally.checks && tally.allowed * 10 < tally.checks * 9);
    assert!(tally.requests * 4 > tally.checks && tally.passed * 10 > tally.requests);
    assert!(tally.beyond_their_depth * 100 < questions && tally.circles * 10 < questions);
    assert!(tally.refused * 20 < tally.cases);
}

/// Compares some cases, and looks closer where they differ.
fn compare_batch(cases: &[Case], edge: &mut Edge) -> Tally {
    let mut tally = Tally::default();
    let mut good: Vec<(&Case, Ours)> = Vec::new();
    for case in cases {
        tally.cases += 1;
        match answers(case, edge) {
            Ok(answers) => good.push((case, answers)),
            Err(difference) => tally.differences.push(difference),
        }
    }
    let models: Vec<&Case> = good.iter().map(|(case, _)| *case).collect();
    for refused in fga::refused(&models) {
        tally.refuse(&mut good, &refused);
    }
    let verdict = loop {
        if good.is_empty() {
            break fga::Verdict::default();
        }
        let asked: Vec<(&Case, &[Answer])> = good
            .iter()
            .map(|(case, ours)| (*case, &ours.answers[..]))
            .collect();
        let dir = tempfile::tempdir().expect("a directory");
        match fga::ask(dir.path(), &asked) {
            Ok(verdict) => break verdict,
            // A tuple that it does not take ends the whole run: once more without it.
            Err(refused) => tally.refuse(&mut good, &refused),
        }
    };
    for (case, Ours { answers, decisions }) in &good {
        let circles = Circles::of(case);
        for decision in decisions.iter().flatten() {
            tally.requests += 1;
            tally.passed += u64::from(decision.holds());
        }
        for (question, ours) in case.questions.iter().zip(answers) {
            let theirs = fga::answer(&verdict, case, question, ours);
            let outcome = appeal::judge(case, &circles, question, ours, &theirs);
            tally.count(question, ours, outcome);
            if outcome == Outcome::Different {
                // To make it small takes many runs of the program: the first one of a batch is enough.
                let difference = if tally.differences.is_empty() {
                    shrink::shown(case, question, ours, &theirs)
                } else {
                    shrink::unequal(case, question, ours, "OpenFGA", &theirs)
                };
                eprintln!("{difference}\n");
                tally.differences.push(difference);
            }
        }
    }
    tally
}

/// What ours says to the questions of a case.
struct Ours {
    answers: Vec<Answer>,
    /// The same again from an edge, for what can be asked there.
    decisions: Vec<Option<Answer>>,
}

/// The answers of our engine, which must be the same in all places, and to requests.
fn answers(case: &Case, edge: &mut Edge) -> Result<Ours, String> {
    let Everywhere { places, edge: state } =
        ours::everywhere(case).map_err(|error| shrink::refused(case, &error))?;
    let [engine, others @ ..] = places;
    let circles = Circles::of(case);
    let mut answers = Vec::with_capacity(case.questions.len());
    let decisions = edge.decide(&state, case);
    for (question, decision) in case.questions.iter().zip(&decisions) {
        let (answer, open) = engine.answer_in_full(question);
        for other in &others {
            let (elsewhere, open_elsewhere) = other.answer_in_full(question);
            if !same_in_both_places(&answer, &elsewhere) || open != open_elsewhere {
                let place = other.place;
                return Err(shrink::unequal(case, question, &answer, place, &elsewhere));
            }
        }
        if let Some(decision) = decision
            && !same_in_both_places(&answer, decision)
        {
            return Err(shrink::unequal(
                case,
                question,
                &answer,
                "request at an edge",
                decision,
            ));
        }
        let is_open = matches!(answer, Answer::None(_)) || !open.is_empty();
        if is_open && !may_leave_open(&circles, question, &open) {
            return Err(shrink::unequal(
                case,
                question,
                &answer,
                "wanted",
                &Answer::None("an answer".to_owned()),
            ));
        }
        answers.push(answer);
    }
    Ok(Ours { answers, decisions })
}

/// Errors name types, which have the service's name before them at an edge.
fn same_in_both_places(one: &Answer, other: &Answer) -> bool {
    matches!((one, other), (Answer::None(_), Answer::None(_))) || one == other
}

impl Tally {
    /// Cases that both engines have answered.
    fn compared(&self) -> u64 {
        self.cases - self.refused
    }

    /// Takes a case away that OpenFGA does not take.
    fn refuse(&mut self, good: &mut Vec<(&Case, Ours)>, refused: &fga::Refused) {
        let at = good.iter().position(|(case, _)| case.number == refused.case);
        let (case, _) = good.remove(at.expect("one of these cases"));
        if is_refused_by_them_alone(&refused.error) {
            self.refused += 1;
        } else {
            self.differences.push(shrink::refused(case, &refused.error));
        }
    }

    fn count(&mut self, question: &Question, ours: &Answer, outcome: Outcome) {
        match question {
            Question::Check { .. } => self.checks += 1,
            Question::Objects { .. } | Question::Subjects { .. } => self.lists += 1,
        }
        self.allowed += u64::from(ours.holds());
        self.beyond_their_depth += u64::from(outcome == Outcome::BeyondTheirDepth);
        self.circles += u64::from(outcome == Outcome::Circle);
        self.against_their_check += u64::from(outcome == Outcome::AgainstTheirCheck);
    }

    fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.checks += other.checks;
        self.lists += other.lists;
        self.requests += other.requests;
        self.passed += other.passed;
        self.allowed += other.allowed;
        self.beyond_their_depth += other.beyond_their_depth;
        self.circles += other.circles;
        self.refused += other.refused;
        self.against_their_check += other.against_their_check;
        self.differences.extend(other.differences);
    }
}

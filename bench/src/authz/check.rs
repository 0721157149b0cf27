//! Times of single checks.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sentinel_authz::sentinel::{self, Permission};
use sentinel_authz::{Graph, Model, Query, TupleChange};
use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_core::{Timestamp, Tuple};
use tokio::time::Instant;

use super::Heap;
use super::world::{Draw, Kind, MEMBERS, RESOURCES, World, id, member, resource_id, workspace_id};
use crate::statistics::{Median, percentile};

/// How many questions are asked in a round: each of them once, in no order that a cache could foresee.
const QUESTIONS: usize = 100_000;
const ROUNDS: usize = 5;

/// What many single checks cost.
pub(super) struct Cost {
    pub(super) p50: Median,
    pub(super) p99: Median,
    /// How many of all checks allocated, as a share.
    pub(super) allocating: f64,
    /// How many were allowed, as a share.
    pub(super) allowed: f64,
}

/// One question about a resource.
struct Question {
    workspace: WorkspaceId,
    user: UserId,
    number: usize,
    id: String,
}

/// Asks whether members of the resource's workspace, or people from anywhere, may see it.
pub(super) fn sentinel(
    graph: &Graph,
    world: &World,
    workspaces: usize,
    members: bool,
    heap: Heap,
) -> Result<Cost> {
    let mut draw = Draw::new(Kind::Question, usize::from(members));
    let questions: Vec<Question> = (0..QUESTIONS)
        .map(|_| {
            let (workspace, number) = (draw.below(workspaces), draw.below(RESOURCES));
            let from = if members {
                workspace
            } else {
                draw.below(workspaces)
            };
            Question {
                workspace: workspace_id(workspace),
                user: member(from, draw.below(MEMBERS)),
                number,
                id: resource_id(workspace, number),
            }
        })
        .collect();
    measure(
        heap,
        &questions,
        |question| {
            // A question that is asked has just been read from a request.
            black_box(question.id.bytes().fold(0_u8, |sum, byte| sum ^ byte));
            black_box((question.workspace, question.user));
        },
        |question| {
            let kind = world.kind(question.number);
            let Question {
                workspace, user, id, ..
            } = question;
            Ok(sentinel::may(
                graph,
                *workspace,
                *user,
                &world.service,
                kind,
                id,
                Permission::View,
            )?)
        },
    )
}

/// Groups in groups: half of them chains with two people on each level, half trees in which each group has two more.
pub(super) fn nested(tuples: usize, heap: Heap) -> Result<(Cost, f64)> {
    const MODEL: &str =
        "model\n  schema 1.1\ntype user\ntype group\n  relations\n    define member: [user, group#member]\n";
    let before = (heap.living)();
    let mut graph = Graph::new(std::sync::Arc::new(Model::parse(MODEL)?));
    let mut forests = 0;
    while graph.len() < tuples {
        let batch: Vec<Tuple> = (forests..forests + 500)
            .map(forest)
            .collect::<Result<Vec<_>>>()?
            .concat();
        forests += 500;
        graph = graph.apply(batch.iter().map(TupleChange::Put))?;
    }
    let bytes = per_tuple((heap.living)() - before, graph.len());
    let mut draw = Draw::new(Kind::Question, 2);
    let questions: Vec<(String, String)> = (0..QUESTIONS)
        .map(|_| {
            let forest = draw.below(forests);
            // Seven in ten are asked about somebody in the group.
            let from = if draw.below(10) < 7 {
                forest
            } else {
                draw.below(forests)
            };
            let person = draw.below(people_of(from));
            Ok((group_id(forest, 0), person_id(from, person)))
        })
        .collect::<Result<_>>()?;
    let now = Timestamp::UNIX_EPOCH;
    let cost = measure(
        heap,
        &questions,
        |(group, user)| {
            black_box(
                group
                    .bytes()
                    .chain(user.bytes())
                    .fold(0_u8, |sum, byte| sum ^ byte),
            );
        },
        |(group, user)| {
            let query = Query {
                object_type: "group",
                object_id: group,
                relation: "member",
                subject_type: "user",
                subject_id: user,
                subject_relation: None,
            };
            Ok(graph.at(now).check(&query)?)
        },
    )?;
    Ok((cost, bytes))
}

/// How deep a forest is, and how many groups each group of it has.
fn shape(forest: usize) -> (usize, usize) {
    (4 + forest % 3, 1 + forest / 3 % 2)
}

fn groups_of(forest: usize) -> usize {
    let (depth, branches) = shape(forest);
    if branches == 1 { depth } else { (1 << depth) - 1 }
}

/// Two in each group.
fn people_of(forest: usize) -> usize {
    groups_of(forest) * 2
}

fn group_id(forest: usize, group: usize) -> String {
    id(Kind::Group, forest * 64 + group).to_string()
}

fn person_id(forest: usize, person: usize) -> String {
    id(Kind::User, forest * 128 + person).to_string()
}

fn forest(forest: usize) -> Result<Vec<Tuple>> {
    let (_, branches) = shape(forest);
    let count = groups_of(forest);
    let nested = (1..count).map(|group| {
        let above = if branches == 1 { group - 1 } else { (group - 1) / 2 };
        format!(
            "group:{}#member@group:{}#member",
            group_id(forest, above),
            group_id(forest, group)
        )
    });
    let people = (0..people_of(forest)).map(|person| {
        format!(
            "group:{}#member@user:{}",
            group_id(forest, person / 2),
            person_id(forest, person)
        )
    });
    nested.chain(people).map(|text| Ok(text.parse()?)).collect()
}

/// Heap per tuple.
pub(super) fn per_tuple(bytes: usize, tuples: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "both are far below 2^52")]
    let share = bytes as f64 / tuples.max(1) as f64;
    share
}

/// Times each question by itself. What the clock itself takes, the median of many empty measurements, is taken off.
fn measure<Q>(
    heap: Heap,
    questions: &[Q],
    read: impl Fn(&Q),
    ask: impl Fn(&Q) -> Result<bool>,
) -> Result<Cost> {
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    let mut allocating = 0_usize;
    let mut allowed = 0_usize;
    for question in questions {
        let before = (heap.ever)();
        let yes = ask(black_box(question))?;
        allocating += usize::from((heap.ever)() != before);
        allowed += usize::from(yes);
    }
    for _ in 0..ROUNDS {
        let clock = clock()?;
        let mut times = Vec::with_capacity(questions.len());
        for question in questions {
            read(question);
            let started = Instant::now();
            let answer = ask(black_box(question));
            let took = started.elapsed();
            black_box(answer)?;
            times.push(took.saturating_sub(clock));
        }
        times.sort_unstable();
        let nanoseconds = |percent| -> Result<f64> {
            Ok(percentile(&times, percent)
                .context("nothing was measured")?
                .as_secs_f64()
                * 1e9)
        };
        p50.push(nanoseconds(50)?);
        p99.push(nanoseconds(99)?);
    }
    ensure!(!questions.is_empty(), "nothing was asked");
    Ok(Cost {
        p50: Median::of(p50).context("no round")?,
        p99: Median::of(p99).context("no round")?,
        allocating: per_tuple(allocating, questions.len()),
        allowed: per_tuple(allowed, questions.len()),
    })
}

/// What reading the clock twice takes.
fn clock() -> Result<Duration> {
    let mut times: Vec<Duration> = (0..10_001)
        .map(|_| {
            let started = Instant::now();
            black_box(());
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    percentile(&times, 50).context("the clock stands still")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAP: Heap = Heap {
        living: || 0,
        ever: || 0,
        peak: || 0,
    };

    #[test]
    fn about_seven_in_ten_members_see_a_resource_and_hardly_anybody_else() {
        let world = World::new().expect("names");
        let mut graph = Graph::new(sentinel::model());
        for workspace in 0..10 {
            let tuples = world.tuples(workspace).expect("tuples");
            graph = graph.apply(tuples.iter().map(TupleChange::Put)).expect("allowed");
        }
        let share = |members| {
            sentinel(&graph, &world, 10, members, HEAP)
                .expect("answers")
                .allowed
        };
        assert!((0.65..0.75).contains(&share(true)), "{}", share(true));
        assert!(share(false) < 0.1, "{}", share(false));
    }

    #[test]
    fn everybody_in_a_forest_is_in_its_root() {
        let (cost, _) = nested(2_000, HEAP).expect("answers");
        assert!((0.65..0.75).contains(&cost.allowed), "{}", cost.allowed);
    }
}

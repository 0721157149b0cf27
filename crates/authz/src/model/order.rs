//! Which relations of the same object are computed from which. Definitions may be long chains and share parts as they
//! like: everything here takes time in proportion to the model, and none of it goes deep on the stack.

use super::{Model, RelationId, Rewrite};

/// The relations of a model, each behind those of the same object that it is computed from.
pub(super) struct Order {
    /// All relations. Where some are computed from each other, their order among themselves is any.
    pub(super) relations: Vec<RelationId>,
    /// For each relation, whether it is computed from itself, in however many steps.
    pub(super) circular: Vec<bool>,
}

/// A relation on the way down, and which of those that it is computed from comes next.
struct Step {
    relation: usize,
    next: usize,
}

/// What is known of a relation while the way goes on; all of it 0 before it was met.
#[derive(Clone, Copy, Default)]
struct Met {
    /// When it was met, from 1.
    at: usize,
    /// The earliest one that can be gone back to from it.
    back_to: usize,
    is_closed: bool,
}

impl Order {
    /// Tarjan's strongly connected components, with the way in a list instead of on the stack.
    pub(super) fn of(model: &Model) -> Self {
        let from: Vec<Vec<usize>> = model
            .relations
            .iter()
            .map(|relation| computed_from(&relation.rewrite))
            .collect();
        let mut order = Self {
            relations: Vec::with_capacity(from.len()),
            circular: vec![false; from.len()],
        };
        let mut met = vec![Met::default(); from.len()];
        let mut time = 0_usize;
        let mut way: Vec<Step> = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        for first in 0..from.len() {
            if get(&met, first).at == 0 {
                enter(first, &mut time, &mut met, &mut way, &mut open);
            }
            while let Some(step) = way.last_mut() {
                let relation = step.relation;
                let next = from.get(relation).and_then(|from| from.get(step.next)).copied();
                step.next = step.next.saturating_add(1);
                if let Some(next) = next {
                    order.mark(next == relation, relation);
                    let found = get(&met, next);
                    if found.at == 0 {
                        enter(next, &mut time, &mut met, &mut way, &mut open);
                    } else if !found.is_closed {
                        go_back(&mut met, relation, found.at);
                    }
                    continue;
                }
                way.pop();
                let done = get(&met, relation);
                if let Some(above) = way.last() {
                    go_back(&mut met, above.relation, done.back_to);
                }
                if done.back_to == done.at {
                    order.close(relation, &mut met, &mut open);
                }
            }
        }
        order
    }

    /// All that was met since the relation and is open still is computed from each other.
    fn close(&mut self, relation: usize, met: &mut [Met], open: &mut Vec<usize>) {
        let is_alone = open.last() == Some(&relation);
        while let Some(one) = open.pop() {
            if let Some(met) = met.get_mut(one) {
                met.is_closed = true;
            }
            self.mark(!is_alone, one);
            self.relations.extend(u16::try_from(one).map(RelationId));
            if one == relation {
                break;
            }
        }
    }

    fn mark(&mut self, is_circular: bool, relation: usize) {
        if let Some(circular) = self.circular.get_mut(relation) {
            *circular |= is_circular;
        }
    }
}

fn get(met: &[Met], relation: usize) -> Met {
    met.get(relation).copied().unwrap_or_default()
}

fn enter(relation: usize, time: &mut usize, met: &mut [Met], way: &mut Vec<Step>, open: &mut Vec<usize>) {
    *time = time.saturating_add(1);
    if let Some(met) = met.get_mut(relation) {
        met.at = *time;
        met.back_to = *time;
    }
    way.push(Step { relation, next: 0 });
    open.push(relation);
}

fn go_back(met: &mut [Met], relation: usize, to: usize) {
    if let Some(met) = met.get_mut(relation) {
        met.back_to = met.back_to.min(to);
    }
}

/// The relations of the same object that a definition names, each once.
fn computed_from(rewrite: &Rewrite) -> Vec<usize> {
    let mut found = Vec::new();
    collect(rewrite, &mut found);
    found.sort_unstable();
    found.dedup();
    found
}

fn collect(rewrite: &Rewrite, into: &mut Vec<usize>) {
    match rewrite {
        Rewrite::Computed(relation) => into.push(usize::from(relation.0)),
        Rewrite::Direct | Rewrite::From { .. } => {}
        Rewrite::Any(parts) | Rewrite::All(parts) => {
            for part in parts {
                collect(part, into);
            }
        }
        Rewrite::Except(base, minus) => {
            collect(base, into);
            collect(minus, into);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    /// Runs where a way that goes deep on the stack ends the process.
    fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
        let thread = std::thread::Builder::new().stack_size(512 * 1024).spawn(test);
        thread.expect("a thread").join().expect("no panic");
    }

    fn model(definitions: &str) -> Result<Model, crate::ModelError> {
        Model::parse(&format!(
            "model\n  schema 1.1\ntype user\ntype doc\n  relations\n    define a0: [user]\n    define b0: [user]\n{definitions}"
        ))
    }

    fn names(model: &Model, of: impl Fn(&super::super::Relation) -> bool) -> usize {
        model.relations.iter().filter(|relation| of(relation)).count()
    }

    #[test]
    fn relations_that_share_parts_on_many_levels_are_looked_at_once_each() {
        for joined in ["or", "and", "but not"] {
            let mut text = String::new();
            for level in 1..=40 {
                let below = level - 1;
                for name in ["a", "b"] {
                    writeln!(text, "    define {name}{level}: a{below} {joined} b{below}").expect("written");
                }
            }
            let model = model(&text).expect("a model");
            let decided = names(&model, |relation| relation.shortcut.decides);
            assert_eq!(decided, if joined == "or" { 82 } else { 2 }, "{joined}");
            assert!(model.can_have("doc", "a40", "user"));
        }
    }

    #[test]
    fn a_long_chain_takes_no_stack() {
        on_a_small_stack(|| {
            for upwards in [true, false] {
                let mut lines: Vec<String> = (1..4_000)
                    .map(|at| format!("    define a{at}: a{} or b0\n", at - 1))
                    .collect();
                if !upwards {
                    lines.reverse();
                }
                let chain = model(&lines.concat()).expect("a model");
                assert_eq!(names(&chain, |relation| relation.shortcut.decides), 4_001);
                assert!(chain.can_have("doc", "a3999", "user"));
                let ring = lines.concat().replace("define a1: a0", "define a1: a3999");
                let error = model(&ring).expect_err("a circle");
                assert!(error.message.contains("is computed from itself"), "{error}");
                assert_eq!(error.line, 8, "the first of those on the circle");
            }
        });
    }

    #[test]
    fn what_only_leads_to_a_circle_is_not_on_it() {
        let error = model(
            "    define c: d
    define d: e or f
    define e: e
    define f: g
    define g: f or a0",
        )
        .expect_err("a circle");
        assert!(
            error.message.starts_with("`e` is computed from itself"),
            "{error}"
        );
    }

    #[test]
    fn a_definition_with_very_many_parts_is_refused() {
        let parts = |count: usize| model(&format!("    define c: {}", vec!["a0"; count].join(" or ")));
        assert!(parts(256).is_ok());
        let error = parts(257).expect_err("too many");
        assert_eq!((error.line, error.column), (8, 12));
        let kinds = |count: usize| model(&format!("    define c: [{}]", vec!["user"; count].join(", ")));
        assert!(kinds(256).is_ok() && kinds(257).is_err());
    }
}

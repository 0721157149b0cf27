//! Relations that can never hold, or that would be asked of themselves for ever, are mistakes of the model.

use super::ast::{RelationDef, TypeDef};
use super::order::Order;
use super::{Form, Model, ModelError, Relation, RelationId, Rewrite, TypeId};

/// Checks every relation of a compiled model.
pub(super) fn check(model: &Model, order: &Order, types: &[TypeDef<'_>]) -> Result<(), ModelError> {
    let definitions = types.iter().flat_map(|def| &def.relations);
    let can_hold = relations_that_can_hold(model, |_| true);
    for ((def, is_circular), can_hold) in definitions.zip(&order.circular).zip(can_hold) {
        let RelationDef { name, .. } = def;
        if *is_circular {
            let message = format!(
                "`{}` is computed from itself and never ends; take it out of its own definition",
                name.text
            );
            return Err(ModelError::at(name.at, message));
        }
        if !can_hold {
            let message = format!(
                "`{}` can never hold, whatever tuples there are; give it direct types, such as `[user]`",
                name.text
            );
            return Err(ModelError::at(name.at, message));
        }
    }
    Ok(())
}

/// For each relation, whether some set of tuples makes it hold for a subject of one of these types: the least set that
/// the definitions allow.
pub(super) fn relations_that_can_hold(model: &Model, of_type: impl Fn(TypeId) -> bool) -> Vec<bool> {
    let mut gates = Gates::of(model, &of_type);
    while let Some(gate) = gates.open.pop() {
        let Some(gate) = gates.all.get_mut(gate) else {
            continue;
        };
        gate.needs = gate.needs.saturating_sub(1);
        if gate.needs == 0 && !gate.holds {
            gate.holds = true;
            gates.open.append(&mut gate.leads_to);
        }
    }
    let relations = gates.all.iter().take(model.relations.len());
    relations.map(|gate| gate.holds).collect()
}

/// The definitions as gates, each of which is come to once for each thing that makes it hold: so that the time that it
/// takes is in proportion to the model.
struct Gates {
    /// First one for each relation, by its number; then those of the parts of each `and`.
    all: Vec<Gate>,
    /// Where something came to.
    open: Vec<usize>,
}

#[derive(Default)]
struct Gate {
    /// How many things are missing before it holds.
    needs: usize,
    holds: bool,
    leads_to: Vec<usize>,
}

impl Gates {
    fn of(model: &Model, of_type: &impl Fn(TypeId) -> bool) -> Self {
        let mut gates = Self {
            all: Vec::new(),
            open: Vec::new(),
        };
        for _ in &model.relations {
            gates.add(1, None);
        }
        for (number, relation) in model.relations.iter().enumerate() {
            gates.part(&relation.rewrite, relation, number, of_type);
        }
        gates
    }

    fn add(&mut self, needs: usize, leads_to: Option<usize>) -> usize {
        let number = self.all.len();
        self.all.push(Gate {
            needs,
            holds: false,
            leads_to: leads_to.into_iter().collect(),
        });
        number
    }

    fn lead(&mut self, from: RelationId, to: usize) {
        if let Some(gate) = self.all.get_mut(usize::from(from.0)) {
            gate.leads_to.push(to);
        }
    }

    /// A part of a definition, which is enough for the gate `to`.
    fn part(&mut self, part: &Rewrite, relation: &Relation, to: usize, of_type: &impl Fn(TypeId) -> bool) {
        match part {
            Rewrite::Direct => {
                for one in &relation.direct {
                    match one.form {
                        Form::Object | Form::Wildcard => self.open.extend(of_type(one.kind).then_some(to)),
                        Form::Userset(of) => self.lead(of, to),
                    }
                }
            }
            Rewrite::Computed(other) => self.lead(*other, to),
            // What is followed always may have tuples.
            Rewrite::From { targets, .. } => {
                for (_, target) in targets.iter() {
                    self.lead(*target, to);
                }
            }
            Rewrite::Any(parts) => {
                for part in parts {
                    self.part(part, relation, to, of_type);
                }
            }
            Rewrite::All(parts) => {
                let all = self.add(parts.len(), Some(to));
                for part in parts {
                    let one = self.add(1, Some(all));
                    self.part(part, relation, one, of_type);
                }
            }
            // What is taken away may be nothing.
            Rewrite::Except(base, _) => self.part(base, relation, to, of_type),
        }
    }
}

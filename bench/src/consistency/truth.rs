//! What is true of the folders of one writer: a tree of two levels, and who may see which of them.

use crate::dice::Dice;
use crate::fleet::Change;

/// Folders at the top, and below each of them.
const TOP: usize = 3;
const BELOW: usize = 4;

/// The folders of one writer.
#[derive(Debug)]
pub(super) struct Truth {
    prefix: String,
    /// Who is a viewer, by folder and person.
    viewers: Vec<Vec<bool>>,
    /// Whether a lower folder is in its upper one.
    inside: Vec<bool>,
}

/// A question and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    /// The folder's id.
    pub(super) folder: String,
    /// The person's place in the list.
    pub(super) person: usize,
    /// Whether he may read it.
    pub(super) may: bool,
}

impl Truth {
    /// No tuples.
    pub(super) fn new(prefix: String, people: usize) -> Self {
        Self {
            prefix,
            viewers: vec![vec![false; people]; TOP + TOP * BELOW],
            inside: vec![false; TOP * BELOW],
        }
    }

    fn id(&self, folder: usize) -> String {
        format!("{}-{folder}", self.prefix)
    }

    /// The folder that a lower one may be in.
    fn above(folder: usize) -> Option<usize> {
        folder.checked_sub(TOP).map(|lower| lower / BELOW)
    }

    /// Changes a few tuples: what is written, and what is to be asked afterwards. No tuple changes twice.
    pub(super) fn change(
        &mut self,
        dice: &mut Dice,
        users: &[String],
        most: usize,
    ) -> (Vec<Change>, Vec<Question>) {
        let (mut changes, mut asked) = (Vec::new(), Vec::new());
        for _ in 0..=dice.below(most) {
            let folder = dice.below(self.viewers.len());
            let person = dice.below(users.len());
            let change = match folder.checked_sub(TOP) {
                Some(lower) if dice.below(4) == 0 => self.move_folder(lower),
                _ => self.share(folder, person, users),
            };
            let Some(change) = change else { continue };
            let is_new = |other: &Change| other.object != change.object || other.subject != change.subject;
            if changes.iter().all(is_new) {
                changes.push(change);
                asked.push((folder, person));
            } else {
                // Back again: only one change of a tuple is in a write.
                self.undo(folder, person, &change);
            }
        }
        let questions = asked.into_iter().map(|(folder, person)| Question {
            folder: self.id(folder),
            person,
            may: self.may(folder, person),
        });
        let questions = questions.collect();
        (changes, questions)
    }

    fn share(&mut self, folder: usize, person: usize, users: &[String]) -> Option<Change> {
        let object = format!("folder:{}", self.id(folder));
        let holds = self.viewers.get_mut(folder)?.get_mut(person)?;
        *holds = !*holds;
        Some(Change {
            holds: *holds,
            object,
            relation: "viewer",
            subject: format!("user:{}", users.get(person)?),
        })
    }

    fn move_folder(&mut self, lower: usize) -> Option<Change> {
        let (object, subject) = (self.id(lower + TOP), self.id(lower / BELOW));
        let holds = self.inside.get_mut(lower)?;
        *holds = !*holds;
        Some(Change {
            holds: *holds,
            object: format!("folder:{object}"),
            relation: "parent",
            subject: format!("folder:{subject}"),
        })
    }

    fn undo(&mut self, folder: usize, person: usize, change: &Change) {
        let holds = if change.relation == "parent" {
            folder
                .checked_sub(TOP)
                .and_then(|lower| self.inside.get_mut(lower))
        } else {
            self.viewers
                .get_mut(folder)
                .and_then(|viewers| viewers.get_mut(person))
        };
        if let Some(holds) = holds {
            *holds = !change.holds;
        }
    }

    /// Whether a person may read a folder.
    fn may(&self, folder: usize, person: usize) -> bool {
        let views = |folder: usize| {
            let viewers = self.viewers.get(folder);
            viewers
                .and_then(|viewers| viewers.get(person))
                .copied()
                .unwrap_or(false)
        };
        let is_inside = |lower: usize| self.inside.get(lower).copied().unwrap_or(false);
        views(folder)
            || folder.checked_sub(TOP).is_some_and(is_inside) && Self::above(folder).is_some_and(views)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_is_true_follows_from_what_was_written() {
        let users: Vec<String> = ["ann", "bob"].map(str::to_owned).to_vec();
        let (mut truth, mut dice) = (Truth::new("w".to_owned(), 2), Dice(7));
        let mut tuples = BTreeSet::new();
        let (mut yes, mut no) = (0, 0);
        for _ in 0..2_000 {
            let (changes, questions) = truth.change(&mut dice, &users, 6);
            for change in &changes {
                let tuple = (change.object.clone(), change.relation, change.subject.clone());
                let is_news = if change.holds {
                    tuples.insert(tuple)
                } else {
                    tuples.remove(&tuple)
                };
                assert!(is_news, "{change:?} changes nothing");
            }
            for question in questions {
                let user = format!("user:{}", users[question.person]);
                let is_viewer = |folder: &str| tuples.contains(&(folder.to_owned(), "viewer", user.clone()));
                let folder = format!("folder:{}", question.folder);
                let above = tuples
                    .iter()
                    .filter(|(object, relation, _)| *object == folder && *relation == "parent");
                let may =
                    is_viewer(&folder) || above.map(|(_, _, above)| above).any(|above| is_viewer(above));
                assert_eq!(may, question.may, "{question:?}");
                if may { yes += 1 } else { no += 1 }
            }
        }
        assert!(yes > 500 && no > 500);
    }
}

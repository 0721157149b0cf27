//! Objects and their numbers. An object is known by its type and id; the graph holds its number in every other place.
//!
//! What a check waits for is memory. The usual question of an edge, the role of a user in a workspace and a permission on
//! a resource, looks at eight places that no cache has where there are many tuples: for each of the three objects a place
//! in the index and then its record, and the plain tuples between user and workspace and between user and resource. They
//! are fetched in two rounds, however many they are: the three places in the index, which follow from the hashes alone;
//! then the three records and both places of tuples, which follow from the numbers that the index says, before anybody has
//! looked whether they are right. The search itself looks at nothing else unless the resource is shared with groups, whose
//! records and tuples are fetched together in one round more. Each question waited for the same places again, and for
//! a role and a permission one after the other, before [`crate::sentinel::Member`] kept them.

use std::sync::Arc;

use super::edges::Edges;
use super::id;
use super::keyed::{Hashed, Keys};
use super::numbered::{Keyed, Numbered};
use super::table::Fetch;
use crate::model::TypeId;

/// The number of the empty beginning of an id. No text has it.
const NO_HEAD: u32 = u32::MAX;

/// All objects that tuples mention.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// Beginnings of ids, and ids without a UUID at the end.
    texts: Numbered<Text>,
    nodes: Numbered<Node>,
}

#[derive(Debug, Clone, Default)]
struct Text(Option<Arc<str>>);

/// An object in the graph.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    identity: Identity,
    /// The tuples of this object that are followed from it, in order.
    pub(super) edges: Edges,
}

/// What tells one object from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Identity {
    /// In halves, so that the whole packs well.
    tail: [u64; 2],
    head: u32,
    kind: TypeId,
    form: Form,
}

/// How an object's id is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Form {
    /// The id is the text `head`.
    #[default]
    Text,
    /// The id is the text `head` and the UUID `tail`.
    Uuid,
    /// No id: everyone of the type, as in `user:*`.
    Everyone,
}

impl Hashed for Identity {
    fn hashed(&self, keys: &Keys) -> u32 {
        let Self {
            tail: [high, low],
            head,
            kind,
            form,
        } = *self;
        let what = (u64::from(kind.number()) << 8) | form as u64;
        keys.of_words([high, low, (what << 32) | u64::from(head)])
    }
}

impl Hashed for &str {
    fn hashed(&self, keys: &Keys) -> u32 {
        keys.of_text(self)
    }
}

/// A cache line.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Line;

impl Keyed for Text {
    type Align = u8;
    type Key<'k> = &'k str;

    fn has_key(&self, key: &&str) -> bool {
        self.0.as_deref() == Some(*key)
    }

    fn key(&self) -> &str {
        self.as_str()
    }
}

impl Text {
    fn new(text: &str) -> Self {
        Self(Some(text.into()))
    }

    fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

impl Keyed for Node {
    /// So that looking at one object waits for one line only.
    type Align = Line;
    type Key<'k> = Identity;

    fn has_key(&self, key: &Identity) -> bool {
        self.identity == *key
    }

    fn key(&self) -> Identity {
        self.identity
    }
}

impl Node {
    /// The two parts of the object's id: the number of its text, and its UUID.
    pub(super) fn parts(&self) -> (Option<u32>, Option<u128>) {
        let Identity { head, form, tail, .. } = self.identity;
        let uuid = (form == Form::Uuid).then(|| join_halves(tail));
        ((head != NO_HEAD).then_some(head), uuid)
    }

    /// The object's type.
    pub(super) fn kind(&self) -> TypeId {
        self.identity.kind
    }

    /// Whether this stands for everyone of the type.
    pub(super) fn is_everyone(&self) -> bool {
        self.identity.form == Form::Everyone
    }
}

impl Names {
    /// No objects.
    pub(super) fn new() -> Self {
        Self {
            texts: Numbered::new(),
            nodes: Numbered::new(),
        }
    }

    /// The number of an object that some tuple mentions.
    pub(super) fn find(&self, kind: TypeId, id: &str) -> Option<u32> {
        let (head, tail) = id::split(id);
        let [number] = self
            .find_all([(kind, head, tail)], |_| ())
            .0
            .map(|found| Some(found?.0));
        number
    }

    /// Several objects and their numbers, each by its type and the two parts of its id. `beside` is told the
    /// numbers that they have, nearly always, before they are certain: what it wants is fetched from memory meanwhile.
    pub(super) fn find_all<const N: usize, R: Fetch>(
        &self,
        wanted: [(TypeId, &str, Option<u128>); N],
        beside: impl FnOnce(&[Option<u32>; N]) -> R,
    ) -> ([Option<(u32, &Node)>; N], R) {
        // The processor looks some hundred instructions ahead, so what is to be fetched together must be close together:
        // first all places are worked out, then all are fetched.
        let mut found = wanted.map(|_| None);
        let identities = wanted.map(|(kind, head, tail)| {
            let head = match head {
                "" => NO_HEAD,
                text => self.texts.find(&text)?,
            };
            Some(identity(kind, head, tail))
        });
        let places = identities.map(|identity| Some(self.nodes.expect(&identity?)));
        places.fetch();
        let guesses = places.map(|place| place?.guess());
        let nodes = guesses.map(|guess| Some(self.nodes.record(guess?)));
        let beside = beside(&guesses);
        nodes.fetch();
        beside.fetch();
        for ((found, identity), guess) in found.iter_mut().zip(&identities).zip(guesses) {
            *found = identity
                .as_ref()
                .and_then(|identity| self.nodes.confirm(identity, guess));
        }
        (found, beside)
    }

    /// The number of an object, which is given one if it has none. `None` if there is no number left.
    pub(super) fn intern(&mut self, kind: TypeId, id: &str) -> Option<u32> {
        let (head, tail) = id::split(id);
        let head = match head {
            "" => NO_HEAD,
            text => match self.texts.find(&text) {
                Some(found) => found,
                None => self.texts.add(Text::new(text), 0)?,
            },
        };
        self.intern_identity(identity(kind, head, tail))
    }

    /// The number of a text that is new; `None` if it is not, or if there is no number left.
    pub(super) fn add_text(&mut self, text: &str) -> Option<u32> {
        let is_new = self.texts.find(&text).is_none();
        is_new.then(|| self.texts.add(Text::new(text), 0)).flatten()
    }

    /// The text with this number.
    pub(super) fn text(&self, number: u32) -> Option<&str> {
        self.texts.get(number).map(Text::as_str)
    }

    /// The number that the next object gets where none was ever removed.
    pub(super) fn next_number(&self) -> Option<u32> {
        u32::try_from(self.nodes.len()).ok()
    }

    /// Makes room for so many objects. Nothing may be there yet but who stands for everyone.
    pub(super) fn reserve(&mut self, objects: usize) {
        self.nodes.reserve(objects);
    }

    /// Gives a number to an object that has none, with the tuples that are followed from it and the number of those that
    /// mention it. `None` if it is there already, or if no number is left.
    pub(super) fn add(
        &mut self,
        kind: TypeId,
        head: Option<u32>,
        tail: Option<u128>,
        edges: Edges,
        references: u32,
    ) -> Option<u32> {
        let identity = identity(kind, head.unwrap_or(NO_HEAD), tail);
        if self.nodes.find(&identity).is_some() {
            return None;
        }
        self.texts.retain(identity.head);
        self.nodes.add(Node { identity, edges }, references)
    }

    /// The number that stands for everyone of a type, whether tuples mention them or not.
    pub(super) fn add_everyone(&mut self, kind: TypeId) -> Option<u32> {
        let number = self.intern_identity(Identity {
            tail: [0; 2],
            head: NO_HEAD,
            kind,
            form: Form::Everyone,
        })?;
        self.retain(number);
        Some(number)
    }

    fn intern_identity(&mut self, identity: Identity) -> Option<u32> {
        if let Some(found) = self.nodes.find(&identity) {
            return Some(found);
        }
        self.texts.retain(identity.head);
        let edges = Edges::default();
        self.nodes.add(Node { identity, edges }, 0)
    }

    /// One more tuple mentions the object.
    pub(super) fn retain(&mut self, number: u32) {
        self.nodes.retain(number);
    }

    /// One tuple less mentions the object. With the last one it is forgotten.
    pub(super) fn release(&mut self, number: u32) {
        if let Some(node) = self.nodes.release(number) {
            self.texts.release(node.identity.head);
        }
    }

    /// The object with this number, to be fetched.
    pub(super) fn expect(&self, number: u32) -> impl Fetch {
        self.nodes.record(number)
    }

    /// The object with this number.
    pub(super) fn node(&self, number: u32) -> Option<&Node> {
        self.nodes.get(number)
    }

    /// The object with this number, to change its edges.
    pub(super) fn node_mut(&mut self, number: u32) -> Option<&mut Node> {
        self.nodes.get_mut(number)
    }

    /// The id of the object with this number; `*` for everyone.
    pub(super) fn id(&self, number: u32) -> Option<String> {
        let identity = self.nodes.get(number)?.identity;
        let head = match identity.head {
            NO_HEAD => "",
            head => self.texts.get(head)?.as_str(),
        };
        Some(match identity.form {
            Form::Everyone => "*".to_owned(),
            Form::Text => head.to_owned(),
            Form::Uuid => id::join(head, Some(join_halves(identity.tail))),
        })
    }

    /// All objects with their numbers, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Node)> {
        self.nodes.iter()
    }

    /// Whether there were far more objects once, and what is left of them lies far apart.
    pub(super) fn is_sparse(&self) -> bool {
        self.nodes.is_sparse() || self.texts.is_sparse()
    }

    /// For how many objects and for how many texts there is room, in the records and in the index.
    #[cfg(test)]
    pub(super) fn room(&self) -> [(usize, usize); 2] {
        [self.nodes.room(), self.texts.room()]
    }

    /// How many objects and texts there are.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.nodes.len(), self.texts.len())
    }
}

fn identity(kind: TypeId, head: u32, tail: Option<u128>) -> Identity {
    Identity {
        tail: halves(tail.unwrap_or(0)),
        head,
        kind,
        form: if tail.is_some() { Form::Uuid } else { Form::Text },
    }
}

#[expect(clippy::cast_possible_truncation, reason = "each half is cut off on purpose")]
fn halves(tail: u128) -> [u64; 2] {
    [(tail >> 64) as u64, tail as u64]
}

fn join_halves([high, low]: [u64; 2]) -> u128 {
    (u128::from(high) << 64) | u128::from(low)
}

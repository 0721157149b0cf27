//! From a graph to bytes and back: how a whole graph is sent and stored.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;
use sentinel_core::{Object, Subject, Timestamp, Tuple};

use super::Graph;
use super::edges::Edges;
use super::id;
use super::link::{Edge, Link, Pair};
use super::names::Node;
use super::packed::{
    Malformed, NO_PLACE, NOTHING, Packed, PackedLink, PackedObject, Shape, Side, TOO_MANY, Writer,
};
use super::state::State;
use super::table::{Slot as _, Table};
use crate::model::{Form, Placed, RelationId, TypeId};
use crate::{InvalidTupleForModel, Model, TupleChange};

/// Why bytes do not become a graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// They are not what [`Graph::pack`] writes.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// They have a tuple that the model does not allow.
    #[error(transparent)]
    Model(#[from] InvalidTupleForModel),
}

/// An id may not be longer, in bytes.
const LONGEST: usize = 1024;
/// The length of the text of a UUID.
const UUID: usize = 36;

impl Graph {
    /// Adds all tuples to `bytes`, in the form that [`Packed::read`] takes apart. `None` if there are more than the form
    /// has numbers for.
    pub fn pack(&self, bytes: &mut Vec<u8>) -> Option<()> {
        pack(&self.inner.state, bytes)
    }

    /// The graph of these tuples. Everything is checked as if each tuple were put by itself, and that none is there twice.
    ///
    /// # Errors
    ///
    /// The bytes are none that [`Graph::pack`] writes, or have a tuple that the model does not allow.
    pub fn unpack(model: Arc<Model>, packed: &Packed<'_>) -> Result<Self, UnpackError> {
        Ok(Self::from_parts(unpack(model, packed)?, OnceLock::new()))
    }
}

/// The same tuples in as little memory as they need, with new numbers. Done where most of what there was is gone, it costs
/// less than what went before.
pub(super) fn compacted(state: &State) -> Option<State> {
    let mut bytes = Vec::new();
    pack(state, &mut bytes)?;
    unpack(Arc::clone(&state.model), &Packed::read(&bytes).ok()?).ok()
}

/// The same tuples under another model, with new numbers. `None` where they do not go into bytes.
///
/// # Errors
/// A tuple that the other model does not allow.
pub(super) fn remodelled(state: &State, model: Arc<Model>) -> Result<Option<State>, InvalidTupleForModel> {
    let mut bytes = Vec::new();
    if pack(state, &mut bytes).is_none() {
        return Ok(None);
    }
    let Ok(packed) = Packed::read(&bytes) else {
        return Ok(None);
    };
    match unpack(model, &packed) {
        Ok(state) => Ok(Some(state)),
        Err(UnpackError::Model(refused)) => Err(refused),
        Err(UnpackError::Malformed(_)) => Ok(None),
    }
}

fn pack(state: &State, bytes: &mut Vec<u8>) -> Option<()> {
    let mut into = Writer(bytes);
    let model = &state.model;
    let types: Vec<TypeId> = model.type_ids().collect();
    into.count(types.len())?;
    for kind in &types {
        into.text(&model.kind(*kind)?.name)?;
    }

    // Objects and texts get places in the order of their numbers; those that stand for everyone get none.
    let mut objects = Vec::new();
    let mut places = Vec::new();
    let (mut texts, mut text_places) = (Vec::new(), HashMap::<u32, u32, RandomState>::default());
    for (number, node) in state.names.iter() {
        let number = usize::try_from(number).ok()?;
        if places.len() <= number {
            places.resize(number.checked_add(1)?, NOTHING);
        }
        if node.is_everyone() {
            continue;
        }
        *places.get_mut(number)? = u32::try_from(objects.len()).ok()?;
        let (head, uuid) = node.parts();
        let text = match head {
            None => NOTHING,
            Some(head) => {
                if let Some(place) = text_places.get(&head) {
                    *place
                } else {
                    let place = u32::try_from(texts.len()).ok()?;
                    texts.push(state.names.text(head)?);
                    text_places.insert(head, place);
                    place
                }
            }
        };
        objects.push(PackedObject {
            kind: node.kind().number(),
            text,
            uuid,
        });
    }
    let place_of = |number: u32| -> Option<u32> { places.get(usize::try_from(number).ok()?).copied() };

    let mut shapes: Vec<Shape<'_>> = Vec::new();
    let mut shape_places = HashMap::<(RelationId, RelationId, TypeId, bool), u16, RandomState>::default();
    let mut links = Vec::with_capacity(state.len());
    let mut ends = HashMap::<PackedLink, i64, RandomState>::default();
    for link in state.links() {
        let Link { object, edge } = link;
        let subject = state.names.node(edge.subject)?;
        let key = (edge.relation, edge.userset, subject.kind(), subject.is_everyone());
        let shape = if let Some(place) = shape_places.get(&key) {
            *place
        } else {
            let place = u16::try_from(shapes.len()).ok()?;
            shapes.push(shape_of(model, edge, subject)?);
            shape_places.insert(key, place);
            place
        };
        let packed = PackedLink {
            object: place_of(object)?,
            subject: place_of(edge.subject)?,
            shape,
        };
        if let Some(until) = state.ends.of(&link) {
            ends.insert(packed, until.timestamp_micros());
        }
        links.push(packed);
    }
    links.sort_unstable();

    into.count(shapes.len())?;
    for shape in &shapes {
        into.shape(shape)?;
    }
    into.count(texts.len())?;
    for text in texts {
        into.text(text)?;
    }
    into.count(objects.len())?;
    for object in objects {
        into.object(object);
    }
    into.count(links.len())?;
    for link in &links {
        into.link(*link);
    }
    into.count(ends.len())?;
    if !ends.is_empty() {
        for (place, link) in (0_u32..).zip(&links) {
            if let Some(until) = ends.get(link) {
                into.end(place, *until);
            }
        }
    }
    Some(())
}

/// What a tuple has in common with others.
fn shape_of<'m>(model: &'m Model, edge: Edge, subject: &Node) -> Option<Shape<'m>> {
    let relation = model.relation(edge.relation)?;
    Some(Shape {
        object: relation.kind.number(),
        relation: &relation.name,
        subject: subject.kind().number(),
        side: match model.relation(edge.userset) {
            Some(userset) => Side::Userset(&userset.name),
            None if subject.is_everyone() => Side::Everyone,
            None => Side::Object,
        },
    })
}

fn unpack(model: Arc<Model>, packed: &Packed<'_>) -> Result<State, UnpackError> {
    let shapes = placed_shapes(&model, packed)?;
    let kinds = kinds(&model, packed);
    let references = references(packed, &shapes, &kinds)?;
    check_texts(packed)?;

    let mut state = State::new(model);
    let by_pair = |edge: Edge| -> Option<u16> {
        let relation = state.model.relation(edge.relation)?;
        (edge.userset == RelationId::NONE && !relation.is_tupleset).then_some(relation.slot)
    };
    // How each shape is kept; the subject comes with the tuple.
    let kept: Vec<(Edge, Option<u16>)> = shapes
        .iter()
        .map(|placed| {
            let edge = Edge {
                relation: placed.relation,
                userset: match placed.subject.form {
                    Form::Userset(relation) => relation,
                    Form::Object | Form::Wildcard => RelationId::NONE,
                },
                subject: 0,
            };
            (edge, by_pair(edge))
        })
        .collect();
    let pairs = packed.links().filter(|link| {
        kept.get(usize::from(link.shape))
            .is_some_and(|(_, slot)| slot.is_some())
    });
    let mut table = Table::with_room(pairs.count());
    let mut texts = Vec::with_capacity(packed.texts.len());
    for text in &packed.texts {
        texts.push(state.names.add_text(text).ok_or(TWICE)?);
    }

    // Objects get numbers one behind the other, so that they are known before the objects are there.
    let first = state.names.next_number().ok_or(TOO_MANY)?;
    let number_of = |place: u32| first.checked_add(place).ok_or(TOO_MANY);
    state.names.reserve(packed.objects_len());
    let mut links = packed.links().peekable();
    let mut edges = Vec::new();
    for (place, references) in (0_u32..).zip(references) {
        let object = packed.object(place).ok_or(NO_PLACE)?;
        let number = number_of(place)?;
        edges.clear();
        let mut last: Option<Pair> = None;
        while let Some(link) = links.next_if(|link| link.object == place) {
            let (edge, slot) = *kept.get(usize::from(link.shape)).ok_or(NO_PLACE)?;
            let subject = if link.subject == NOTHING {
                let kind = shapes
                    .get(usize::from(link.shape))
                    .map(|placed| placed.subject.kind);
                let everyone = kind.and_then(|kind| state.everyone(kind)).ok_or(NO_PLACE)?;
                state.names.retain(everyone);
                everyone
            } else {
                number_of(link.subject)?
            };
            let Some(slot) = slot else {
                edges.push(Edge { subject, ..edge });
                continue;
            };
            // Those about one subject follow one another, and are nearly always kept together.
            let pair = Pair::new(number, subject, slot);
            last = match last {
                Some(before) if before.is_beside(&pair) => Some(before.with(&pair)),
                before => {
                    put_pair(&mut table, before);
                    Some(pair)
                }
            };
        }
        put_pair(&mut table, last);
        edges.sort_unstable();
        let kind = *kinds.get(usize::from(object.kind)).ok_or(NO_PLACE)?;
        let head = match object.text {
            NOTHING => None,
            text => {
                let text = usize::try_from(text).map_err(|_| NO_PLACE)?;
                Some(*texts.get(text).ok_or(NO_PLACE)?)
            }
        };
        let added = state.names.add(
            kind.ok_or(NO_PLACE)?,
            head,
            object.uuid,
            Edges::from_slice(&edges),
            references,
        );
        if added != Some(number) {
            return Err(TWICE.into());
        }
    }
    state.fill(table, packed.len());
    put_ends(&mut state, packed)?;
    Ok(state)
}

const TWICE: Malformed = Malformed("something is there twice");

fn put_pair(table: &mut Table<Pair>, pair: Option<Pair>) {
    let Some(pair) = pair else {
        return;
    };
    let beside = |other: &Pair| other.is_beside(&pair);
    match table.find(pair.key(), beside) {
        Some(found) => table.replace(pair.key(), beside, found.with(&pair)),
        None => table.insert(pair),
    }
}

/// The types that the model has of those that are named.
fn kinds(model: &Model, packed: &Packed<'_>) -> Vec<Option<TypeId>> {
    packed.types.iter().map(|name| model.type_id(name)).collect()
}

/// Where the model places the tuples of each shape. Their ids do not matter for that, so one of each is looked at.
fn placed_shapes(model: &Model, packed: &Packed<'_>) -> Result<Vec<Placed>, UnpackError> {
    let mut samples = vec![None; packed.shapes.len()];
    for link in packed.links() {
        let sample = samples.get_mut(usize::from(link.shape)).ok_or(NO_PLACE)?;
        if sample.is_none() {
            *sample = Some(link);
        }
    }
    let mut all: Vec<Placed> = Vec::with_capacity(samples.len());
    for sample in samples {
        let tuple = tuple(packed, sample.ok_or(Malformed("a form has no tuples"))?)?;
        let placed = model.place(&tuple)?;
        if all
            .iter()
            .any(|other| other.relation == placed.relation && other.subject == placed.subject)
        {
            return Err(TWICE.into());
        }
        all.push(placed);
    }
    Ok(all)
}

/// A tuple in words.
fn tuple(packed: &Packed<'_>, link: PackedLink) -> Result<Tuple, Malformed> {
    let wrong = |_| Malformed("a tuple is none");
    let shape = packed.shapes.get(usize::from(link.shape)).ok_or(NO_PLACE)?;
    let object = |place: u32| -> Result<Object, Malformed> {
        let object = packed.object(place).ok_or(NO_PLACE)?;
        let kind = packed.types.get(usize::from(object.kind)).ok_or(NO_PLACE)?;
        Object::new(kind, &id::join(packed.text(object.text)?, object.uuid)).map_err(wrong)
    };
    let subject = match shape.side {
        Side::Object => Subject::Object(object(link.subject)?),
        Side::Userset(relation) => Subject::Userset(object(link.subject)?, relation.to_owned()),
        Side::Everyone => {
            let kind = packed.types.get(usize::from(shape.subject)).ok_or(NO_PLACE)?;
            Subject::Wildcard((*kind).to_owned())
        }
    };
    Tuple::new(object(link.object)?, shape.relation, subject).map_err(wrong)
}

/// How many tuples refer to each object: at least one. Tuples ascend, and each is of the types of its shape.
fn references(
    packed: &Packed<'_>,
    shapes: &[Placed],
    kinds: &[Option<TypeId>],
) -> Result<Vec<u32>, Malformed> {
    let count = packed.objects_len();
    let mut of_kind = Vec::with_capacity(count);
    for place in 0..u32::try_from(count).map_err(|_| TOO_MANY)? {
        let object = packed.object(place).ok_or(NO_PLACE)?;
        of_kind.push(*kinds.get(usize::from(object.kind)).ok_or(NO_PLACE)?);
    }
    let mut references = vec![0_u32; count];
    let mut refer = |place: u32, kind: TypeId| {
        let place = usize::try_from(place).map_err(|_| NO_PLACE)?;
        if of_kind.get(place) != Some(&Some(kind)) {
            return Err(Malformed("a tuple has an object of another type"));
        }
        let references = references.get_mut(place).ok_or(NO_PLACE)?;
        *references = references.checked_add(1).ok_or(TOO_MANY)?;
        Ok(())
    };
    let mut before = None;
    for link in packed.links() {
        if before.is_some_and(|before| before >= link) {
            return Err(Malformed("tuples are not in order"));
        }
        before = Some(link);
        let placed = shapes.get(usize::from(link.shape)).ok_or(NO_PLACE)?;
        refer(link.object, placed.object)?;
        match (placed.subject.form, link.subject) {
            (Form::Wildcard, NOTHING) => {}
            (Form::Wildcard, _) => return Err(Malformed("everyone is not one object")),
            (Form::Object | Form::Userset(_), subject) => refer(subject, placed.subject.kind)?,
        }
    }
    if references.contains(&0) {
        return Err(Malformed("no tuple has an object"));
    }
    Ok(references)
}

/// Ids are such as tuples have, and cut as they are cut everywhere.
fn check_texts(packed: &Packed<'_>) -> Result<(), Malformed> {
    let wrong = Malformed("an id is none");
    let mut used = vec![false; packed.texts.len()];
    for text in &packed.texts {
        Object::new("x", text).map_err(|_| wrong)?;
    }
    let is_cut: Vec<bool> = packed
        .texts
        .iter()
        .map(|text| id::split(text).1.is_none())
        .collect();
    for place in 0..u32::try_from(packed.objects_len()).map_err(|_| TOO_MANY)? {
        let object = packed.object(place).ok_or(NO_PLACE)?;
        let text = packed.text(object.text)?;
        let text_place = usize::try_from(object.text).map_err(|_| NO_PLACE)?;
        if let Some(used) = used.get_mut(text_place) {
            *used = true;
        }
        let right = match object.uuid {
            Some(_) => text.len() <= LONGEST.saturating_sub(UUID),
            None => is_cut.get(text_place).copied().unwrap_or(false),
        };
        if !right {
            return Err(wrong);
        }
    }
    if used.contains(&false) {
        return Err(Malformed("no id has a text"));
    }
    Ok(())
}

/// Sets the ends of tuples, by the rules of putting such tuples.
fn put_ends(state: &mut State, packed: &Packed<'_>) -> Result<(), UnpackError> {
    let mut before = None;
    for (place, until) in packed.ends() {
        if before.is_some_and(|before| before >= place) {
            return Err(Malformed("ends are not in order").into());
        }
        before = Some(place);
        let tuple = tuple(packed, packed.link(place).ok_or(NO_PLACE)?)?;
        let until = Timestamp::from_timestamp_micros(until).ok_or(Malformed("an end is no time"))?;
        state.change(TupleChange::PutUntil(&tuple, until))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "
        model
          schema 1.1
        type user
        type group
          relations
            define member: [user, group#member]
        type doc
          relations
            define parent: [doc]
            define owner: [user, group]
            define viewer: [user, user:*, group#member] or owner or viewer from parent
    ";
    const A: &str = "018f4e7a-1111-7000-8000-00000000abcd";
    const B: &str = "018f4e7a-2222-7000-8000-00000000abcd";

    fn model() -> Arc<Model> {
        Arc::new(Model::parse(MODEL).expect("a model"))
    }

    fn graph() -> Graph {
        let texts = [
            format!("doc:x/{A}#owner@user:{A}"),
            format!("doc:x/{A}#viewer@user:{A}"),
            format!("doc:x/{A}#viewer@user:*"),
            format!("doc:x/{B}#viewer@group:{A}#member"),
            format!("doc:x/{B}#parent@doc:x/{A}"),
            format!("doc:y/{B}#parent@doc:plain"),
            format!("doc:plain#owner@group:{A}"),
            format!("group:{A}#member@group:ü#member"),
            "group:ü#member@user:bob@example.com".to_owned(),
        ];
        let tuples: Vec<Tuple> = texts.iter().map(|text| text.parse().expect("a tuple")).collect();
        let ending: Tuple = "doc:plain#viewer@user:late".parse().expect("a tuple");
        let until = Timestamp::from_timestamp_micros(1_800_000_000_000_007).expect("a time");
        let changes = tuples.iter().map(TupleChange::Put);
        Graph::new(model())
            .apply(changes.chain([TupleChange::PutUntil(&ending, until)]))
            .expect("allowed")
    }

    fn lines(graph: &Graph) -> Vec<String> {
        let mut lines: Vec<String> = graph
            .terms()
            .map(|(tuple, term)| format!("{tuple} {term:?}"))
            .collect();
        lines.sort();
        lines
    }

    fn packed(graph: &Graph) -> Vec<u8> {
        let mut bytes = Vec::new();
        graph.pack(&mut bytes).expect("few");
        bytes
    }

    fn unpacked(bytes: &[u8]) -> Result<Graph, UnpackError> {
        Graph::unpack(model(), &Packed::read(bytes)?)
    }

    #[test]
    fn a_graph_comes_back_whole_and_can_be_changed_on() {
        let before = graph();
        let bytes = packed(&before);
        let after = unpacked(&bytes).expect("own bytes");
        assert_eq!(lines(&after), lines(&before));
        assert_eq!(after.len(), before.len());
        for tuple in before.tuples() {
            assert!(after.contains(&tuple), "{tuple}");
        }
        let counts = |graph: &Graph| graph.inner.state.names.counts();
        assert_eq!(counts(&after), counts(&before));
        // References are counted: without tuples nothing is left.
        let all: Vec<Tuple> = after.tuples().collect();
        let empty = after.apply(all.iter().map(TupleChange::Delete)).expect("allowed");
        assert_eq!(counts(&empty), counts(&Graph::new(model())));
        assert_eq!(packed(&after).len(), bytes.len());
    }

    #[test]
    fn the_texts_are_those_of_the_tuples() {
        let graph = graph();
        let bytes = packed(&graph);
        let packed = Packed::read(&bytes).expect("own bytes");
        let mut expected: Vec<String> = graph.tuples().map(|tuple| format!("tuple {tuple}")).collect();
        expected.sort();
        for cut in 0..=packed.len() {
            let mut found = Vec::new();
            let mut endings = 0;
            for range in [0..cut, cut..packed.len()] {
                let see = |line: &str, until: Option<i64>| {
                    found.push(line.to_owned());
                    if let Some(until) = until {
                        endings += 1;
                        assert_eq!(line, "tuple doc:plain#viewer@user:late");
                        assert_eq!(until, 1_800_000_000_000_007);
                    }
                };
                packed.each(range, "tuple ", see).expect("whole");
            }
            found.sort();
            assert_eq!((found, endings), (expected.clone(), 1));
        }
    }

    #[test]
    fn bytes_that_are_anything_are_a_graph_or_refused() {
        let bytes = packed(&graph());
        for cut in 0..bytes.len() {
            assert!(unpacked(&bytes[..cut]).is_err(), "{cut}");
        }
        assert!(unpacked(&[&bytes[..], b"x"].concat()).is_err());
        let mut graphs = 0;
        for at in 0..bytes.len() {
            for flip in [1, 2, 0x10, 0x80, 0xff] {
                let mut other = bytes.clone();
                other[at] ^= flip;
                if let Ok(packed) = Packed::read(&other) {
                    let _ = packed.each(0..packed.len(), "", |_, _| {});
                }
                // What is read is what its own texts say, each a tuple that the model allows.
                let Ok(graph) = unpacked(&other) else {
                    continue;
                };
                graphs += 1;
                let again: Vec<Tuple> = graph
                    .tuples()
                    .map(|tuple| tuple.to_string().parse().expect("a tuple"))
                    .collect();
                assert_eq!(again.len(), graph.len());
                assert!(
                    again
                        .iter()
                        .all(|tuple| graph.contains(tuple) && graph.model().validate(tuple).is_ok())
                );
            }
        }
        assert!(graphs > 0, "an id with another digit is an id");
    }

    #[test]
    fn a_long_life_takes_no_more_memory_than_what_is_left_of_it() {
        const ROUNDS: u128 = 50;
        const EACH: u128 = 10_000;
        // Of every hundred objects one stays, and they come to lie far apart.
        let stays = |number: u128| number.is_multiple_of(100);
        let tuple = |number: u128| {
            let object = |kind, number| Object::new(kind, &id::join("", Some(number))).expect("an object");
            let (doc, other) = (object("doc", number), |kind| object(kind, number % 4_000));
            let (relation, subject) = if number.is_multiple_of(200) {
                ("viewer", Subject::Userset(other("group"), "member".to_owned()))
            } else {
                ("owner", Subject::Object(other("user")))
            };
            Tuple::new(doc, relation, subject).expect("a tuple")
        };
        let mut graph = Graph::new(model());
        for round in 0..ROUNDS {
            let tuples: Vec<Tuple> = (round * EACH..(round + 1) * EACH).map(tuple).collect();
            graph = graph.apply(tuples.iter().map(TupleChange::Put)).expect("allowed");
            let going: Vec<&Tuple> = (round * EACH..)
                .zip(&tuples)
                .filter(|(number, _)| !stays(*number))
                .map(|(_, tuple)| tuple)
                .collect();
            graph = graph
                .apply(going.into_iter().map(TupleChange::Delete))
                .expect("allowed");
        }
        let state = &graph.inner.state;
        let (objects, _) = state.names.counts();
        assert_eq!(graph.len(), 5_000);
        let [(records, index), _] = state.names.room();
        assert!(
            records <= 4 * objects + 4_096,
            "{records} records for {objects} objects"
        );
        assert!(index <= 3 * objects + 64, "{index} places for {objects} objects");
        assert!(
            state.room() <= 3 * graph.len() + 64,
            "{} places for {}",
            state.room(),
            graph.len()
        );
        for number in (0..ROUNDS * EACH).step_by(50) {
            assert_eq!(graph.contains(&tuple(number)), stays(number), "{number}");
        }
        // Everything goes, and nothing is left.
        let all: Vec<Tuple> = graph.tuples().collect();
        let graph = graph.apply(all.iter().map(TupleChange::Delete)).expect("allowed");
        let state = &graph.inner.state;
        assert!(state.room() < 100 && state.names.room()[0].0 <= 64 && graph.is_empty());
    }

    #[test]
    fn a_model_that_does_not_allow_a_tuple_refuses_it() {
        let bytes = packed(&graph());
        let other = Model::parse(&MODEL.replace("[user, group]", "[user]")).expect("a model");
        let refused = Graph::unpack(Arc::new(other), &Packed::read(&bytes).expect("own bytes"));
        let Err(UnpackError::Model(refused)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(refused.tuple().to_string(), format!("doc:plain#owner@group:{A}"));
    }
}

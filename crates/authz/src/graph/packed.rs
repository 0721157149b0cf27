//! All tuples of a graph as bytes: small, and read without making a text for each. Objects are written once and called by
//! their place; tuples are three numbers, in ascending order.
//!
//! Numbers are little endian. In this order: the names of types; the shapes that tuples have; the texts of ids; objects
//! ([`OBJECT`] bytes each); tuples ([`LINK`] bytes each); the ends of those that have one. What is read may be anything:
//! nothing is believed, and what is not as `Graph::pack` writes it is refused.

use std::ops::Range;

use super::id;

/// The UUID (big endian), the place of the text or [`NOTHING`], the place of the type, and 1 if there is a UUID.
const OBJECT: usize = 23;
/// The place of the object, that of the subject or [`NOTHING`] for everyone, and that of the shape.
const LINK: usize = 10;
/// The place of the tuple, and microseconds since 1970.
const END: usize = 12;
/// No place.
pub(super) const NOTHING: u32 = u32::MAX;

/// Bytes that are not the tuples of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a packed graph: {0}")]
pub struct Malformed(pub(super) &'static str);

/// What subjects a tuple has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Side<'b> {
    Object,
    Everyone,
    Userset(&'b str),
}

/// What tuples have in common: all but their ids. Types are places in the list of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Shape<'b> {
    pub(super) object: u16,
    pub(super) relation: &'b str,
    pub(super) subject: u16,
    pub(super) side: Side<'b>,
}

/// An object.
#[derive(Debug, Clone, Copy)]
pub(super) struct PackedObject {
    pub(super) kind: u16,
    pub(super) text: u32,
    pub(super) uuid: Option<u128>,
}

/// A tuple. Ordered as they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PackedLink {
    pub(super) object: u32,
    pub(super) subject: u32,
    pub(super) shape: u16,
}

/// The tuples of a graph, as they lie in bytes.
#[derive(Debug, Clone)]
pub struct Packed<'b> {
    pub(super) types: Vec<&'b str>,
    pub(super) shapes: Vec<Shape<'b>>,
    pub(super) texts: Vec<&'b str>,
    objects: &'b [u8],
    links: &'b [u8],
    ends: &'b [u8],
}

impl<'b> Packed<'b> {
    /// Takes the bytes apart.
    ///
    /// # Errors
    ///
    /// They do not have the form.
    pub fn read(bytes: &'b [u8]) -> Result<Self, Malformed> {
        let mut rest = Reader(bytes);
        let types = (0..rest.count()?)
            .map(|_| rest.text())
            .collect::<Result<Vec<_>, _>>()?;
        let shapes = (0..rest.count()?)
            .map(|_| rest.shape(types.len()))
            .collect::<Result<Vec<_>, _>>()?;
        let texts = (0..rest.count()?)
            .map(|_| rest.text())
            .collect::<Result<Vec<_>, _>>()?;
        let packed = Self {
            types,
            shapes,
            texts,
            objects: rest.many(OBJECT)?,
            links: rest.many(LINK)?,
            ends: rest.many(END)?,
        };
        if rest.0.is_empty() {
            Ok(packed)
        } else {
            Err(Malformed("something follows it"))
        }
    }

    /// How many tuples there are.
    pub fn len(&self) -> usize {
        self.links.len() / LINK
    }

    /// Whether there is no tuple.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Goes through the tuples at these places: each as text behind `prefix`, and the microseconds since 1970 at which it
    /// ends if it does.
    ///
    /// # Errors
    ///
    /// A tuple is made of something that is not there.
    pub fn each(
        &self,
        places: Range<usize>,
        prefix: &str,
        mut see: impl FnMut(&str, Option<i64>),
    ) -> Result<(), Malformed> {
        let first = u32::try_from(places.start).map_err(|_| TOO_MANY)?;
        let mut ends = self.ends_from(first).peekable();
        let mut line = String::with_capacity(256);
        let (mut about, mut about_ends_at) = (NOTHING, 0);
        for (place, link) in (first..).zip(self.links_in(places)) {
            let shape = self.shapes.get(usize::from(link.shape)).ok_or(NO_PLACE)?;
            // The tuples of one object follow one another.
            if about != link.object {
                line.clear();
                line.push_str(prefix);
                self.write_object(&mut line, link.object)?;
                (about, about_ends_at) = (link.object, line.len());
            }
            line.truncate(about_ends_at);
            line.push('#');
            line.push_str(shape.relation);
            line.push('@');
            if shape.side == Side::Everyone {
                line.push_str(self.types.get(usize::from(shape.subject)).ok_or(NO_PLACE)?);
                line.push_str(":*");
            } else {
                self.write_object(&mut line, link.subject)?;
            }
            if let Side::Userset(relation) = shape.side {
                line.push('#');
                line.push_str(relation);
            }
            let until = ends.next_if(|(at, _)| *at == place).map(|(_, until)| until);
            see(&line, until);
        }
        Ok(())
    }

    fn write_object(&self, line: &mut String, place: u32) -> Result<(), Malformed> {
        let object = self.object(place).ok_or(NO_PLACE)?;
        line.push_str(self.types.get(usize::from(object.kind)).ok_or(NO_PLACE)?);
        line.push(':');
        line.push_str(self.text(object.text)?);
        if let Some(uuid) = object.uuid {
            id::push_uuid(line, uuid);
        }
        Ok(())
    }

    /// A text, or none where there is nothing.
    pub(super) fn text(&self, place: u32) -> Result<&'b str, Malformed> {
        if place == NOTHING {
            return Ok("");
        }
        let place = usize::try_from(place).map_err(|_| NO_PLACE)?;
        self.texts.get(place).copied().ok_or(NO_PLACE)
    }

    /// How many objects there are.
    pub(super) fn objects_len(&self) -> usize {
        self.objects.len() / OBJECT
    }

    /// The object at a place.
    pub(super) fn object(&self, place: u32) -> Option<PackedObject> {
        let start = usize::try_from(place).ok()?.checked_mul(OBJECT)?;
        let bytes: &[u8; OBJECT] = self.objects.get(start..)?.first_chunk()?;
        let (uuid, rest) = bytes.split_first_chunk()?;
        let (text, rest) = rest.split_first_chunk()?;
        let (kind, form) = rest.split_first_chunk()?;
        Some(PackedObject {
            kind: u16::from_le_bytes(*kind),
            text: u32::from_le_bytes(*text),
            uuid: (form == [1]).then(|| u128::from_be_bytes(*uuid)),
        })
    }

    /// The tuples in order.
    pub(super) fn links(&self) -> impl Iterator<Item = PackedLink> + '_ {
        self.links_in(0..self.len())
    }

    fn links_in(&self, places: Range<usize>) -> impl Iterator<Item = PackedLink> + '_ {
        let range = places.start.saturating_mul(LINK)..places.end.saturating_mul(LINK);
        let (links, _) = self.links.get(range).unwrap_or_default().as_chunks::<LINK>();
        links.iter().map(|bytes| PackedLink {
            object: u32::from_le_bytes(part(bytes, 0)),
            subject: u32::from_le_bytes(part(bytes, 4)),
            shape: u16::from_le_bytes(part(bytes, 8)),
        })
    }

    /// The tuple at a place.
    pub(super) fn link(&self, place: u32) -> Option<PackedLink> {
        let place = usize::try_from(place).ok()?;
        self.links_in(place..place.checked_add(1)?).next()
    }

    /// The ends of tuples, with the tuples' places.
    pub(super) fn ends(&self) -> impl Iterator<Item = (u32, i64)> + '_ {
        self.ends_from(0)
    }

    fn ends_from(&self, first: u32) -> impl Iterator<Item = (u32, i64)> + '_ {
        let read = |bytes: &[u8; END]| {
            (
                u32::from_le_bytes(part(bytes, 0)),
                i64::from_le_bytes(part(bytes, 4)),
            )
        };
        let (ends, _) = self.ends.as_chunks::<END>();
        let before = ends.partition_point(|end| read(end).0 < first);
        ends.get(before..).unwrap_or_default().iter().map(read)
    }
}

pub(super) const NO_PLACE: Malformed = Malformed("it refers to what is not there");
pub(super) const TOO_MANY: Malformed = Malformed("there is more than numbers can count");

/// A number within a record. INVARIANT: it lies within.
fn part<const N: usize>(record: &[u8], start: usize) -> [u8; N] {
    let found = record.get(start..).and_then(<[u8]>::first_chunk);
    found.copied().unwrap_or([0; N])
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (found, rest) = self.0.split_first_chunk().ok_or(CUT)?;
        self.0 = rest;
        Ok(*found)
    }

    fn bytes(&mut self, length: usize) -> Result<&'b [u8], Malformed> {
        let (found, rest) = self.0.split_at_checked(length).ok_or(CUT)?;
        self.0 = rest;
        Ok(found)
    }

    fn count(&mut self) -> Result<usize, Malformed> {
        usize::try_from(u32::from_le_bytes(self.take()?)).map_err(|_| TOO_MANY)
    }

    fn many(&mut self, size: usize) -> Result<&'b [u8], Malformed> {
        let length = self.count()?.checked_mul(size).ok_or(TOO_MANY)?;
        self.bytes(length)
    }

    fn text(&mut self) -> Result<&'b str, Malformed> {
        let length = usize::from(u16::from_le_bytes(self.take()?));
        str::from_utf8(self.bytes(length)?).map_err(|_| Malformed("a text is not UTF-8"))
    }

    fn shape(&mut self, types: usize) -> Result<Shape<'b>, Malformed> {
        let object = u16::from_le_bytes(self.take()?);
        let relation = self.text()?;
        let subject = u16::from_le_bytes(self.take()?);
        let side = match self.take()? {
            [0] => Side::Object,
            [1] => Side::Everyone,
            [2] => Side::Userset(self.text()?),
            _ => return Err(Malformed("a tuple has an unknown form")),
        };
        if usize::from(object.max(subject)) >= types {
            return Err(NO_PLACE);
        }
        Ok(Shape {
            object,
            relation,
            subject,
            side,
        })
    }
}

const CUT: Malformed = Malformed("it is cut off");

/// Writes the bytes.
pub(super) struct Writer<'w>(pub(super) &'w mut Vec<u8>);

impl Writer<'_> {
    pub(super) fn count(&mut self, count: usize) -> Option<()> {
        self.0
            .extend_from_slice(&u32::try_from(count).ok()?.to_le_bytes());
        Some(())
    }

    pub(super) fn text(&mut self, text: &str) -> Option<()> {
        self.0
            .extend_from_slice(&u16::try_from(text.len()).ok()?.to_le_bytes());
        self.0.extend_from_slice(text.as_bytes());
        Some(())
    }

    pub(super) fn shape(&mut self, shape: &Shape<'_>) -> Option<()> {
        self.0.extend_from_slice(&shape.object.to_le_bytes());
        self.text(shape.relation)?;
        self.0.extend_from_slice(&shape.subject.to_le_bytes());
        match shape.side {
            Side::Object => self.0.push(0),
            Side::Everyone => self.0.push(1),
            Side::Userset(relation) => {
                self.0.push(2);
                self.text(relation)?;
            }
        }
        Some(())
    }

    pub(super) fn object(&mut self, object: PackedObject) {
        self.0.extend_from_slice(&object.uuid.unwrap_or(0).to_be_bytes());
        self.0.extend_from_slice(&object.text.to_le_bytes());
        self.0.extend_from_slice(&object.kind.to_le_bytes());
        self.0.push(u8::from(object.uuid.is_some()));
    }

    pub(super) fn link(&mut self, link: PackedLink) {
        self.0.extend_from_slice(&link.object.to_le_bytes());
        self.0.extend_from_slice(&link.subject.to_le_bytes());
        self.0.extend_from_slice(&link.shape.to_le_bytes());
    }

    pub(super) fn end(&mut self, place: u32, until: i64) {
        self.0.extend_from_slice(&place.to_le_bytes());
        self.0.extend_from_slice(&until.to_le_bytes());
    }
}

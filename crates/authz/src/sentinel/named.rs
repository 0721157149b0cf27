//! What a question is about, in words, so that the words are put together once and not for each question.

use sentinel_core::id::WorkspaceId;
use sentinel_core::name::{ActionName, ResourceType, ServiceName};

use super::words;
use crate::graph::{split_id, write_uuid};

/// One type of a service's resources.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ResourceKind {
    prefix: Box<str>,
}

/// One action of a service, in any workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServiceAction {
    suffix: Box<str>,
}

/// A service's resource to be asked about.
#[derive(Debug, Clone, Copy)]
pub struct ResourceWords<'a> {
    prefix: Prefix<'a>,
    id: &'a str,
}

#[derive(Debug, Clone, Copy)]
enum Prefix<'a> {
    Made(&'a str),
    Parts(&'a ServiceName, &'a ResourceType),
}

/// A service's action to be asked about.
#[derive(Debug, Clone, Copy)]
pub struct ActionWords<'a>(Suffix<'a>);

#[derive(Debug, Clone, Copy)]
enum Suffix<'a> {
    Made(&'a str),
    Parts(&'a ServiceName, &'a ActionName),
}

impl ResourceKind {
    /// The type with this name.
    pub fn new(service: &ServiceName, kind: &ResourceType) -> Self {
        Self {
            prefix: words::resource_prefix(service, kind).into(),
        }
    }

    /// The resource of the type that has this id.
    pub fn named<'a>(&'a self, id: &'a str) -> ResourceWords<'a> {
        ResourceWords {
            prefix: Prefix::Made(&self.prefix),
            id,
        }
    }
}

impl ServiceAction {
    /// The action with this name.
    pub fn new(service: &ServiceName, action: &ActionName) -> Self {
        let mut suffix = String::new();
        words::write_action_suffix(service, action, |part| suffix.push_str(part));
        Self {
            suffix: suffix.into(),
        }
    }

    /// The action, to be asked about.
    pub fn words(&self) -> ActionWords<'_> {
        ActionWords(Suffix::Made(&self.suffix))
    }
}

impl<'a> ResourceWords<'a> {
    /// A service's resource of this type that has this id. Who asks about one type again and again keeps a
    /// [`ResourceKind`].
    pub fn new(service: &'a ServiceName, kind: &'a ResourceType, id: &'a str) -> Self {
        Self {
            prefix: Prefix::Parts(service, kind),
            id,
        }
    }

    /// The resource's id in tuples, in two parts: a text, and a UUID behind it.
    pub(super) fn with_parts<R>(&self, then: impl FnOnce(&str, Option<u128>) -> R) -> R {
        let (id, uuid) = split_id(self.id);
        match self.prefix {
            Prefix::Made(prefix) if id.is_empty() => then(prefix, uuid),
            Prefix::Made(prefix) => with_text([prefix, id], |text| then(text, uuid)),
            Prefix::Parts(service, kind) => {
                with_text(words::resource_parts(service, kind, id), |text| then(text, uuid))
            }
        }
    }
}

impl<'a> ActionWords<'a> {
    /// This action of a service. Who asks about one again and again keeps a [`ServiceAction`].
    pub fn new(service: &'a ServiceName, action: &'a ActionName) -> Self {
        Self(Suffix::Parts(service, action))
    }

    /// The action's id in tuples.
    pub(super) fn with_id<R>(&self, workspace: WorkspaceId, then: impl FnOnce(&str) -> R) -> R {
        let mut text = Text::new();
        text.push_uuid(workspace.as_uuid().as_u128());
        match self.0 {
            Suffix::Made(suffix) => text.push(suffix),
            Suffix::Parts(service, action) => {
                words::write_action_suffix(service, action, |part| text.push(part));
            }
        }
        then(text.as_str())
    }
}

/// Makes a text for one use, without allocating if it is of the usual length.
fn with_text<const N: usize, R>(parts: [&str; N], then: impl FnOnce(&str) -> R) -> R {
    let mut text = Text::new();
    for part in parts {
        text.push(part);
    }
    then(text.as_str())
}

/// A text that is made for one use.
struct Text {
    bytes: [u8; 192],
    used: usize,
    /// The text, where there is no room for it.
    long: Option<String>,
}

impl Text {
    fn new() -> Self {
        Self {
            bytes: [0; 192],
            used: 0,
            long: None,
        }
    }

    fn push(&mut self, part: &str) {
        if let Some(long) = &mut self.long {
            long.push_str(part);
            return;
        }
        let end = self.used.saturating_add(part.len());
        match self.bytes.get_mut(self.used..end) {
            Some(room) => {
                room.copy_from_slice(part.as_bytes());
                self.used = end;
            }
            None => self.long = Some([self.as_str(), part].concat()),
        }
    }

    fn push_uuid(&mut self, uuid: u128) {
        let text = write_uuid(uuid);
        // All of it is ASCII.
        self.push(str::from_utf8(&text).unwrap_or_default());
    }

    fn as_str(&self) -> &str {
        match &self.long {
            Some(long) => long,
            // It was put together from texts.
            None => self
                .bytes
                .get(..self.used)
                .and_then(|bytes| str::from_utf8(bytes).ok())
                .unwrap_or_default(),
        }
    }
}

//! What a question is about, in words.

use sentinel_core::id::WorkspaceId;
use sentinel_core::name::{ActionName, ResourceType, ServiceName};

use super::words;
use crate::graph::{split_id, write_uuid};

/// A service's resource to be asked about.
#[derive(Debug, Clone, Copy)]
pub struct ResourceWords<'a> {
    service: &'a ServiceName,
    kind: &'a ResourceType,
    id: &'a str,
}

/// A service's action, in any workspace, to be asked about.
#[derive(Debug, Clone, Copy)]
pub struct ActionWords<'a> {
    service: &'a ServiceName,
    action: &'a ActionName,
}

impl<'a> ResourceWords<'a> {
    /// A service's resource of this type that has this id.
    pub fn new(service: &'a ServiceName, kind: &'a ResourceType, id: &'a str) -> Self {
        Self { service, kind, id }
    }

    /// The resource's id in tuples, in two parts: a text, and a UUID behind it.
    pub(super) fn with_parts<R>(&self, then: impl FnOnce(&str, Option<u128>) -> R) -> R {
        let (id, uuid) = split_id(self.id);
        let mut text = Text::new();
        for part in words::resource_parts(self.service, self.kind, id) {
            text.push(part);
        }
        then(text.as_str(), uuid)
    }
}

impl<'a> ActionWords<'a> {
    /// This action of a service.
    pub fn new(service: &'a ServiceName, action: &'a ActionName) -> Self {
        Self { service, action }
    }

    /// The action's id in tuples.
    pub(super) fn with_id<R>(&self, workspace: WorkspaceId, then: impl FnOnce(&str) -> R) -> R {
        let mut text = Text::new();
        text.push_uuid(workspace.as_uuid().as_u128());
        words::write_action_suffix(self.service, self.action, |part| text.push(part));
        then(text.as_str())
    }
}

/// A text that is made for one use, without allocating if it is of the usual length.
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

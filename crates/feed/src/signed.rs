//! The envelope of everything that an edge acts on.

use bytes::Bytes;
use prost::Message as _;
use sentinel_token::{BadSignature, FeedVerifyKey};

use crate::proto;

/// What is signed. The context goes into the signature, so that a message of one kind never passes for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A change.
    Frame,
    /// A sign of life.
    Heartbeat,
    /// What a snapshot's body must be.
    Manifest,
    /// What the control plane says to questions.
    Answers,
}

impl Kind {
    /// The signature's context.
    pub const fn context(self) -> &'static str {
        match self {
            Self::Frame => "sentinel.feed.v1.Frame",
            Self::Heartbeat => "sentinel.feed.v1.Heartbeat",
            Self::Manifest => "sentinel.feed.v1.SnapshotManifest",
            Self::Answers => "sentinel.feed.v1.Answers",
        }
    }
}

/// A payload with its signature. Nobody has looked at either yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    payload: Bytes,
    signature: Bytes,
}

impl Signed {
    /// Signs a payload with `sign(context, payload)`.
    pub fn seal(kind: Kind, payload: Vec<u8>, sign: impl FnOnce(&str, &[u8]) -> [u8; 64]) -> Self {
        let signature = sign(kind.context(), &payload);
        Self {
            payload: payload.into(),
            signature: Bytes::copy_from_slice(&signature),
        }
    }

    /// The payload, if the control plane's feed key signed it as that kind.
    pub fn open(&self, kind: Kind, key: &FeedVerifyKey) -> Result<&[u8], BadSignature> {
        key.verify(kind.context(), &self.payload, &self.signature)?;
        Ok(&self.payload)
    }

    /// How many bytes it takes, about.
    pub(crate) fn size(&self) -> usize {
        self.payload.len() + self.signature.len()
    }

    pub(crate) fn to_proto(&self) -> proto::Signed {
        proto::Signed {
            payload: self.payload.clone(),
            signature: self.signature.clone(),
        }
    }

    pub(crate) fn from_proto(message: proto::Signed) -> Self {
        Self {
            payload: message.payload,
            signature: message.signature,
        }
    }

    /// The form on disk.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.to_proto().encode_to_vec()
    }

    /// The form on disk, read back. `None` if the bytes are no envelope.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        proto::Signed::decode(bytes).ok().map(Self::from_proto)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FeedKey;

    #[test]
    fn an_envelope_opens_as_what_it_was_sealed_and_as_nothing_else() {
        let key = FeedKey::generate();
        let signed = key.seal(Kind::Frame, b"payload".to_vec());
        assert_eq!(signed.open(Kind::Frame, key.public()), Ok(&b"payload"[..]));
        assert_eq!(signed.open(Kind::Heartbeat, key.public()), Err(BadSignature));
        assert_eq!(signed.open(Kind::Manifest, key.public()), Err(BadSignature));
        assert_eq!(
            signed.open(Kind::Frame, FeedKey::generate().public()),
            Err(BadSignature)
        );
    }

    #[test]
    fn no_flipped_bit_goes_unseen() {
        let key = FeedKey::generate();
        let bytes = key.seal(Kind::Frame, b"payload".to_vec()).to_bytes();
        assert!(Signed::from_bytes(&bytes).is_some_and(|s| s.open(Kind::Frame, key.public()).is_ok()));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let opened = Signed::from_bytes(&flipped).map(|s| s.open(Kind::Frame, key.public()).is_ok());
            assert_ne!(opened, Some(true), "bit {bit}");
        }
    }
}

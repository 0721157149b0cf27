//! Each frame is signed once, however many edges get it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use sentinel_core::Revision;

use super::FeedSource;
use crate::digest::Digest;
use crate::frame::Frame;
use crate::interest::Fingerprint;
use crate::signed::Signed;

/// At most this many signed frames are kept, of at most that many bytes together.
const KEEP: usize = 256;
const KEEP_BYTES: usize = 8 << 20;

/// Where a frame leads. The digest tells the frames of two histories apart, if the database was rolled back.
type Key = (Fingerprint, Revision, Revision, Digest);

/// The frames that were signed last.
#[derive(Default)]
pub(super) struct SignedFrames {
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    frames: VecDeque<(Key, Signed)>,
    bytes: usize,
}

impl SignedFrames {
    pub(super) fn sign(&self, source: &Arc<dyn FeedSource>, frame: &Frame, interest: Fingerprint) -> Signed {
        let key = (interest, frame.from, frame.to, frame.digest);
        if let Some(signed) = self.find(key) {
            return signed;
        }
        // Two edges may sign the same frame at the same moment; the signatures are the same.
        let signed = frame.seal_for(interest, |context, payload| source.sign(context, payload));
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.bytes += signed.size();
        recent.frames.push_back((key, signed.clone()));
        while recent.frames.len() > KEEP || recent.bytes > KEEP_BYTES {
            let Some((_, oldest)) = recent.frames.pop_front() else {
                break;
            };
            recent.bytes = recent.bytes.saturating_sub(oldest.size());
        }
        signed
    }

    fn find(&self, key: Key) -> Option<Signed> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let found = recent.frames.iter().rev().find(|(kept, _)| *kept == key);
        found.map(|(_, signed)| signed.clone())
    }
}

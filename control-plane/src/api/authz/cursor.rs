//! Where a list goes on: behind which id or tuple, at which revision and at which moment, for which question of which
//! service. A cursor is signed, and means nothing with another question.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sentinel_core::{Revision, Timestamp};
use sentinel_identity::FeedKey;
use sentinel_token::sha256;

use crate::problem::ApiError;

/// The first byte. What has another one was made by another version.
const VERSION: u8 = 1;
/// What the signature is for, apart from all else that the key signs.
const CONTEXT: &str = "sentinel list cursor 1";

/// Makes and reads cursors.
pub(super) struct Cursors {
    key: FeedKey,
}

/// Where a list goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The revision that the whole list is taken at; of stored tuples, only the page before.
    pub(super) revision: Revision,
    /// The moment of that.
    pub(super) at: Timestamp,
    /// The last id, or tuple, that the page before has looked at.
    pub(super) after: String,
}

/// A question, as far as a cursor depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QuestionId([u8; 32]);

impl QuestionId {
    /// The question that these texts are, in their order, the service's name among them.
    pub(super) fn of<'t>(parts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut bytes = Vec::new();
        for part in parts {
            // With its length before it: no two lists of texts are the same bytes.
            bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        Self(sha256(&bytes))
    }
}

impl Cursors {
    /// Cursors that are signed by this key.
    pub(super) fn new(key: FeedKey) -> Self {
        Self { key }
    }

    /// The cursor as text.
    pub(super) fn seal(&self, question: QuestionId, cursor: &Cursor) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&cursor.revision.epoch.to_be_bytes());
        bytes.extend_from_slice(&cursor.revision.number.to_be_bytes());
        bytes.extend_from_slice(&cursor.at.timestamp_micros().to_be_bytes());
        bytes.extend_from_slice(cursor.after.as_bytes());
        let signature = self.key.sign(CONTEXT, &signed(question, &bytes));
        bytes.extend_from_slice(&signature);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor of this very question.
    ///
    /// # Errors
    /// 400 `cursor_invalid` for everything else.
    pub(super) fn open(&self, question: QuestionId, text: &str) -> Result<Cursor, ApiError> {
        let cursor = || -> Option<Cursor> {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            let (body, signature) = bytes.split_last_chunk::<64>()?;
            let verified = self
                .key
                .verify_key()
                .verify(CONTEXT, &signed(question, body), signature);
            verified.ok()?;
            let (&[VERSION], rest) = body.split_first_chunk::<1>()? else {
                return None;
            };
            let (epoch, rest) = rest.split_first_chunk()?;
            let (number, rest) = rest.split_first_chunk()?;
            let (at, after) = rest.split_first_chunk()?;
            Some(Cursor {
                revision: Revision {
                    epoch: u64::from_be_bytes(*epoch),
                    number: u64::from_be_bytes(*number),
                },
                at: Timestamp::from_timestamp_micros(i64::from_be_bytes(*at))?,
                after: String::from_utf8(after.to_vec()).ok()?,
            })
        };
        cursor().ok_or_else(|| {
            ApiError::bad_request("This cursor does not belong to this question").with_code("cursor_invalid")
        })
    }
}

fn signed(question: QuestionId, body: &[u8]) -> Vec<u8> {
    [&question.0, body].concat()
}

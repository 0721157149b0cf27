//! Tokens that were verified a moment ago, so that the signature is not checked again for every request.
//!
//! What is remembered is only what cannot change: that this very text was signed by this very key and says this. Whether it
//! has expired, whether its key still counts and whether it was revoked is asked every time. The text itself is not kept,
//! only its SHA-256.
//!
//! A fixed number of slots, each an atomic pointer: readers never wait and never write, and memory is bounded whatever
//! clients send. Only tokens with a good signature get in, so nobody can push others out without being one of them.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use sentinel_core::Timestamp;
use sentinel_core::clock::is_expired;
use sentinel_core::principal::User;
use sentinel_token::KeySet;

/// How many slots an entry may choose from.
const WAYS: usize = 4;

/// A token that was good.
#[derive(Debug)]
pub(crate) struct Entry {
    /// SHA-256 of the whole token.
    pub(crate) digest: [u8; 32],
    /// The keys that it was verified with.
    pub(crate) keys: Arc<KeySet>,
    /// When it ends.
    pub(crate) expires_at: Timestamp,
    /// What it says.
    pub(crate) user: Arc<User>,
}

/// The verified tokens.
#[derive(Debug)]
pub(crate) struct Cache {
    slots: Box<[ArcSwapOption<Entry>]>,
}

impl Cache {
    /// Room for about this many tokens.
    pub(crate) fn with_room_for(tokens: usize) -> Self {
        let slots = tokens.max(WAYS).next_multiple_of(WAYS);
        Self {
            slots: (0..slots).map(|_| ArcSwapOption::empty()).collect(),
        }
    }

    /// What the token with this digest says, if it was verified with these keys and has not expired.
    pub(crate) fn get(&self, digest: &[u8; 32], keys: &KeySet, now: Timestamp) -> Option<Arc<User>> {
        self.ways(digest).iter().find_map(|slot| {
            let slot = slot.load();
            let entry = slot.as_ref().filter(|entry| entry.digest == *digest)?;
            let counts = !is_expired(entry.expires_at, now) && *entry.keys == *keys;
            counts.then(|| Arc::clone(&entry.user))
        })
    }

    /// Remembers a token in place of itself, of nothing, of one that has expired, or of any other.
    pub(crate) fn put(&self, entry: Entry, now: Timestamp) {
        let ways = self.ways(&entry.digest);
        let place = |fits: &dyn Fn(Option<&Entry>) -> bool| {
            ways.iter()
                .find(|slot| fits(slot.load().as_ref().map(AsRef::as_ref)))
        };
        let victim = usize::from(entry.digest.get(31).copied().unwrap_or_default());
        let slot = place(&|held| held.is_some_and(|held| held.digest == entry.digest))
            .or_else(|| place(&|held| held.is_none_or(|held| is_expired(held.expires_at, now))))
            .or_else(|| ways.get(victim.checked_rem(ways.len())?));
        if let Some(slot) = slot {
            slot.store(Some(Arc::new(entry)));
        }
    }

    /// The slots in which a digest may be.
    fn ways(&self, digest: &[u8; 32]) -> &[ArcSwapOption<Entry>] {
        let prefix = digest
            .first_chunk::<8>()
            .map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let sets = u64::try_from(self.slots.len().checked_div(WAYS).unwrap_or(1)).unwrap_or(1);
        let set = usize::try_from(prefix.checked_rem(sets).unwrap_or(0)).unwrap_or(0);
        let start = set.saturating_mul(WAYS);
        self.slots
            .get(start..start.saturating_add(WAYS))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::Credential;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).expect("in range")
    }

    fn user(number: u8) -> Arc<User> {
        let id = |offset: u128| uuid::Uuid::from_u128(u128::from(number) + offset);
        Arc::new(User {
            id: id(0).into(),
            email: None,
            name: None,
            workspace: id(1).into(),
            workspace_slug: "acme".parse().expect("slug"),
            role_at_mint: sentinel_core::WorkspaceRole::Viewer,
            minted_at: None,
            credential: Credential::AccessToken {
                token: id(2).into(),
                session: id(3).into(),
                expires_at: at(100),
            },
        })
    }

    fn entry(number: u8, expires_at: i64) -> Entry {
        Entry {
            digest: [number; 32],
            keys: Arc::new(KeySet::default()),
            expires_at: at(expires_at),
            user: user(number),
        }
    }

    #[test]
    fn a_token_is_remembered_until_it_expires() {
        let cache = Cache::with_room_for(8);
        cache.put(entry(1, 100), at(10));
        let keys = KeySet::default();
        assert_eq!(cache.get(&[1; 32], &keys, at(99)), Some(user(1)));
        assert_eq!(cache.get(&[1; 32], &keys, at(100)), None);
        assert_eq!(cache.get(&[2; 32], &keys, at(10)), None);
    }

    #[test]
    fn room_is_bounded_and_the_expired_go_first() {
        let cache = Cache::with_room_for(WAYS);
        let keys = KeySet::default();
        for number in 1..=4 {
            cache.put(entry(number, if number == 2 { 20 } else { 100 }), at(10));
        }
        cache.put(entry(5, 100), at(50));
        assert_eq!(cache.get(&[2; 32], &keys, at(50)), None);
        for number in [1, 3, 4, 5] {
            assert_eq!(cache.get(&[number; 32], &keys, at(50)), Some(user(number)));
        }
        cache.put(entry(6, 100), at(50));
        let held = (1..=6).filter(|n| cache.get(&[*n; 32], &keys, at(50)).is_some());
        assert_eq!(held.count(), WAYS);
        assert_eq!(cache.get(&[6; 32], &keys, at(50)), Some(user(6)));
    }
}

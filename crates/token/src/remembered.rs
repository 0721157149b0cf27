//! Tokens that were verified a moment ago, so that the signature is not checked again for every request.
//!
//! What is remembered is only what cannot change: that this very text was signed by one of these very keys and says this.
//! Whether it has expired and whether its keys still count is asked every time; whether it was revoked is for the caller
//! to look up, every time as well. The text itself is not kept, only its fingerprint.
//!
//! A fixed number of slots, each an atomic pointer: readers never wait and never write, and memory is bounded whatever
//! clients send. Only tokens with a good signature get in, so nobody can push others out without being one of them.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use sentinel_core::Timestamp;
use sentinel_core::clock::is_expired;
use sentinel_core::principal::{ExternalUser, User};

use crate::{Fingerprint, KeySet};

/// How many slots a token may be in.
const WAYS: usize = 4;

/// The tokens of one kind that were verified by one verifier. Never share it between two kinds: it does not ask which one
/// is expected.
///
/// `V` is what a token says, and `K` the keys that it was verified with: cheap to clone, and compared by identity before
/// anything else.
#[derive(Debug)]
pub struct Remembered<V = User, K = KeySet> {
    slots: Box<[Slot<V, K>]>,
}

type Slot<V, K> = ArcSwapOption<Entry<V, K>>;

/// What a token says, and for how long it does.
pub trait Lasting {
    /// When it ends; what never ends is not remembered.
    fn ends_at(&self) -> Option<Timestamp>;
}

impl Lasting for User {
    fn ends_at(&self) -> Option<Timestamp> {
        self.credential.expires_at()
    }
}

impl Lasting for ExternalUser {
    fn ends_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

/// A token that was good.
#[derive(Debug)]
struct Entry<V, K> {
    /// That of the whole token.
    fingerprint: Fingerprint,
    /// The keys that it was verified with.
    keys: K,
    /// When it ends.
    expires_at: Timestamp,
    /// What it says.
    value: Arc<V>,
}

impl<V: Lasting, K: Clone + PartialEq> Remembered<V, K> {
    /// Room for about this many tokens.
    pub fn with_room_for(tokens: usize) -> Self {
        let slots = tokens.max(WAYS).next_multiple_of(WAYS);
        Self {
            slots: (0..slots).map(|_| ArcSwapOption::empty()).collect(),
        }
    }

    /// What the token with this fingerprint says, if it was verified with these keys and has not expired.
    pub fn find(&self, token: Fingerprint, keys: &K, now: Timestamp) -> Option<Arc<V>> {
        self.find_where(token, now, |_, with| with == keys)
    }

    /// What the token with this fingerprint says, if it has not expired, and `counts` says of that and of the keys which it was
    /// verified with that they still count.
    pub fn find_where(
        &self,
        token: Fingerprint,
        now: Timestamp,
        counts: impl Fn(&V, &K) -> bool,
    ) -> Option<Arc<V>> {
        self.ways(token).iter().find_map(|slot| {
            let slot = slot.load();
            let entry = slot.as_ref().filter(|entry| entry.fingerprint == token)?;
            let counts = !is_expired(entry.expires_at, now) && counts(&entry.value, &entry.keys);
            counts.then(|| Arc::clone(&entry.value))
        })
    }

    /// Remembers that the token with this fingerprint was verified with these keys just now, and says this: in place of
    /// itself, of nothing, of one that has expired, or of any other. What never ends is not remembered.
    pub fn remember(&self, token: Fingerprint, keys: &K, value: &Arc<V>, now: Timestamp) {
        let Some(expires_at) = value.ends_at() else {
            return;
        };
        let ways = self.ways(token);
        let victim = usize::from(token.last());
        let is_it = |held: &Entry<V, K>| held.fingerprint == token;
        let is_over = |held: &Entry<V, K>| is_expired(held.expires_at, now);
        let slot = find_slot(ways, |held| held.is_some_and(is_it))
            .or_else(|| find_slot(ways, |held| held.is_none_or(is_over)))
            .or_else(|| ways.get(victim.checked_rem(ways.len())?));
        if let Some(slot) = slot {
            slot.store(Some(Arc::new(Entry {
                fingerprint: token,
                keys: keys.clone(),
                expires_at,
                value: Arc::clone(value),
            })));
        }
    }

    /// The slots in which a token may be.
    fn ways(&self, token: Fingerprint) -> &[Slot<V, K>] {
        let sets = u64::try_from(self.slots.len().checked_div(WAYS).unwrap_or(1)).unwrap_or(1);
        let set = usize::try_from(token.number().checked_rem(sets).unwrap_or(0)).unwrap_or(0);
        let start = set.saturating_mul(WAYS);
        self.slots
            .get(start..start.saturating_add(WAYS))
            .unwrap_or_default()
    }
}

/// The first slot that holds what fits.
fn find_slot<V, K>(slots: &[Slot<V, K>], fits: impl Fn(Option<&Entry<V, K>>) -> bool) -> Option<&Slot<V, K>> {
    slots
        .iter()
        .find(|slot| fits(slot.load().as_ref().map(AsRef::as_ref)))
}

#[cfg(test)]
mod tests {
    use sentinel_core::Credential;

    use super::*;
    use crate::testing::TestKey;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).expect("in range")
    }

    fn user(number: u8, expires_at: i64) -> Arc<User> {
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
                expires_at: at(expires_at),
            },
        })
    }

    fn remember(tokens: &Remembered<User>, number: u8, expires_at: i64, now: i64) {
        let (keys, user) = (KeySet::default(), user(number, expires_at));
        tokens.remember(Fingerprint::fixed(number), &keys, &user, at(now));
    }

    #[test]
    fn a_token_is_remembered_until_it_expires() {
        let tokens = Remembered::<User>::with_room_for(8);
        remember(&tokens, 1, 100, 10);
        let keys = KeySet::default();
        assert_eq!(
            tokens.find(Fingerprint::fixed(1), &keys, at(99)),
            Some(user(1, 100))
        );
        assert_eq!(tokens.find(Fingerprint::fixed(1), &keys, at(100)), None);
        assert_eq!(tokens.find(Fingerprint::fixed(2), &keys, at(10)), None);
    }

    #[test]
    fn other_keys_are_another_matter() {
        let tokens = Remembered::<User>::with_room_for(8);
        remember(&tokens, 1, 100, 10);
        let others = KeySet::from_facts([&TestKey::a().fact(0)]).expect("keys");
        assert_eq!(tokens.find(Fingerprint::fixed(1), &others, at(10)), None);
        tokens.remember(Fingerprint::fixed(1), &others, &user(1, 100), at(10));
        assert_eq!(
            tokens.find(Fingerprint::fixed(1), &others, at(10)),
            Some(user(1, 100))
        );
        assert_eq!(
            tokens.find(Fingerprint::fixed(1), &KeySet::default(), at(10)),
            None
        );
    }

    #[test]
    fn room_is_bounded_and_the_expired_go_first() {
        let tokens = Remembered::<User>::with_room_for(WAYS);
        let keys = KeySet::default();
        for number in 1..=4 {
            remember(&tokens, number, if number == 2 { 20 } else { 100 }, 10);
        }
        remember(&tokens, 5, 100, 50);
        assert_eq!(tokens.find(Fingerprint::fixed(2), &keys, at(50)), None);
        for number in [1, 3, 4, 5] {
            assert_eq!(
                tokens.find(Fingerprint::fixed(number), &keys, at(50)),
                Some(user(number, 100))
            );
        }
        remember(&tokens, 6, 100, 50);
        let held = (1..=6).filter(|n| tokens.find(Fingerprint::fixed(*n), &keys, at(50)).is_some());
        assert_eq!(held.count(), WAYS);
        assert_eq!(
            tokens.find(Fingerprint::fixed(6), &keys, at(50)),
            Some(user(6, 100))
        );
    }

    #[test]
    fn a_credential_without_an_end_is_not_remembered() {
        let tokens = Remembered::<User>::with_room_for(8);
        let endless = Arc::new(User {
            credential: Credential::ServiceKey {
                app: uuid::Uuid::nil().into(),
            },
            ..User::clone(&user(1, 100))
        });
        tokens.remember(Fingerprint::fixed(1), &KeySet::default(), &endless, at(10));
        assert_eq!(
            tokens.find(Fingerprint::fixed(1), &KeySet::default(), at(10)),
            None
        );
    }
}

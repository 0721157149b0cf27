//! The people whom the demo provider knows.

use std::sync::LazyLock;

/// One account of the demo provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Person {
    /// The provider's own name for the account (`sub`).
    pub subject: &'static str,
    /// The name.
    pub name: &'static str,
    /// The e-mail address, which the provider vouches for.
    pub email: &'static str,
    /// What part the person plays in the tour.
    pub part: &'static str,
}

/// Administers the installation.
pub const OPERATOR: Person = Person {
    subject: "olivia",
    name: "Olivia Operator",
    email: "olivia@example.com",
    part: "administers this installation",
};

/// Owns the workspace and its documents.
pub const ALICE: Person = Person {
    subject: "alice",
    name: "Alice Archer",
    email: "alice@example.com",
    part: "owns the workspace `acme` and its documents",
};

/// A member of the workspace.
pub const BOB: Person = Person {
    subject: "bob",
    name: "Bob Baker",
    email: "bob@example.com",
    part: "is a member of `acme`",
};

/// A stranger.
pub const MALLORY: Person = Person {
    subject: "mallory",
    name: "Mallory Moore",
    email: "mallory@example.com",
    part: "has a workspace of her own and no business in `acme`",
};

/// Everybody.
pub const PEOPLE: &[Person] = &[OPERATOR, ALICE, BOB, MALLORY];

/// How many accounts there are without a button on the page, for whoever needs a crowd.
pub const GUESTS: usize = 500;

/// The guest of that number, below [`GUESTS`].
pub fn guest(number: usize) -> Option<Person> {
    static CROWD: LazyLock<Vec<Person>> = LazyLock::new(|| (0..GUESTS).map(make_guest).collect());
    CROWD.get(number).copied()
}

/// The person of that subject.
pub fn find(subject: &str) -> Option<Person> {
    let named = PEOPLE.iter().copied().find(|person| person.subject == subject);
    named.or_else(|| {
        guest(subject.strip_prefix("guest-")?.parse().ok()?).filter(|guest| guest.subject == subject)
    })
}

/// Made once in the life of the process, and kept for as long.
fn make_guest(number: usize) -> Person {
    Person {
        subject: format!("guest-{number}").leak(),
        name: format!("Guest {number}").leak(),
        email: format!("guest-{number}@example.com").leak(),
        part: "is one of many",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_found_by_their_subject_only() {
        assert_eq!(find("bob"), Some(BOB));
        assert_eq!(find("bob@example.com"), None);
        assert!(PEOPLE.iter().all(|person| find(person.subject) == Some(*person)));
        assert_eq!(find("guest-7"), guest(7));
        assert_eq!(guest(7).map(|guest| guest.email), Some("guest-7@example.com"));
        for nobody in ["guest-500", "guest-07", "guest-+7", "guest-"] {
            assert_eq!(find(nobody), None, "{nobody}");
        }
    }
}

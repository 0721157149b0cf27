//! A tree of path segments that finds the most specific pattern for a path.
//!
//! Segment by segment from the left, a literal goes before a parameter with a type, this before one without, and this
//! before a tail. Two different patterns that match one path therefore never have equal rank; what tells routes with the
//! very same pattern apart is not known here.
//!
//! A segment that only looks like a literal (`Secret`, `secret.` beside `secret`) leads nowhere: many a service would take
//! it for that literal, and would be asked under a parameter's rule for what the literal's rule protects. So is it with a
//! segment that is not a UUID or a number to the letter, and is one for many a reader (`007`), beside a parameter of that kind.
//!
//! Looking something up takes no memory, unless a segment outside of ASCII stands where literals or such parameters are, or one
//! that is much like what it is not.

use std::collections::{HashMap, HashSet};

use sentinel_config::edge::ParamKind;

use super::lenient;
use crate::request::characters::{fold, fold_within};

/// One segment of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Piece {
    /// Exactly this decoded text; empty behind a trailing slash.
    Literal(Box<str>),
    /// Any one segment of this kind.
    Parameter(ParamKind),
    /// All the rest: at least one segment, and none that is empty.
    Tail,
}

/// Patterns and what they lead to, by method.
#[derive(Debug)]
pub(crate) struct Trie<T> {
    literals: HashMap<Box<str>, Trie<T>>,
    lookalikes: Lookalikes,
    /// The most specific kind first.
    parameters: Vec<(ParamKind, Trie<T>)>,
    tail: Ends<T>,
    here: Ends<T>,
}

/// What patterns that end here lead to, by method.
#[derive(Debug)]
struct Ends<T>(Vec<(&'static str, T)>);

/// A segment of the path looks like a literal or a typed parameter of a pattern and is something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lookalike;

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self {
            literals: HashMap::new(),
            lookalikes: Lookalikes::default(),
            parameters: Vec::new(),
            tail: Ends(Vec::new()),
            here: Ends(Vec::new()),
        }
    }
}

impl<T: Default> Trie<T> {
    /// What a pattern leads to for one method. What follows a tail is not looked at.
    pub(crate) fn entry(&mut self, pattern: &[Piece], method: &'static str) -> &mut T {
        match pattern.split_first() {
            Some((Piece::Literal(text), rest)) => {
                self.lookalikes.add(text);
                let next = self.literals.entry(text.clone()).or_default();
                next.entry(rest, method)
            }
            Some((Piece::Parameter(kind), rest)) => self.parameter(*kind).entry(rest, method),
            Some((Piece::Tail, _)) => self.tail.entry(method),
            None => self.here.entry(method),
        }
    }

    fn parameter(&mut self, kind: ParamKind) -> &mut Self {
        let at = self.parameters.partition_point(|(known, _)| *known > kind);
        if self.parameters.get(at).is_none_or(|(known, _)| *known != kind) {
            self.parameters.insert(at, (kind, Self::default()));
        }
        &mut self.parameters[at].1
    }
}

impl<T> Trie<T> {
    /// What `pick` takes from the most specific pattern for this path and method from which it takes anything.
    ///
    /// # Errors
    /// The path is to lead nowhere, whatever other patterns there are.
    pub(crate) fn find<'p, R>(
        &self,
        path: impl Iterator<Item = &'p str> + Clone,
        method: &str,
        pick: &impl Fn(&T) -> Option<R>,
    ) -> Result<Option<R>, Lookalike> {
        let mut rest = path.clone();
        let Some(segment) = rest.next() else {
            return Ok(self.here.get(method).and_then(pick));
        };
        match self.literals.get(segment) {
            Some(literal) => {
                let found = literal.find(rest.clone(), method, pick)?;
                if found.is_some() {
                    return Ok(found);
                }
            }
            None if self.lookalikes.include(segment) => return Err(Lookalike),
            None => {}
        }
        for (kind, parameter) in &self.parameters {
            if kind.accepts(segment) {
                let found = parameter.find(rest.clone(), method, pick)?;
                if found.is_some() {
                    return Ok(found);
                }
            } else if lenient::reads_as(*kind, segment) {
                return Err(Lookalike);
            }
        }
        let mut whole = path;
        Ok(self
            .tail
            .get(method)
            .filter(|_| whole.all(|segment| !segment.is_empty()))
            .and_then(pick))
    }
}

impl<T> Ends<T> {
    fn get(&self, method: &str) -> Option<&T> {
        let found = self.0.iter().find(|(known, _)| *known == method);
        found.map(|(_, value)| value)
    }
}

impl<T: Default> Ends<T> {
    fn entry(&mut self, method: &'static str) -> &mut T {
        let known = self.0.iter().position(|(known, _)| *known == method);
        let at = known.unwrap_or_else(|| {
            self.0.push((method, T::default()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }
}

/// What the literals at one place of a path are for a careless reader.
#[derive(Debug, Default)]
struct Lookalikes {
    folded: HashSet<Box<str>>,
    longest: usize,
    /// Whether a literal is not what it folds to.
    any_odd: bool,
}

impl Lookalikes {
    fn add(&mut self, literal: &str) {
        let folded = fold(literal);
        self.any_odd |= folded != literal;
        self.longest = self.longest.max(folded.len());
        self.folded.insert(folded.into());
    }

    /// Whether a segment, which is none of the literals itself, looks like one of them.
    fn include(&self, segment: &str) -> bool {
        if self.folded.is_empty() {
            return false;
        }
        let mut room = [0; 64];
        match fold_within(segment, &mut room) {
            Some(seen) if seen.len() > self.longest => false,
            // It is what it folds to, and so are the literals.
            Some(seen) if seen == segment && !self.any_odd => false,
            Some(seen) => self.folded.contains(seen),
            None => self.folded.contains(fold(segment).as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(pattern: &str) -> Vec<Piece> {
        pattern
            .split('/')
            .skip(1)
            .map(|piece| match piece {
                "{}" => Piece::Parameter(ParamKind::Any),
                "{slug}" => Piece::Parameter(ParamKind::Slug),
                "{int}" => Piece::Parameter(ParamKind::Int),
                "{uuid}" => Piece::Parameter(ParamKind::Uuid),
                "{*}" => Piece::Tail,
                literal => Piece::Literal(literal.into()),
            })
            .collect()
    }

    fn table(patterns: &[(&'static str, &str)]) -> Trie<Option<usize>> {
        let mut trie: Trie<Option<usize>> = Trie::default();
        for (index, (method, pattern)) in patterns.iter().enumerate() {
            let before = trie.entry(&pieces(pattern), method).replace(index);
            assert_eq!(before, None, "`{pattern}` stands twice");
        }
        trie
    }

    fn lookup(trie: &Trie<Option<usize>>, method: &str, path: &str) -> Result<Option<usize>, Lookalike> {
        trie.find(path.split('/').skip(1), method, &|value| *value)
    }

    fn find(trie: &Trie<Option<usize>>, method: &str, path: &str) -> Option<usize> {
        lookup(trie, method, path).ok().flatten()
    }

    #[test]
    fn the_most_specific_pattern_wins_whatever_the_order() {
        let mut patterns = vec![
            ("GET", "/{}/{}/{}"),
            ("GET", "/{}/b/c"),
            ("GET", "/a/{}/c"),
            ("GET", "/a/b/{}"),
            ("GET", "/a/b/c"),
        ];
        for _ in 0..patterns.len() {
            patterns.rotate_left(1);
            let trie = table(&patterns);
            for (path, pattern) in [
                ("/a/b/c", "/a/b/c"),
                ("/a/b/x", "/a/b/{}"),
                ("/a/x/c", "/a/{}/c"),
                ("/x/b/c", "/{}/b/c"),
                ("/a/x/y", "/{}/{}/{}"),
            ] {
                let found = find(&trie, "GET", path).expect(path);
                assert_eq!(patterns[found].1, pattern, "`{path}`");
            }
            assert_eq!(find(&trie, "GET", "/a/b"), None);
            assert_eq!(find(&trie, "GET", "/a/b/c/d"), None);
        }
    }

    #[test]
    fn a_method_is_part_of_the_match() {
        let trie = table(&[("GET", "/a"), ("POST", "/{}")]);
        assert_eq!(find(&trie, "GET", "/a"), Some(0));
        assert_eq!(find(&trie, "POST", "/a"), Some(1));
        assert_eq!(find(&trie, "HEAD", "/a"), None);
        assert_eq!(find(&trie, "GET", "/b"), None);
    }

    #[test]
    fn an_empty_segment_is_a_literal_and_never_a_parameter() {
        let trie = table(&[("GET", "/a/{}"), ("GET", "/b/"), ("GET", "/c")]);
        assert_eq!(find(&trie, "GET", "/a/"), None);
        assert_eq!(find(&trie, "GET", "/a"), None);
        assert_eq!(find(&trie, "GET", "/b/"), Some(1));
        assert_eq!(find(&trie, "GET", "/b"), None);
        assert_eq!(find(&trie, "GET", "/c/"), None);
        assert_eq!(find(&trie, "GET", "/C"), None);
    }

    #[test]
    fn what_only_looks_like_a_literal_leads_nowhere() {
        let trie = table(&[
            ("GET", "/a/secret"),
            ("GET", "/a/{}"),
            ("GET", "/{}/{}"),
            ("POST", "/{}/x"),
        ]);
        let lookup = |path: &str| lookup(&trie, "GET", path);
        for path in [
            "/a/Secret",
            "/a/secret.",
            "/a/secret ",
            "/a/.secret",
            "/a/secret\u{200b}",
            "/A/secret",
            "/A/other",
            "/b/X",
        ] {
            assert_eq!(lookup(path), Err(Lookalike), "`{path}`");
        }
        assert_eq!(lookup("/a/secret"), Ok(Some(0)));
        assert_eq!(lookup("/a/secrets"), Ok(Some(1)));
        assert_eq!(lookup("/b/secret"), Ok(Some(2)));
        assert_eq!(
            lookup("/b/x"),
            Ok(Some(2)),
            "the literal itself is for another method"
        );
    }

    #[test]
    fn a_kind_goes_before_a_wider_one() {
        const UUID: &str = "0190a0a0-0000-7000-8000-000000000001";
        let mut patterns = vec![
            ("GET", "/{*}"),
            ("GET", "/{}"),
            ("GET", "/{slug}"),
            ("GET", "/{int}"),
            ("GET", "/{uuid}"),
            ("GET", "/7"),
        ];
        for _ in 0..patterns.len() {
            patterns.rotate_left(1);
            let trie = table(&patterns);
            let uuid = format!("/{UUID}");
            for (path, pattern) in [
                ("/7", "/7"),
                ("/8", "/{int}"),
                ("/a7", "/{slug}"),
                (uuid.as_str(), "/{uuid}"),
                ("/a-b", "/{slug}"),
                ("/a_b", "/{}"),
                ("/A", "/{}"),
                ("/7/7", "/{*}"),
            ] {
                let found = find(&trie, "GET", path).expect(path);
                assert_eq!(patterns[found].1, pattern, "`{path}`");
            }
        }
    }

    #[test]
    fn what_only_looks_like_an_id_leads_nowhere() {
        for wider in ["{}", "{slug}", "{*}"] {
            let trie = table(&[
                ("GET", "/documents/{uuid}"),
                ("GET", &format!("/documents/{wider}")),
                ("GET", "/items/{int}"),
                ("GET", &format!("/items/{wider}")),
                ("POST", "/{}/{}"),
            ]);
            let lookup = |method, path: &str| lookup(&trie, method, path);
            for path in [
                "/documents/0190A0A0-0000-7000-8000-000000000001",
                "/documents/0190a0a00000700080000000000000a1",
                "/documents/12345678901234567890123456789012",
                "/documents/{0190a0a0-0000-7000-8000-000000000001}",
                "/documents/urn:uuid:0190a0a0-0000-7000-8000-000000000001",
                "/documents/0190a0a0-0000-7000-8000-00000000000\u{ff11}",
                "/items/007",
                "/items/+7",
                "/items/-7",
                "/items/\u{ff17}",
            ] {
                assert_eq!(lookup("GET", path), Err(Lookalike), "`{path}` beside `{wider}`");
                assert_eq!(
                    lookup("POST", path),
                    Err(Lookalike),
                    "`{path}`: the parameter is for another method"
                );
            }
            assert_eq!(
                lookup("GET", "/documents/0190a0a0-0000-7000-8000-000000000001"),
                Ok(Some(0))
            );
            assert_eq!(lookup("GET", "/items/7"), Ok(Some(2)));
            for (path, found) in [
                ("/documents/new", 1),
                ("/documents/7", 1),
                ("/documents/bad-cafe", 1),
                ("/items/new", 3),
                ("/items/7a", 3),
                ("/items/0190a0a0-0000-7000-8000-000000000001", 3),
            ] {
                assert_eq!(lookup("GET", path), Ok(Some(found)), "`{path}` beside `{wider}`");
            }
        }
        // A literal is what it says, for its own method.
        let trie = table(&[("GET", "/{int}"), ("GET", "/007"), ("POST", "/{}")]);
        assert_eq!(lookup(&trie, "GET", "/007"), Ok(Some(1)));
        assert_eq!(lookup(&trie, "POST", "/007"), Err(Lookalike));
        // A number is no UUID in disguise where there are only numbers.
        let trie = table(&[("GET", "/{int}"), ("GET", "/{}")]);
        assert_eq!(
            lookup(&trie, "GET", "/12345678901234567890123456789012"),
            Ok(Some(0))
        );
        // Where both are, it could be either.
        let trie = table(&[("GET", "/{int}"), ("GET", "/{uuid}")]);
        assert_eq!(
            lookup(&trie, "GET", "/12345678901234567890123456789012"),
            Err(Lookalike)
        );
    }

    #[test]
    fn a_segment_that_is_not_of_the_kind_has_no_route() {
        let trie = table(&[("GET", "/a/{int}"), ("GET", "/b/{uuid}/c")]);
        for path in ["/a/x", "/a/07", "/a/", "/a/7/", "/b/7/c", "/b//c"] {
            assert_eq!(find(&trie, "GET", path), None, "`{path}`");
        }
        assert_eq!(find(&trie, "GET", "/a/7"), Some(0));
    }

    #[test]
    fn a_tail_is_one_segment_or_more_and_none_is_empty() {
        let trie = table(&[
            ("GET", "/files/{*}"),
            ("GET", "/files/{int}/info"),
            ("POST", "/{*}"),
        ]);
        for (method, path, found) in [
            ("GET", "/files/a", Some(0)),
            ("GET", "/files/a/b/c", Some(0)),
            ("GET", "/files/7/info", Some(1)),
            ("GET", "/files/x/info", Some(0)),
            ("GET", "/files", None),
            ("GET", "/files/", None),
            ("GET", "/files/a/", None),
            ("POST", "/files/7/info", Some(2)),
            ("POST", "/x", Some(2)),
            ("POST", "/", None),
        ] {
            assert_eq!(find(&trie, method, path), found, "{method} {path}");
        }
        assert_eq!(trie.find(std::iter::empty(), "POST", &|value| *value), Ok(None));
        assert_eq!(
            lookup(&trie, "GET", "/files/7/Info"),
            Err(Lookalike),
            "a tail takes no lookalike either"
        );
        assert_eq!(lookup(&trie, "GET", "/Files/a"), Err(Lookalike));
    }

    #[test]
    fn what_is_not_picked_leaves_the_way_to_wider_patterns() {
        let trie = table(&[("GET", "/a/b"), ("GET", "/a/{}"), ("GET", "/{*}")]);
        let except = |refused: &'static [usize]| {
            let pick = move |value: &Option<usize>| value.filter(|value| !refused.contains(value));
            trie.find("a/b".split('/'), "GET", &pick)
        };
        assert_eq!(except(&[]), Ok(Some(0)));
        assert_eq!(except(&[0]), Ok(Some(1)));
        assert_eq!(except(&[0, 1]), Ok(Some(2)));
        assert_eq!(except(&[0, 1, 2]), Ok(None));
    }

    #[test]
    fn an_odd_literal_is_protected_from_its_plain_form() {
        let trie = table(&[("GET", "/Secret"), ("GET", "/caf\u{e9}"), ("GET", "/{}")]);
        assert_eq!(lookup(&trie, "GET", "/Secret"), Ok(Some(0)));
        for path in ["/secret", "/SECRET", "/secret.", "/CAF\u{c9}"] {
            assert_eq!(lookup(&trie, "GET", path), Err(Lookalike), "`{path}`");
        }
        assert_eq!(lookup(&trie, "GET", "/cafe"), Ok(Some(2)));
        for path in ["/cafe\u{301}", "/\u{24e2}ecret", "/\u{1d42c}ecret"] {
            assert_eq!(lookup(&trie, "GET", path), Err(Lookalike), "`{path}`");
        }
        let long = format!("/{}", "A".repeat(100));
        assert_eq!(lookup(&trie, "GET", &long), Ok(Some(2)));
    }

    mod looking_alike {
        use proptest::prelude::*;

        use super::*;

        proptest! {
            /// The short ways come to the same as folding everything.
            #[test]
            fn is_having_the_same_fold(
                literals in proptest::collection::vec("[a-bA-B. \u{e9}\u{c9}\u{200b}\u{aa}\u{301}e]{0,3}", 1..4),
                segment in "[a-bA-B. \u{e9}\u{c9}\u{200b}\u{aa}\u{301}e]{0,4}",
            ) {
                prop_assume!(!literals.contains(&segment));
                let mut lookalikes = Lookalikes::default();
                for literal in &literals {
                    lookalikes.add(literal);
                }
                let expected = literals.iter().any(|literal| fold(literal) == fold(&segment));
                prop_assert_eq!(lookalikes.include(&segment), expected);
            }
        }
    }
}

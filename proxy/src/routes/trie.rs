//! A tree of path segments that finds the most specific pattern for a path.
//!
//! Segment by segment from the left, a literal goes before a parameter. Two different patterns that match one path
//! therefore never have equal rank; equal patterns are refused when they are put in.
//!
//! A segment that only looks like a literal (`Secret`, `secret.` beside `secret`) leads nowhere: many a service would take
//! it for that literal, and would be asked under a parameter's rule for what the literal's rule protects.

use std::collections::{HashMap, HashSet};

use crate::request::characters::fold;

/// One segment of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Piece {
    /// Exactly this decoded text; empty behind a trailing slash.
    Literal(Box<str>),
    /// Any one segment that is not empty.
    Parameter,
}

/// Patterns and what they lead to, by method.
#[derive(Debug)]
pub(crate) struct Trie<T> {
    literals: HashMap<Box<str>, Trie<T>>,
    /// What the literals are for a careless reader.
    folded: HashSet<Box<str>>,
    parameter: Option<Box<Trie<T>>>,
    here: Vec<(&'static str, T)>,
}

/// A segment of the path looks like a literal of a pattern and is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lookalike;

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self {
            literals: HashMap::new(),
            folded: HashSet::new(),
            parameter: None,
            here: Vec::new(),
        }
    }
}

impl<T: Copy> Trie<T> {
    /// Puts a pattern in, for one method.
    ///
    /// # Errors
    /// What the very same pattern and method lead to already.
    pub(crate) fn insert(&mut self, pattern: &[Piece], method: &'static str, value: T) -> Result<(), T> {
        match pattern.split_first() {
            Some((Piece::Literal(text), tail)) => {
                self.folded.insert(fold(text).into());
                let next = self.literals.entry(text.clone()).or_default();
                next.insert(tail, method, value)
            }
            Some((Piece::Parameter, tail)) => {
                self.parameter.get_or_insert_default().insert(tail, method, value)
            }
            None => {
                if let Some(earlier) = self.at_this_end(method) {
                    return Err(earlier);
                }
                self.here.push((method, value));
                Ok(())
            }
        }
    }

    /// What the most specific pattern for this path and method leads to.
    ///
    /// # Errors
    /// The path is to lead nowhere, whatever other patterns there are.
    pub(crate) fn find<'p>(
        &self,
        mut path: impl Iterator<Item = &'p str> + Clone,
        method: &str,
    ) -> Result<Option<T>, Lookalike> {
        let Some(segment) = path.next() else {
            return Ok(self.at_this_end(method));
        };
        match self.literals.get(segment) {
            Some(literal) => {
                let found = literal.find(path.clone(), method)?;
                if found.is_some() {
                    return Ok(found);
                }
            }
            None if self.folded.contains(fold(segment).as_str()) => return Err(Lookalike),
            None => {}
        }
        match &self.parameter {
            Some(parameter) if !segment.is_empty() => parameter.find(path, method),
            _ => Ok(None),
        }
    }

    fn at_this_end(&self, method: &str) -> Option<T> {
        let found = self.here.iter().find(|(known, _)| *known == method);
        found.map(|(_, value)| *value)
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
                "{}" => Piece::Parameter,
                literal => Piece::Literal(literal.into()),
            })
            .collect()
    }

    fn table(patterns: &[(&'static str, &str)]) -> Trie<usize> {
        let mut trie = Trie::default();
        for (index, (method, pattern)) in patterns.iter().enumerate() {
            trie.insert(&pieces(pattern), method, index).expect("new");
        }
        trie
    }

    fn find(trie: &Trie<usize>, method: &str, path: &str) -> Option<usize> {
        trie.find(path.split('/').skip(1), method).ok().flatten()
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
        let lookup = |path: &str| trie.find(path.split('/').skip(1), "GET");
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
    fn the_same_pattern_twice_is_refused() {
        let mut trie = table(&[("GET", "/a/{}")]);
        assert_eq!(trie.insert(&pieces("/a/{}"), "GET", 9), Err(0));
        assert_eq!(trie.insert(&pieces("/a/{}"), "PUT", 9), Ok(()));
    }
}

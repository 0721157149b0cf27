//! The naive matcher: every route is looked at, by nothing but the rules. It shares nothing with the table but [`fold`].

use std::cmp::Reverse;
use std::collections::BTreeMap;

use sentinel_config::edge::{self, Expected, HostPattern, ParamKind, Segment};

use crate::request::characters::fold;

/// A request, taken apart by whoever made it.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) host: String,
    pub(super) segments: Vec<&'static str>,
    pub(super) fields: Vec<(&'static str, &'static str)>,
    pub(super) query: Vec<(&'static str, &'static str)>,
}

/// A route, and its segments, decoded; behind a slash at the end stands an empty one.
pub(super) struct Rule<'r>(&'r edge::Route, Vec<Segment>);

impl<'r> Rule<'r> {
    pub(super) fn new(route: &'r edge::Route) -> Self {
        let path = &route.pattern.path;
        let decoded = path.segments.iter().map(|segment| match segment {
            Segment::Literal(text) => Segment::Literal(text.replace("%C3%A9", "é")),
            other => other.clone(),
        });
        let slash = path.trailing_slash.then(|| Segment::Literal(String::new()));
        Self(route, decoded.chain(slash).collect())
    }
}

/// The number of the route that counts.
pub(super) fn find(rules: &[Rule<'_>], request: &Request) -> Option<usize> {
    for rank in 0..3 {
        let here: Vec<usize> = (0..rules.len())
            .filter(|at| host_rank(&rules[*at].0.pattern.host, &request.host) == Some(rank))
            .collect();
        let readings = here.iter().filter_map(|at| read(rules, &here, *at, request));
        if let Some((_, _, leads_to)) = readings.min() {
            return leads_to;
        }
    }
    None
}

fn host_rank(pattern: &HostPattern, host: &str) -> Option<u8> {
    match pattern {
        HostPattern::Exact(name) => (name == host).then_some(0),
        HostPattern::Wildcard(parent) => {
            let label = host.strip_suffix(parent)?.strip_suffix('.')?;
            (!label.is_empty() && !label.contains('.')).then_some(1)
        }
        HostPattern::Any => Some(2),
    }
}

/// How special a route is for a request, and where it leads: nowhere, if a segment only looks like its literal.
fn read(
    rules: &[Rule<'_>],
    here: &[usize],
    at: usize,
    request: &Request,
) -> Option<(Vec<u8>, Reverse<usize>, Option<usize>)> {
    let mut special = Vec::new();
    let Rule(route, path) = &rules[at];
    for (index, piece) in path.iter().enumerate() {
        let segment = request.segments.get(index)?;
        special.push(match piece {
            Segment::Literal(text) if text == segment => 0,
            Segment::Literal(text) if fold(text) == fold(segment) => {
                let is_literal = |other: &usize| {
                    let other = &rules[*other].1;
                    let begins_alike = other.iter().zip(path).take(index).all(|(a, b)| alike(a, b));
                    begins_alike && other.get(index) == Some(&Segment::Literal((*segment).to_owned()))
                };
                special.push(0);
                let is_another = here.iter().any(is_literal);
                return (!is_another).then_some((special, Reverse(0), None));
            }
            Segment::Literal(_) => return None,
            Segment::Param { kind, .. } if is_in_disguise(*kind, segment) => {
                special.push(1);
                return Some((special, Reverse(0), None));
            }
            Segment::Param { kind, .. } => kind_rank(*kind, segment)?,
            Segment::Tail(_) if request.segments[index..].contains(&"") => return None,
            Segment::Tail(_) => 4,
        });
    }
    let is_whole = matches!(path.last(), Some(Segment::Tail(_))) || path.len() == request.segments.len();
    let when = &route.settings.when;
    let is_meant = is_whole
        && route.pattern.method.as_str() == request.method
        && when
            .headers
            .iter()
            .all(|condition| is_met(condition, &request.fields))
        && when
            .query
            .iter()
            .all(|condition| is_met(condition, &request.query));
    is_meant.then_some((special, Reverse(when.count()), Some(at)))
}

fn kind_rank(kind: ParamKind, segment: &str) -> Option<u8> {
    let is_slug = !segment.is_empty() && segment.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'));
    match kind {
        ParamKind::Int => segment
            .parse::<u64>()
            .is_ok_and(|number| number.to_string() == segment)
            .then_some(1),
        ParamKind::Uuid => {
            let uuid = uuid::Uuid::parse_str(segment).ok()?;
            (uuid.hyphenated().to_string() == segment).then_some(1)
        }
        ParamKind::Slug => is_slug.then_some(2),
        ParamKind::Any => (!segment.is_empty()).then_some(3),
    }
}

/// Whether a segment is an id for a lenient reader, and for the rules is not.
fn is_in_disguise(kind: ParamKind, segment: &str) -> bool {
    let is_read = || match kind {
        ParamKind::Int => fold(segment).parse::<i64>().is_ok(),
        ParamKind::Uuid => uuid::Uuid::parse_str(&fold(segment)).is_ok(),
        ParamKind::Slug | ParamKind::Any => false,
    };
    kind_rank(kind, segment).is_none() && is_read()
}

fn is_met((name, expected): (&str, &Expected), given: &[(&str, &str)]) -> bool {
    let values: Vec<&str> = given
        .iter()
        .filter(|pair| pair.0 == name)
        .map(|pair| pair.1)
        .collect();
    match expected {
        Expected::Any => values.len() == 1,
        Expected::Exactly(value) => values == [value.as_str()],
    }
}

/// Whether one request could mean both routes, with nothing to choose between them.
pub(super) fn tie(Rule(one, a): &Rule<'_>, Rule(other, b): &Rule<'_>) -> bool {
    let conditions = |route: &edge::Route| -> BTreeMap<String, Expected> {
        let when = &route.settings.when;
        let fields = when
            .headers
            .iter()
            .map(|(name, value)| (format!("h {name}"), value.clone()));
        let query = when
            .query
            .iter()
            .map(|(name, value)| (format!("q {name}"), value.clone()));
        fields.chain(query).collect()
    };
    let (one_has, other_has) = (conditions(one), conditions(other));
    let exclude = one_has
        .iter()
        .any(|(name, value)| match (value, other_has.get(name)) {
            (Expected::Exactly(value), Some(Expected::Exactly(another))) => value != another,
            _ => false,
        });
    one.pattern.method == other.pattern.method
        && one.pattern.host == other.pattern.host
        && a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| alike(a, b))
        && one_has.len() == other_has.len()
        && !exclude
}

fn alike(one: &Segment, other: &Segment) -> bool {
    match (one, other) {
        (Segment::Literal(a), Segment::Literal(b)) => a == b,
        (Segment::Param { kind: a, .. }, Segment::Param { kind: b, .. }) => a == b,
        (Segment::Tail(_), Segment::Tail(_)) => true,
        _ => false,
    }
}

//! The table against a matcher that is nothing but the rules, read from top to bottom, on a million generated pairs of
//! policy and request. Everything is made from the seed that a failure shows.

mod naive;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue, Version};
use sentinel_config::edge::Config;
use sentinel_config::{ConfigErrors, edge, parse_edge};

use super::Table;
use crate::request::{CanonicalRequest, HeadLimits, Parsed};

/// How many policies each of the tests tries, and how many requests on each.
const POLICIES: u64 = 1_250;
const REQUESTS: usize = 200;

/// Numbers that look random (`SplitMix64`) and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) >> 33).expect("31 bits") % bound
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

const UUID: &str = "0190a0a0-0000-7000-8000-000000000001";

/// Parts of patterns; `N` becomes the place, so that no name stands twice.
const PIECES: &[&str] = &[
    "a",
    "a",
    "a",
    "b",
    "b",
    "A",
    "7",
    "a-b",
    "%C3%A9",
    UUID,
    "{pN}",
    "{pN}",
    "{pN:slug}",
    "{pN:int}",
    "{pN:uuid}",
];
/// Segments of requests as they are sent, and decoded.
const SEGMENTS: &[(&str, &str)] = &[
    ("a", "a"),
    ("a", "a"),
    ("a", "a"),
    ("a", "a"),
    ("a", "a"),
    ("a", "a"),
    ("b", "b"),
    ("b", "b"),
    ("b", "b"),
    ("b", "b"),
    ("b", "b"),
    ("A", "A"),
    ("7", "7"),
    ("07", "07"),
    ("a-b", "a-b"),
    ("A-b.", "A-b."),
    ("a_b", "a_b"),
    ("a.", "a."),
    ("...", "..."),
    ("%C3%A9", "é"),
    ("%C3%89", "É"),
    ("e%CC%81", "e\u{301}"),
    ("%C2%AA", "\u{aa}"),
    ("+7", "+7"),
    ("%EF%BC%97", "\u{ff17}"),
    (UUID, UUID),
    (
        "%7B0190a0a0-0000-7000-8000-000000000001%7D",
        "{0190a0a0-0000-7000-8000-000000000001}",
    ),
    (
        "0190a0a0000070008000000000000001",
        "0190a0a0000070008000000000000001",
    ),
    (
        "0190A0A0-0000-7000-8000-000000000001",
        "0190A0A0-0000-7000-8000-000000000001",
    ),
];
const VALUES: &[(&str, &str)] = &[("1", "1"), ("2", "2"), ("%31", "1"), ("1+2", "1 2"), ("", "")];

fn routes(numbers: &mut Numbers) -> Vec<String> {
    let count = numbers.below(16) + 1;
    (0..count).map(|_| route(numbers)).collect()
}

fn route(numbers: &mut Numbers) -> String {
    let method = numbers.of(&["GET", "GET", "GET", "POST"]);
    let host = numbers.of(&["h", "h", "h", "a.h", "*.h", "*.h", "*.a.h", "", "", ""]);
    let mut path = String::new();
    let length = numbers.below(4);
    for place in 0..length {
        path.push('/');
        path.push_str(&numbers.of(PIECES).replace('N', &place.to_string()));
    }
    match numbers.below(6) {
        0 => path.push_str("/{rest*}"),
        1 => path.push('/'),
        _ if path.is_empty() => path.push('/'),
        _ => {}
    }
    let mut conditions = String::new();
    for (key, names) in [("headers", ["x-a", "x-b"]), ("query", ["q", "r"])] {
        let mut wanted = String::new();
        for name in names {
            if numbers.below(9) == 0 {
                let value = numbers.of(&["1", "2", "1 2", "*"]);
                let _ = write!(wanted, " {name}: '{value}',");
            }
        }
        let _ = write!(conditions, " {key}: {{{wanted} }},");
    }
    format!("- {{ match: '{method} {host}{path}', to: docs, public: true, when: {{{conditions} }} }}\n")
}

fn parse(routes: &[String]) -> Result<Config, ConfigErrors> {
    let text = format!(
        "control_plane: {{ url: http://127.0.0.1:9003, edge_key: some-key }}\nhosts: any\n\
         upstreams: {{ docs: {{ url: http://127.0.0.1:9000 }} }}\nroutes:\n{}",
        routes.concat()
    );
    parse_edge(&text, Path::new("edge.yaml"), &BTreeMap::new())
}

/// A request as the edge gets it, and as the naive matcher does.
struct Sent {
    canonical: CanonicalRequest,
    fields: HeaderMap,
    plain: naive::Request,
}

fn canonical(method: &str, host: &str, target: &str, mut fields: HeaderMap) -> (CanonicalRequest, HeaderMap) {
    fields.insert("host", HeaderValue::from_str(host).expect("a host"));
    let parsed = Parsed {
        version: Version::HTTP_11,
        method,
        target: target.as_bytes(),
        authority: None,
        fields: &fields,
    };
    let request = CanonicalRequest::parse(parsed, HeadLimits::default()).expect("canonical");
    (request, fields)
}

fn request(numbers: &mut Numbers) -> Sent {
    let method = numbers.of(&["GET", "GET", "GET", "GET", "GET", "GET", "POST", "HEAD"]);
    let host = numbers.of(&["h", "h", "h", "H:80", "a.h", "b.h", "B.A.h", "a.b.h"]);
    let mut target = String::new();
    let mut segments = Vec::new();
    for _ in 0..numbers.below(4) {
        let (raw, decoded) = numbers.of(SEGMENTS);
        target.push('/');
        target.push_str(raw);
        segments.push(decoded);
    }
    if target.is_empty() {
        target.push('/');
    } else if numbers.below(5) == 0 {
        target.push('/');
        segments.push("");
    }
    let mut query = Vec::new();
    for _ in 0..numbers.below(4) {
        let name = numbers.of(&["q", "r", "Q"]);
        let (raw, decoded) = numbers.of(VALUES);
        let separator = if query.is_empty() { '?' } else { '&' };
        let _ = write!(target, "{separator}{name}={raw}");
        query.push((name, decoded));
    }
    let mut fields = HeaderMap::new();
    let mut plain_fields = Vec::new();
    for _ in 0..numbers.below(4) {
        let name = numbers.of(&["x-a", "x-b", "x-c"]);
        let value = numbers.of(&["1", "2", "1 2", ""]);
        fields.append(name, HeaderValue::from_static(value));
        plain_fields.push((name, value));
    }
    let (canonical, fields) = canonical(method, host, &target, fields);
    let name = host.to_lowercase();
    Sent {
        canonical,
        fields,
        plain: naive::Request {
            method,
            host: name.split(':').next().expect("a name").to_owned(),
            segments,
            fields: plain_fields,
            query,
        },
    }
}

/// The requests that are drawn from.
static SENT: LazyLock<Vec<Sent>> = LazyLock::new(|| {
    let mut numbers = Numbers(1);
    (0..20_000).map(|_| request(&mut numbers)).collect()
});

/// Which routes tie with an earlier one, and with which.
fn ties<'r>(routes: impl IntoIterator<Item = &'r edge::Route>) -> Vec<(usize, usize)> {
    let rules: Vec<naive::Rule<'_>> = routes.into_iter().map(naive::Rule::new).collect();
    let earlier = |at: usize| (0..at).find(|earlier| naive::tie(&rules[*earlier], &rules[at]));
    (0..rules.len())
        .filter_map(|at| Some((earlier(at)?, at)))
        .collect()
}

/// A policy without ties, after it was seen that one with ties is refused.
fn policy(numbers: &mut Numbers, seed: u64) -> (Vec<String>, Config) {
    let mut texts = routes(numbers);
    let told = match parse(&texts) {
        Ok(config) => {
            let missed = ties(&config.routes);
            assert!(
                missed.is_empty(),
                "seed {seed}: {missed:?} tie in\n{}",
                texts.concat()
            );
            return (texts, config);
        }
        Err(errors) => errors.to_string(),
    };
    // Each is read alone, so that a tie does not keep the others from being read.
    let alone: Vec<Config> = texts
        .iter()
        .map(|text| parse(std::slice::from_ref(text)).expect("a route alone"))
        .collect();
    let tied = ties(alone.iter().flat_map(|config| &config.routes));
    assert_eq!(
        told.lines().count(),
        tied.len(),
        "seed {seed}:\n{told}\n{}",
        texts.concat()
    );
    for (before, at) in &tied {
        let key = format!("routes[{at}].match: ");
        assert!(
            told.contains(&key),
            "seed {seed}: {key} is not told in\n{told}\n{}",
            texts.concat()
        );
        the_example_means_both(&alone[*before], &alone[*at], seed);
    }
    let mut at = 0..;
    texts.retain(|_| {
        let at = at.next();
        !tied.iter().any(|(_, tied)| Some(*tied) == at)
    });
    let config = parse(&texts).unwrap_or_else(|errors| panic!("seed {seed}: {errors}\n{}", texts.concat()));
    (texts, config)
}

/// The request that a message about a tie shows is one for both routes.
fn the_example_means_both(one: &Config, other: &Config, seed: u64) {
    let first = |config: &Config| config.routes.iter().next().expect("a route").clone();
    let (a, b) = (first(one), first(other));
    let both = a.settings.when.tie(&b.settings.when).expect("a tie");
    let example = edge::example_request(&b.pattern, &both);
    let mut quoted = example.split('`').skip(1).step_by(2);
    let line = quoted.next().expect("a request");
    let (method, rest) = line.split_once(' ').expect("a method");
    let (host, target) = rest.split_at(rest.find('/').expect("a path"));
    let mut fields = HeaderMap::new();
    for field in quoted {
        let (name, value) = field.split_once(": ").expect("a field");
        let name: HeaderName = name.parse().expect("a name");
        fields.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    let (request, fields) = canonical(method, host, target, fields);
    for config in [one, other] {
        let table = Table::compile(config).expect("one route");
        assert!(
            table.find(&request, &fields).is_some(),
            "seed {seed}: {example} is not for both"
        );
    }
}

/// Tries the policies with these seeds.
fn compare(part: u64) {
    let mut pairs = 0;
    let mut found = 0;
    for seed in (part * POLICIES..).take(usize::try_from(POLICIES).expect("a number")) {
        let mut numbers = Numbers(seed.wrapping_mul(0xA076_1D64_78BD_642F));
        let (texts, config) = policy(&mut numbers, seed);
        let table = Table::compile(&config).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let routes: Vec<&edge::Route> = config.routes.iter().collect();
        let rules: Vec<naive::Rule<'_>> = config.routes.iter().map(naive::Rule::new).collect();
        let reversed = Table::of(&config, routes.iter().rev().copied()).expect("no ties");
        let names: Vec<&str> = table.routes().map(super::Route::name).collect();
        for _ in 0..REQUESTS {
            let sent = &SENT[numbers.below(SENT.len())];
            let expected = naive::find(&rules, &sent.plain).map(|at| names[at]);
            for table in [&table, &reversed] {
                let actual = table
                    .find(&sent.canonical, &sent.fields)
                    .map(|route| route.name());
                assert_eq!(
                    actual,
                    expected,
                    "seed {seed}: {:?} {:?}\n{}",
                    sent.plain,
                    sent.canonical.target.raw(),
                    texts.concat()
                );
            }
            pairs += 1;
            found += usize::from(expected.is_some());
        }
    }
    assert_eq!(pairs, REQUESTS * usize::try_from(POLICIES).expect("a number"));
    assert!(
        found > pairs / 10,
        "only {found} of {pairs} requests have a route: the test sees nothing"
    );
}

// Four parts, so that they run side by side.

#[test]
fn the_table_finds_what_the_rules_say_first_part() {
    compare(0);
}

#[test]
fn the_table_finds_what_the_rules_say_second_part() {
    compare(1);
}

#[test]
fn the_table_finds_what_the_rules_say_third_part() {
    compare(2);
}

#[test]
fn the_table_finds_what_the_rules_say_fourth_part() {
    compare(3);
}

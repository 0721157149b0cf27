//! A policy file that was damaged never opens what was closed: one line lost, doubled, moved or commented out, one character
//! lost or replaced, another indentation, a file cut short. Either it is refused, by its form or by its own tests, or whatever
//! it lets through was let through before.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sentinel_authz::{Graph, Model, Query};
use sentinel_config::edge::{
    ActionRef, Config, Expected, HostPattern, IssuedTokens, Permission, RelationTemplate, Requirement, Route,
    Segment, TestCaller, TestPermission, TestRelation, TestRequest, TestToken, TestUser,
};
use sentinel_config::{Environment, parse_edge};
use sentinel_core::{Object, Subject, Timestamp, Tuple, WorkspaceRole};
use sentinel_proxy::decide::Knowledge;
use sentinel_proxy::policy_tests::{self, Attempt, Caller, Court, graph_of};
use sentinel_proxy::routes::Table;

const SAMPLE: &str = include_str!("../../config/edge.sample.yaml");
const QUICKSTART: &str = include_str!("policies/quickstart.yaml");
const MODEL: &str = include_str!("policies/docs.fga");
const EVERYTHING: &str = include_str!("policies/everything.yaml");

/// A file with what it names beside it.
struct File {
    home: tempfile::TempDir,
}

impl File {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().expect("a directory");
        for (name, text) in [
            ("edge.key", "edge_key\n".to_owned()),
            ("example.com.pem", "-----BEGIN CERTIFICATE-----\n".to_owned()),
            ("example.com.key", "-----BEGIN PRIVATE KEY-----\n".to_owned()),
            ("partner.keys.json", "{\"keys\":[]}\n".to_owned()),
            ("cookie.key", "c".repeat(32)),
            ("docs.fga", MODEL.to_owned()),
        ] {
            let path = home.path().join(name);
            std::fs::write(&path, text).expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("set");
        }
        Self { home }
    }

    /// The policy as it would be served: it has the right form, and its tests pass.
    fn load(&self, text: &str) -> Result<(Config, Table), String> {
        let config = parse_edge(text, &self.home.path().join("edge.yaml"), &Environment::new())
            .map_err(|errors| errors.to_string())?;
        let table = Table::compile(&config).map_err(|error| error.to_string())?;
        policy_tests::run(&config, &table).map_err(|failed| failed.to_string())?;
        Ok((config, table))
    }
}

/// A caller and what is true about him.
struct Actor {
    described: Option<TestCaller>,
    graph: Graph,
}

/// Requests that a policy refuses, each with the actor who makes it.
struct Refused {
    actors: Vec<Actor>,
    attempts: Vec<(String, Attempt, usize)>,
}

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

impl Refused {
    /// Every pair of a request and a caller that the policy does not let through.
    fn by(config: &Config, table: &Table) -> (Self, usize) {
        let requests = requests(config);
        let mut refused = Self {
            actors: actors(config, table.declared_model()),
            attempts: Vec::new(),
        };
        let mut forwarded = 0;
        for (number, actor) in refused.actors.iter().enumerate() {
            for (line, fields) in &requests {
                let caller = Caller::of_test(actor.described.as_ref(), now() + Duration::from_mins(1));
                let caller = caller.expect("a caller");
                let attempt = Attempt::new(line, fields, caller, &config.session_cookie);
                if judge(table, actor, &attempt) {
                    forwarded += 1;
                } else {
                    let shown = format!("{line} {fields:?} by {:?}", actor.described);
                    refused.attempts.push((shown, attempt, number));
                }
            }
        }
        (refused, forwarded)
    }

    /// The first of them that `table` lets through.
    fn opened_by(&self, table: &Table) -> Option<&str> {
        let opened = self
            .attempts
            .iter()
            .find(|(_, attempt, actor)| judge(table, &self.actors[*actor], attempt));
        opened.map(|(shown, _, _)| shown.as_str())
    }
}

fn judge(table: &Table, actor: &Actor, attempt: &Attempt) -> bool {
    let court = Court {
        table,
        known: Knowledge::whole(&actor.graph, now()),
    };
    court.judge(attempt).is_forwarded()
}

/// What the requirements of a policy speak of.
#[derive(Default)]
struct Vocabulary {
    actions: Vec<ActionRef>,
    objects: Vec<TestPermission>,
    relations: Vec<TestRelation>,
    services: BTreeSet<String>,
}

impl Vocabulary {
    fn of(config: &Config, model: &Arc<Model>) -> Self {
        let mut all = Self::default();
        for route in &config.routes {
            if let sentinel_config::edge::Access::Protected { require, .. } = &route.access {
                all.collect(require, model);
            }
        }
        all
    }

    fn collect(&mut self, require: &Requirement, model: &Arc<Model>) {
        match require {
            Requirement::All(parts) | Requirement::Any(parts) => {
                for part in parts {
                    self.collect(part, model);
                }
            }
            Requirement::Action(action) => self.actions.push(action.clone()),
            Requirement::Service(name) => drop(self.services.insert(name.to_string())),
            Requirement::Permission(template) => {
                for id in IDS {
                    self.objects.push(TestPermission {
                        service: template.service.clone(),
                        resource_type: template.resource_type.clone(),
                        id: id.to_owned(),
                        permission: template.permission,
                    });
                }
            }
            Requirement::Relation(template) => {
                for id in IDS {
                    self.relations.extend(enough(template, id, model));
                }
            }
            Requirement::SignedIn | Requirement::Role(_) => {}
        }
    }
}

/// What gives the caller a relation to an object, in the fewest tuples.
fn enough(template: &RelationTemplate, id: &str, model: &Arc<Model>) -> Vec<TestRelation> {
    let object = Object::new(&template.object_type, id).expect("an object");
    let caller: Subject = "user:caller".parse().expect("a subject");
    let graph = Graph::new(Arc::clone(model));
    let ways = graph
        .at(now())
        .missing(&Query::new(&object, &template.relation, &caller));
    let way = ways.expect("the model has it").into_iter().next();
    let relation = |tuple: Tuple| {
        let text = tuple.to_string();
        let text = text.strip_suffix("@user:caller").unwrap_or(&text);
        text.parse().expect("a relation")
    };
    way.expect("a way").into_iter().map(relation).collect()
}

/// What stands where a path has a parameter.
const IDS: [&str; 4] = ["7", "about-us", "X_y", "0190a0a0-0000-7000-8000-000000000001"];

fn actors(config: &Config, model: &Arc<Model>) -> Vec<Actor> {
    let words = Vocabulary::of(config, model);
    let user = |role, actions: &[ActionRef], permission: Option<Permission>, token| TestUser {
        role,
        actions: actions.to_vec(),
        relations: permission.map_or_else(Vec::new, |_| words.relations.clone()),
        permissions: permission.map_or_else(Vec::new, |permission| {
            let objects = words.objects.iter().cloned();
            objects
                .map(|object| TestPermission { permission, ..object })
                .collect()
        }),
        token,
    };
    let mut users = vec![user(
        None,
        &words.actions,
        Some(Permission::Manage),
        TestToken::Access,
    )];
    for role in WorkspaceRole::ALL.map(Some) {
        for actions in [&[][..], &words.actions] {
            users.push(user(role, actions, None, TestToken::Access));
        }
        users.push(user(
            role,
            &words.actions,
            Some(Permission::Manage),
            TestToken::Access,
        ));
    }
    for permission in [Permission::View, Permission::Edit] {
        users.push(user(
            Some(WorkspaceRole::Viewer),
            &[],
            Some(permission),
            TestToken::Access,
        ));
    }
    for token in [TestToken::Cookie, TestToken::Authz] {
        users.push(user(Some(WorkspaceRole::Viewer), &[], None, token));
        users.push(user(
            Some(WorkspaceRole::Owner),
            &words.actions,
            Some(Permission::Manage),
            token,
        ));
    }
    let nobody = TestCaller {
        user: None,
        service: None,
        issuer: None,
    };
    let mut services: Vec<_> = words.services.iter().map(String::as_str).collect();
    services.push("stranger");
    let mut callers = Vec::new();
    for service in services {
        let service = Some(service.parse().expect("a name"));
        for user in [None, users.first(), users.last()] {
            callers.push(TestCaller {
                user: user.cloned(),
                service: service.clone(),
                ..nobody.clone()
            });
        }
    }
    callers.extend(users.into_iter().map(|user| TestCaller {
        user: Some(user),
        ..nobody.clone()
    }));
    let issuers = config.issuers.iter();
    callers.extend(
        issuers
            .filter(|(_, issuer)| issuer.tokens == IssuedTokens::Access)
            .map(|(name, _)| TestCaller {
                issuer: Some(name.clone()),
                ..nobody.clone()
            }),
    );
    std::iter::once(None)
        .chain(callers.into_iter().map(Some))
        .map(|described| Actor {
            graph: graph_of(described.as_ref(), model).expect("relations"),
            described,
        })
        .collect()
}

/// Names and values of header fields.
type Fields = Vec<(String, String)>;
type Request = (TestRequest, Fields);
/// Method, host, path with query, and header fields.
type Parts = (String, String, String, Fields);

/// For every route the requests that it is for, and near misses.
fn requests(config: &Config) -> Vec<Request> {
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for route in &config.routes {
        for (method, host, path, fields) in of_route(route) {
            let text = format!("{method} https://{host}{path}");
            if seen.insert(format!("{text} {fields:?}")) {
                all.push((text.parse().expect("a request"), fields));
            }
        }
    }
    all
}

fn of_route(route: &Route) -> Vec<Parts> {
    let pattern = &route.pattern;
    let method = pattern.method.to_string();
    let host = match &pattern.host {
        HostPattern::Exact(host) => host.clone(),
        HostPattern::Wildcard(parent) => format!("x.{parent}"),
        HostPattern::Any => "any.example".to_owned(),
    };
    let path = |id: &str| {
        let mut path = String::new();
        for segment in &pattern.path.segments {
            path.push('/');
            match segment {
                Segment::Literal(text) => path.push_str(text),
                Segment::Param { .. } => path.push_str(id),
                Segment::Tail(_) => path.extend([id, "/z"]),
            }
        }
        if pattern.path.trailing_slash || path.is_empty() {
            path.push('/');
        }
        path
    };
    let value = |expected: &Expected| match expected {
        Expected::Any => "x".to_owned(),
        Expected::Exactly(value) => value.clone(),
    };
    let when = &route.settings.when;
    let fields: Vec<(String, String)> = when
        .headers
        .iter()
        .map(|(name, expected)| (name.to_owned(), value(expected)))
        .collect();
    let query: Vec<String> = when
        .query
        .iter()
        .map(|(name, expected)| format!("{name}={}", value(expected)))
        .collect();
    let query = if query.is_empty() {
        String::new()
    } else {
        format!("?{}", query.join("&"))
    };
    let mut all = Vec::new();
    for id in IDS {
        all.push((method.clone(), host.clone(), path(id) + &query, fields.clone()));
    }
    let first = path(IDS[0]);
    let shorter = first.rsplit_once('/').map_or("/", |(shorter, _)| shorter);
    let shorter = if shorter.is_empty() { "/" } else { shorter };
    for near in [
        format!("{first}/"),
        format!("{first}/more"),
        format!("{first}x"),
        shorter.to_owned(),
        first.clone(),
    ] {
        all.push((method.clone(), host.clone(), near + &query, Vec::new()));
    }
    all.push((
        method.clone(),
        "elsewhere.example".to_owned(),
        first.clone(),
        fields.clone(),
    ));
    for other in ["GET", "PUT", "POST"] {
        all.push((other.to_owned(), host.clone(), first.clone(), fields.clone()));
    }
    all
}

/// Every text that comes of one mishap.
fn mutations(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let commented: Vec<&str> = text.lines().collect();
    for (at, line) in commented.iter().enumerate() {
        let body = line.trim_start();
        if let Some(comment) = body.strip_prefix('#') {
            // What is a comment becomes a line.
            let indent = &line[..line.len() - body.len()];
            let comment = comment.trim_start_matches(['#', ' ']);
            all.push(replaced(&commented, at, &[&format!("{indent}{comment}")]));
        }
    }
    // Comments make everything that follows slower and nothing different.
    let is_setting = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let lines: Vec<&str> = commented.into_iter().filter(is_setting).collect();
    for (at, line) in lines.iter().enumerate() {
        let mut with = |replacement: &[&str]| all.push(replaced(&lines, at, replacement));
        with(&[]);
        with(&[line, line]);
        with(&[&format!("# {line}")]);
        with(&[&format!("  {line}")]);
        if let Some(shorter) = line.strip_prefix("  ") {
            with(&[shorter]);
        }
        for (from, to) in [("true", "false"), ("false", "true")] {
            if line.contains(from) {
                with(&[&line.replace(from, to)]);
            }
        }
        // A test in the policy opens nothing; it is damaged because what follows could be read as a part of it.
        let step = if line.trim_start().starts_with("- { request:") {
            5
        } else {
            1
        };
        let special = line.char_indices().filter(|(_, c)| SPECIAL.contains(c));
        for (number, (place, found)) in special.enumerate().step_by(step) {
            let (before, after) = (&line[..place], &line[place + found.len_utf8()..]);
            with(&[&format!("{before}{after}")]);
            let others: Vec<char> = REPLACEMENTS.into_iter().filter(|other| *other != found).collect();
            let other = others[(at + number) % others.len()];
            with(&[&format!("{before}{other}{after}")]);
        }
        if let Some(next) = lines.get(at + 1) {
            let mut swapped = lines.clone();
            swapped[at] = next;
            swapped[at + 1] = line;
            all.push(swapped.join("\n"));
        }
        // The end of the file is lost, at a line and within it.
        let rest = lines[..at].join("\n");
        all.push(format!(
            "{rest}\n{}",
            &line[..line.floor_char_boundary(line.len() / 2)]
        ));
        all.push(rest);
    }
    all
}

fn replaced(lines: &[&str], at: usize, replacement: &[&str]) -> String {
    let (before, rest) = lines.split_at(at);
    let after = rest.get(1..).unwrap_or_default();
    [before, replacement, after].concat().join("\n")
}

/// Characters that mean something in the file or in a path, and what they may be mistyped as.
const SPECIAL: [char; 12] = ['{', '}', '[', ']', ':', '"', '#', '*', '/', ',', '-', '_'];
const REPLACEMENTS: [char; 7] = ['#', '*', '/', '"', ' ', '}', ':'];

#[derive(Debug, Default)]
struct Tally {
    refused: usize,
    same: usize,
    other: usize,
}

/// Every mishap of the file; what each one opens.
fn damage(text: &str) -> (Tally, Vec<String>) {
    let file = File::new();
    let (config, table) = file.load(text).unwrap_or_else(|error| panic!("{error}"));
    let (refused, forwarded) = Refused::by(&config, &table);
    assert!(forwarded > 50, "the policy opens something: {forwarded}");
    let policy = |config: &Config| {
        format!(
            "{:?} {:?} {}",
            config.routes, config.issuers, config.session_cookie
        )
    };
    let before = policy(&config);
    let all = mutations(text);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (mut tally, mut opened) = (Tally::default(), Vec::new());
    std::thread::scope(|scope| {
        let workers: Vec<_> = all
            .chunks(all.len().div_ceil(threads).max(1))
            .map(|some| scope.spawn(|| try_out(&file, &refused, &before, &policy, some)))
            .collect();
        for worker in workers {
            let (part, found) = worker.join().expect("no panic");
            tally.refused += part.refused;
            tally.same += part.same;
            tally.other += part.other;
            opened.extend(found);
        }
    });
    (tally, opened)
}

fn try_out(
    file: &File,
    refused: &Refused,
    before: &str,
    policy: &impl Fn(&Config) -> String,
    some: &[String],
) -> (Tally, Vec<String>) {
    let (mut tally, mut opened) = (Tally::default(), Vec::new());
    let mut seen = HashSet::new();
    for text in some {
        let Ok((config, table)) = file.load(text) else {
            tally.refused += 1;
            continue;
        };
        let after = policy(&config);
        if after == before {
            tally.same += 1;
            continue;
        }
        tally.other += 1;
        if seen.insert(after)
            && let Some(what) = refused.opened_by(&table)
        {
            opened.push(format!("{what}\n{text}"));
        }
    }
    (tally, opened)
}

/// The first of them, as a difference from the file.
fn assert_closed(text: &str, least: usize) {
    let (tally, opened) = damage(text);
    let shown: Vec<String> = opened
        .iter()
        .map(|found| {
            let (what, mutated) = found.split_once('\n').unwrap_or((found, ""));
            let old: HashSet<&str> = text.lines().collect();
            let new: HashSet<&str> = mutated.lines().collect();
            let lost = text.lines().filter(|line| !new.contains(line)).take(2);
            let came = mutated.lines().filter(|line| !old.contains(line)).take(2);
            let lines: Vec<String> = lost
                .map(|line| format!("- {line}"))
                .chain(came.map(|line| format!("+ {line}")))
                .collect();
            format!("{what}\n  {}", lines.join("\n  "))
        })
        .collect();
    assert!(
        opened.is_empty(),
        "{} mishaps open something:\n{}",
        opened.len(),
        shown.join("\n")
    );
    let all = tally.refused + tally.same + tally.other;
    assert!(all > least && tally.refused > tally.other, "{all} {tally:?}");
}

#[test]
fn no_mishap_opens_a_route_of_the_sample() {
    assert_closed(SAMPLE, 1_500);
}

#[test]
fn no_mishap_opens_a_route_of_the_quickstart() {
    assert_closed(QUICKSTART, 400);
}

#[test]
fn no_mishap_opens_a_route_of_a_policy_with_everything() {
    assert_closed(EVERYTHING, 1_500);
}

#[test]
fn a_mishap_that_opens_something_is_found() {
    // The same requirement over several lines, without a test of it: one of them can be lost.
    let policy = "control_plane: { url: http://127.0.0.1:9003, edge_key: some-key }
upstreams: { docs: { url: http://127.0.0.1:9000 } }
routes:
  - { match: GET a.example/x, to: docs, public: true }
  - { match: \"GET a.example/y/{id}\", to: docs, public: true }
  - match: GET a.example/reports
    to: docs
    require:
      role: editor
      action: docs/reports:export
";
    let (_, opened) = damage(policy);
    assert!(!opened.is_empty());
}

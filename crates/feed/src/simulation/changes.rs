//! What the writer writes: tuples with and without an end, revoked sessions and tokens, keys, users, models.

use sentinel_core::{Change, Fact};
use uuid::Uuid;

use super::chance::Chance;
use super::database::Facts;
use super::keeps::SERVICES;

/// Two models of a service; the second has a relation more.
const MODELS: [&str; 2] = [
    r"model\n  schema 1.1\ntype user\ntype folder\n  relations\n    define parent: [folder]\n    define viewer: [user, group#member] or viewer from parent",
    r"model\n  schema 1.1\ntype user\ntype folder\n  relations\n    define parent: [folder]\n    define editor: [user]\n    define viewer: [user, group#member] or editor or viewer from parent",
];

fn fact(line: &str) -> Fact {
    line.parse().expect(line)
}

fn model(service: &str, version: u64) -> Fact {
    let text = MODELS[usize::from(version.is_multiple_of(2))];
    fact(&format!("model {service} {version} {text}"))
}

fn model_of(service: &str, facts: &Facts) -> u64 {
    match facts.get(&format!("model {service}")) {
        Some(Fact::Model(model)) => model.version,
        _ => 0,
    }
}

/// The facts that the world begins with.
pub(crate) fn first(chance: &mut Chance) -> Vec<Fact> {
    let mut facts: Vec<Fact> = SERVICES.iter().map(|service| model(service, 1)).collect();
    for n in 0..20 {
        facts.push(fact(&format!(
            "tuple group:g{}#member@user:u{n}",
            chance.below(4)
        )));
    }
    facts
}

/// The changes of one transaction.
pub(crate) fn next(chance: &mut Chance, facts: &Facts) -> Vec<Change> {
    let service = SERVICES[chance.below(SERVICES.len())];
    if chance.one_in(25) {
        return switch_model(service, facts);
    }
    let has_editor = model_of(service, facts).is_multiple_of(2);
    (0..=chance.below(5))
        .map(|_| {
            let there = chance.below(facts.len());
            match facts.values().nth(there) {
                // The model stays, or what is written by it would have to go.
                Some(fact) if chance.one_in(3) && !matches!(fact, Fact::Model(_)) => {
                    Change::Delete(fact.clone())
                }
                _ => Change::Put(any(chance, service, has_editor)),
            }
        })
        .collect()
}

fn any(chance: &mut Chance, service: &str, has_editor: bool) -> Fact {
    let (user, folder) = (chance.below(30), chance.below(12));
    let id = Uuid::from_u128(user as u128 + 1);
    let until = 1_763_797_000_000_000_i64 + i64::try_from(chance.below(60_000_000)).unwrap_or(0);
    let line = match chance.below(11) {
        0 | 1 => format!("tuple group:g{}#member@user:u{user}", chance.below(6)),
        2 => format!("tuple {service}/folder:f{folder}#viewer@user:u{user}"),
        3 => format!(
            "tuple {service}/folder:f{folder}#viewer@group:g{}#member",
            chance.below(6)
        ),
        4 => format!("expiring-tuple {until} {service}/folder:f{folder}#viewer@user:u{user}"),
        5 => format!(
            "tuple {service}/folder:f{folder}#parent@{service}/folder:f{}",
            chance.below(12)
        ),
        6 if has_editor => format!("tuple {service}/folder:f{folder}#editor@user:u{user}"),
        7 => format!(
            "service-key {} {id} {service} -1",
            format!("{user:02x}").repeat(32)
        ),
        8 => format!("revoked-token {id} {until}"),
        9 => format!("disabled-user {id}"),
        _ => format!("revoked-session {id} {until}"),
    };
    fact(&line)
}

/// The next model, and away with the tuples that it does not allow.
fn switch_model(service: &str, facts: &Facts) -> Vec<Change> {
    let next = model_of(service, facts) + 1;
    let mut changes = vec![Change::Put(model(service, next))];
    if !next.is_multiple_of(2) {
        let ours = format!("tuple {service}/");
        let editors = facts
            .iter()
            .filter(|(key, _)| key.starts_with(&ours) && key.contains("#editor@"));
        changes.extend(editors.map(|(_, fact)| Change::Delete(fact.clone())));
    }
    changes
}

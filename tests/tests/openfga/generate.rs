//! Cases at random: a model, tuples that it allows, and questions.

use std::collections::BTreeSet;

use sentinel_authz::{Model, sentinel};

use crate::case::{Case, Question, Triple};
use crate::known;
use crate::random::Random;
use crate::schema::{Allowed, Expr, Form, Kind, Schema, allowed, computed, direct, except, from};

/// Ids of every shape that the graph keeps in its own way.
pub(crate) const IDS: [&str; 4] = [
    "a",
    "b",
    "018f4e7a-0000-7000-8000-000000000001",
    "x/018f4e7a-0000-7000-8000-000000000002",
];

/// People, of whom the last one is in no tuple.
const ROBOTS: [&str; 4] = ["ann", "bob", "018f4e7a-0000-7000-8000-000000000003", "eve"];

/// The same for users, whose ids are Sentinel's.
pub(crate) const USERS: [&str; 4] = [
    "018f4e7a-0000-7000-8000-000000000003",
    "018f4e7a-0000-7000-8000-000000000004",
    "018f4e7a-0000-7000-8000-000000000005",
    "018f4e7a-0000-7000-8000-000000000006",
];

/// Types that tuples may have as subjects and nothing else.
const PEOPLE: [&str; 2] = ["user", "robot"];

/// Types with relations. None is one of Sentinel's, which a service cannot define anew.
pub(crate) const KINDS: [&str; 4] = ["team", "org", "folder", "doc"];

/// The names of relations. Types share them, so that a tupleset may lead to several types that have the relation.
const RELATIONS: [&str; 5] = ["member", "owner", "editor", "viewer", "banned"];

/// The name of the relation that leads to other objects.
const TUPLESET: &str = "parent";

/// Every name that a relation of a service's own type may have.
pub(crate) fn all_relations() -> BTreeSet<String> {
    let folders = known::folders();
    let by_hand = folders.relations().map(|(_, relation, _)| relation.to_owned());
    let at_random = RELATIONS.into_iter().chain([TUPLESET]).map(str::to_owned);
    by_hand.chain(at_random).collect()
}

/// Makes up one case.
pub(crate) fn case(seed: u64, number: u64) -> Case {
    let random = &mut Random::of_case(seed, number);
    // Of ten cases: three without `but not`, whose tuples may go in circles; four with `but not` over tuples without
    // circles; one with both; one of Sentinel's model, and one of a model beside it or of the one written by hand.
    match number % 10 {
        0..3 => random_model(random, number, false, Data::Any),
        3..7 => random_model(random, number, true, Data::WithoutCircles),
        7 => random_model(random, number, true, Data::Any),
        8 => of_sentinel(random, number),
        _ if random.percent(50) => beside_sentinel(random, number),
        _ => {
            let data = *random.one_of(&[Data::WithoutCircles, Data::Any]);
            with_data(random, number, known::folders(), false, data)
        }
    }
}

/// Which tuples there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Data {
    Any,
    /// A tuple leads only to objects with a smaller number.
    WithoutCircles,
}

fn random_model(random: &mut Random, number: u64, exclusion: bool, data: Data) -> Case {
    let schema = schema(random, exclusion, &[]);
    with_data(random, number, schema, false, data)
}

fn of_sentinel(random: &mut Random, number: u64) -> Case {
    with_data(random, number, known::sentinel(), true, Data::Any)
}

/// A service's own types, whose relations take Sentinel's groups, roles and workspaces.
fn beside_sentinel(random: &mut Random, number: u64) -> Case {
    let outside = ["group#member", "role#holder", "workspace#admin", "workspace"];
    let own = schema(random, false, &outside);
    let mut schema = known::sentinel();
    schema
        .kinds
        .extend(own.kinds.into_iter().filter(|kind| kind.name != "user"));
    with_data(random, number, schema, true, Data::Any)
}

/// A schema that our reader takes: it refuses relations that never end and those that can never hold, as OpenFGA does. And
/// none about which OpenFGA is known to be wrong.
fn schema(random: &mut Random, exclusion: bool, outside: &[&str]) -> Schema {
    loop {
        let schema = any_schema(random, exclusion, outside);
        let mut whole = schema.clone();
        if !outside.is_empty() {
            whole.kinds.retain(|kind| kind.name != "user");
            whole.kinds.splice(0..0, known::sentinel().kinds);
        }
        if whole.confuses_them() {
            continue;
        }
        if Model::parse(&format!("model\n  schema 1.1\n{}", whole.types())).is_ok() {
            return schema;
        }
    }
}

/// A schema that may be good or not.
pub(crate) fn any_schema(random: &mut Random, exclusion: bool, outside: &[&str]) -> Schema {
    let count = random.between(1, KINDS.len() + 1);
    let kinds = random.some_of(&KINDS, count);
    let people = &PEOPLE[..random.between(1, PEOPLE.len() + 1)];
    let mut schema = Schema::default();
    for name in people {
        schema.kinds.push(Kind {
            name: (*name).to_owned(),
            relations: Vec::new(),
        });
    }
    // The names are known before the definitions, which may use any of them.
    let names: Vec<(&str, Vec<&str>)> = kinds
        .iter()
        .map(|kind| {
            let count = random.between(1, 5);
            (*kind, random.some_of(&RELATIONS, count))
        })
        .collect();
    for (kind, relations) in &names {
        let writer = Writer {
            people,
            names: &names,
            relations,
            outside,
            exclusion,
            tupleset: random.percent(70),
        };
        let mut definitions = Vec::new();
        if writer.tupleset {
            let count = random.between(1, 3);
            let leads = random.some_of(&kinds, count);
            definitions.push((TUPLESET.to_owned(), direct(&leads)));
        }
        for name in relations {
            let depth = random.below(3);
            definitions.push(((*name).to_owned(), writer.expr(random, true, depth)));
        }
        schema.kinds.push(Kind {
            name: (*kind).to_owned(),
            relations: definitions,
        });
    }
    schema
}

/// Writes the definitions of one type.
struct Writer<'w> {
    people: &'w [&'w str],
    names: &'w [(&'w str, Vec<&'w str>)],
    relations: &'w [&'w str],
    outside: &'w [&'w str],
    exclusion: bool,
    tupleset: bool,
}

impl Writer<'_> {
    /// Some expression. Direct types may only stand first in a definition.
    fn expr(&self, random: &mut Random, first: bool, depth: usize) -> Expr {
        if depth == 0 {
            return self.leaf(random, first);
        }
        let count = random.between(2, 4);
        match random.below(if self.exclusion { 4 } else { 3 }) {
            0 => self.leaf(random, first),
            1 => Expr::Any(self.parts(random, first, depth, count)),
            2 => Expr::All(self.parts(random, first, depth, count)),
            _ => except(
                self.expr(random, first, depth - 1),
                self.expr(random, false, depth - 1),
            ),
        }
    }

    fn parts(&self, random: &mut Random, first: bool, depth: usize, count: usize) -> Vec<Expr> {
        (0..count)
            .map(|part| self.expr(random, first && part == 0, depth - 1))
            .collect()
    }

    fn leaf(&self, random: &mut Random, first: bool) -> Expr {
        if first && random.percent(85) {
            return Expr::Direct(self.subjects(random));
        }
        let relation = *random.one_of(self.relations);
        if self.tupleset && random.percent(50) {
            let relation: &&str = random.one_of(&RELATIONS);
            from(relation, TUPLESET)
        } else {
            computed(relation)
        }
    }

    fn subjects(&self, random: &mut Random) -> Vec<Allowed> {
        let mut all: Vec<String> = Vec::new();
        for kind in self.people {
            // Twice, so that people are there more often than not.
            all.extend([(*kind).to_owned(), (*kind).to_owned(), format!("{kind}:*")]);
        }
        for (kind, relations) in self.names {
            all.extend(relations.iter().map(|relation| format!("{kind}#{relation}")));
            if random.percent(20) {
                all.push((*kind).to_owned());
            }
        }
        all.extend(self.outside.iter().map(|&outside| outside.to_owned()));
        let count = random.between(1, 4);
        let mut subjects: Vec<Allowed> = Vec::new();
        for text in random.some_of(&all, count) {
            let one = allowed(&text);
            if !subjects.contains(&one) {
                subjects.push(one);
            }
        }
        subjects
    }
}

/// The ids of a type's objects that tuples may mention.
fn ids(kind: &str) -> &'static [&'static str] {
    if PEOPLE.contains(&kind) {
        &people_ids(kind)[..3]
    } else {
        &IDS[..3]
    }
}

fn people_ids(kind: &str) -> &'static [&'static str; 4] {
    if kind == "user" { &USERS } else { &ROBOTS }
}

/// Every tuple that the schema allows over the ids.
fn all_tuples(schema: &Schema, data: Data) -> Vec<Triple> {
    let mut tuples = Vec::new();
    for (kind, relation, expr) in schema.relations() {
        for (number, id) in ids(kind).iter().enumerate() {
            for Allowed { kind: of, form } in expr.direct() {
                let object = format!("{kind}:{id}");
                let mut push = |subject| tuples.push(Triple::new(&object, relation, subject));
                if *form == Form::Wildcard {
                    push(format!("{of}:*"));
                    continue;
                }
                let leads_on = !PEOPLE.contains(&of.as_str());
                for (other, subject) in ids(of).iter().enumerate() {
                    if leads_on && data == Data::WithoutCircles && other >= number {
                        continue;
                    }
                    let subject = format!("{of}:{subject}");
                    push(match form {
                        // OpenFGA does not write down that a userset includes itself. In ours such a tuple says nothing.
                        Form::Userset(other) if subject == object && other == relation => continue,
                        Form::Userset(relation) => format!("{subject}#{relation}"),
                        Form::Object | Form::Wildcard => subject,
                    });
                }
            }
        }
    }
    tuples
}

fn with_data(random: &mut Random, number: u64, schema: Schema, sentinel: bool, data: Data) -> Case {
    let all = all_tuples(&schema, data);
    let count = random.between(1, 45);
    let tuples: BTreeSet<Triple> = random.some_of(&all, count).into_iter().collect();
    // What comes and goes again before the questions: the replica has a history.
    let count = random.below(6);
    let passing: Vec<Triple> = random
        .some_of(&all, count)
        .into_iter()
        .filter(|tuple| !tuples.contains(tuple))
        .collect();
    let questions = questions(random, &schema);
    let types = if sentinel {
        let own = Schema {
            kinds: schema.kinds[known::sentinel().kinds.len()..].to_vec(),
        };
        own.types()
    } else {
        schema.types()
    };
    let base = if sentinel {
        sentinel::MODEL
    } else {
        "model\n  schema 1.1"
    };
    Case {
        number,
        text: format!("{base}\n{types}"),
        own: types,
        beside_sentinel: sentinel,
        schema,
        tuples: tuples.into_iter().collect(),
        passing,
        questions,
    }
}

/// Checks of everything that a list is asked for, and others.
fn questions(random: &mut Random, schema: &Schema) -> Vec<Question> {
    let relations: Vec<(String, String)> = schema
        .relations()
        .map(|(kind, relation, _)| (kind.to_owned(), relation.to_owned()))
        .collect();
    let people: Vec<&str> = PEOPLE
        .into_iter()
        .filter(|kind| schema.kinds.iter().any(|found| found.name == *kind))
        .collect();
    let mut questions = BTreeSet::new();
    // The lists, and every check that they are made of.
    for (kind, relation) in random.some_of(&relations, 2) {
        let of = *random.one_of(&people);
        let subject = format!("{of}:{}", random.one_of(people_ids(of)));
        for id in IDS {
            questions.insert(Question::check(&format!("{kind}:{id}"), &relation, &subject));
        }
        questions.insert(Question::objects(&kind, &relation, &subject));
    }
    for (kind, relation) in random.some_of(&relations, 2) {
        let object = format!("{kind}:{}", random.one_of(&IDS));
        let of = *random.one_of(&people);
        for id in people_ids(of) {
            questions.insert(Question::check(&object, &relation, &format!("{of}:{id}")));
        }
        questions.insert(Question::check(&object, &relation, &format!("{of}:*")));
        questions.insert(Question::subjects(&object, &relation, of, None));
    }
    for _ in 0..8 {
        let (kind, relation) = random.one_of(&relations).clone();
        let object = format!("{kind}:{}", random.one_of(&IDS));
        let of = *random.one_of(&people);
        let subject = format!("{of}:{}", random.one_of(people_ids(of)));
        questions.insert(Question::check(&object, &relation, &subject));
    }
    // Objects and usersets can stand in relations as well as people.
    let (of, userset) = random.one_of(&relations).clone();
    for userset in [None, Some(userset.as_str())] {
        let (kind, relation) = random.one_of(&relations).clone();
        let object = format!("{kind}:{}", random.one_of(&IDS));
        let mut subject = format!("{of}:{}", random.one_of(&IDS));
        if let Some(relation) = userset {
            subject.push('#');
            subject.push_str(relation);
        }
        questions.insert(Question::check(&object, &relation, &subject));
        questions.insert(Question::objects(&kind, &relation, &subject));
        questions.insert(Question::subjects(&object, &relation, &of, userset));
    }
    questions.into_iter().collect()
}

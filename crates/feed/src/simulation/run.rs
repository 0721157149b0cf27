//! One run: a world is built from its seed, lives for a while in which everything goes wrong, and is healed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sentinel_core::id::EdgeId;
use sentinel_core::{Clock as _, Random, Revision};
use sentinel_token::PlainEdgeKey;
use tokio::sync::Notify;
use turmoil::{Builder, Sim};

use super::chance::{Chance, SeededRandom};
use super::clock::WallClock;
use super::database::Database;
use super::disk::Disk;
use super::edge::Edge;
use super::faults::{Act, WAY};
use super::fs::Shared;
use super::keeps::Keeps;
use super::plane::{Conditions, Plane, lock};
use super::witness::Witness;
use super::{changes, stage};
use crate::testing::FeedKey;

/// What a step of the world is.
const TICK: Duration = Duration::from_millis(10);

/// How long everything goes wrong.
const TROUBLE: Duration = Duration::from_secs(20);

/// How long it may take after the last fault until all are equal: the longest pause between tries, the longest patience
/// with a connection that says nothing, and a download.
const HEALED_WITHIN: Duration = Duration::from_secs(25);

/// What became of a run.
pub(crate) struct Outcome {
    /// One number for everything that was seen: the same in every run of the seed.
    pub(crate) hash: String,
    /// What was wrong.
    pub(crate) violations: Vec<String>,
    /// What happened, in words.
    pub(crate) diary: Vec<String>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

/// The hosts, and who plays fate.
pub(crate) struct World<'a> {
    pub(super) sim: Sim<'a>,
    pub(super) chance: Chance,
    pub(super) database: Arc<Mutex<Database>>,
    pub(super) planes: Vec<Arc<Conditions>>,
    pub(super) edges: Vec<Arc<Edge>>,
    disks: Vec<Shared>,
    pub(super) told: Arc<Mutex<Vec<Revision>>>,
    witness: Arc<Witness>,
    /// What is to come. The number keeps the order of what falls on one moment.
    script: BTreeMap<(Duration, u64), Act>,
    written: u64,
    pub(super) writing: bool,
    pub(super) rolled_back: bool,
    /// When the clocks of edges were set back last.
    pub(super) set_back: BTreeMap<usize, Duration>,
}

/// Runs the world of a seed.
pub(crate) fn run(seed: u64) -> Outcome {
    lived(World::new(seed, false))
}

/// Runs the world of a seed, in which edges renew their subscriptions.
pub(crate) fn run_renewing(seed: u64) -> Outcome {
    lived(World::new(seed, true))
}

fn lived(mut world: World<'_>) -> Outcome {
    let survived = world.live().and_then(|()| world.heal());
    let mut violations = world.witness.violations();
    if let Err(error) = survived {
        violations.push(error);
    }
    Outcome {
        hash: world.witness.hash(),
        violations,
        diary: world.witness.diary(),
        counts: world.witness.counts(),
    }
}

impl World<'_> {
    fn new(seed: u64, renews: bool) -> Self {
        let mut chance = Chance::new(seed);
        let mut sim = Builder::new()
            .rng_seed(chance.next())
            .tick_duration(TICK)
            .simulation_duration(Duration::MAX)
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(WAY)
            .tcp_capacity(4_096)
            .enable_random_order()
            .build();
        let (planes, edges) = (1 + chance.below(2), 3 + chance.below(2));
        let disks: Vec<Shared> = (0..edges)
            .map(|_| Arc::new(Mutex::new(Disk::new(chance.fork()))))
            .collect();
        let mounted = disks.iter().enumerate();
        let mounted = mounted.map(|(edge, disk)| (Edge::state_dir(edge), Arc::clone(disk)));
        stage::set(mounted.collect(), planes, chance.fork());

        let key = Arc::new(FeedKey::from_seed(&chance.next().to_le_bytes().repeat(4)));
        let database = Arc::new(Mutex::new(Database::new(changes::first(&mut chance))));
        let witness = Arc::new(Witness::new(Arc::clone(&database)));
        let told: Arc<Mutex<Vec<Revision>>> = Arc::default();
        let edges: Vec<Arc<Edge>> = (0..edges)
            .map(|number| {
                let random = SeededRandom::new(chance.fork());
                Arc::new(Edge {
                    renews,
                    number,
                    key: PlainEdgeKey::generate(&random, *key.public()),
                    keeps: Keeps::any(&mut chance),
                    clock: Arc::new(skewed(&mut chance)),
                    random: Arc::new(random),
                    chance: Mutex::new(chance.fork()),
                    told: Arc::clone(&told),
                    witness: Arc::clone(&witness),
                    published: Mutex::default(),
                    stop: Notify::new(),
                })
            })
            .collect();
        let ids = edges.iter().map(|edge| {
            let id = EdgeId::generate(edge.clock.now(), &*edge.random as &dyn Random);
            (*edge.key.digest().as_bytes(), id)
        });
        let enrolled: Arc<Vec<([u8; 32], EdgeId)>> = Arc::new(ids.collect());
        let conditions: Vec<Arc<Conditions>> = (0..planes)
            .map(|_| {
                Arc::new(Conditions {
                    clock: skewed(&mut chance),
                    ..Conditions::default()
                })
            })
            .collect();
        for (number, conditions) in conditions.iter().enumerate() {
            let parts = (Arc::clone(&key), Arc::clone(&enrolled), Arc::clone(&database));
            let conditions = Arc::clone(conditions);
            sim.host(stage::plane(number), move || {
                let (key, enrolled, database) = parts.clone();
                Plane::run(key, enrolled, database, Arc::clone(&conditions))
            });
        }
        for edge in &edges {
            let edge = Arc::clone(edge);
            sim.host(Edge::host(edge.number), move || Arc::clone(&edge).run());
        }
        Self {
            sim,
            chance,
            database,
            planes: conditions,
            edges,
            disks,
            told,
            witness,
            script: BTreeMap::new(),
            written: 0,
            writing: true,
            rolled_back: false,
            set_back: BTreeMap::new(),
        }
    }

    /// Everything goes wrong.
    fn live(&mut self) -> Result<(), String> {
        self.later(Duration::from_millis(500), Act::Commit);
        let calm = self.chance.millis(1_000, 4_000);
        self.later(calm, Act::Break);
        for edge in 0..self.edges.len() {
            let when = self.chance.millis(2_000, 15_000);
            self.later(when, Act::Copy(edge));
        }
        while self.sim.elapsed() < TROUBLE {
            self.step()?;
        }
        Ok(())
    }

    /// Everything is mended, and all become equal while writers go on for a moment.
    fn heal(&mut self) -> Result<(), String> {
        self.note("everything is mended");
        let left: Vec<Act> = std::mem::take(&mut self.script).into_values().collect();
        for act in left {
            if !matches!(
                act,
                Act::Break | Act::Commit | Act::Copy(_) | Act::SlowLink { .. }
            ) {
                self.act(act);
            }
        }
        for edge in 0..self.edges.len() {
            for plane in 0..self.planes.len() {
                self.mend_link(plane, edge);
            }
        }
        self.later(Duration::from_millis(50), Act::Commit);
        let begin = self.sim.elapsed();
        while self.sim.elapsed() < begin + Duration::from_secs(1) {
            self.step()?;
        }
        self.writing = false;
        while !self.all_are_equal() {
            self.step()?;
            if self.sim.elapsed() > begin + HEALED_WITHIN {
                return Err(self.unequal());
            }
        }
        Ok(())
    }

    /// One tick of the world, and what the script has for it.
    fn step(&mut self) -> Result<(), String> {
        while let Some(next) = self.script.first_entry()
            && next.key().0 <= self.sim.elapsed()
        {
            let act = next.remove();
            self.act(act);
        }
        let stepped = self.sim.step();
        stepped.map_err(|error| format!("{:?}: a host died: {error}", self.sim.elapsed()))?;
        if self.witness.violations().is_empty() {
            Ok(())
        } else {
            Err("the run was ended there".to_owned())
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Commit => self.commit(),
            Act::Break => {
                self.break_something();
                let pause = self.chance.millis(100, 2_500);
                self.later(pause, Act::Break);
            }
            Act::SlowLink { plane, edge, way } => self.slow_link(plane, edge, way),
            Act::MendLink { plane, edge } => self.mend_link(plane, edge),
            Act::StartPlane(plane) => {
                self.note(&format!("plane-{plane} starts"));
                self.sim.bounce(stage::plane(plane));
            }
            Act::StartEdge(edge) => {
                self.note(&format!("edge-{edge} starts"));
                self.sim.bounce(Edge::host(edge));
            }
            Act::MendDisk(edge) => self.mend_disk(edge),
            Act::MendDatabase(plane) => self.mend_database(plane),
            Act::BeginEpoch { resume } => {
                self.note("a new epoch begins");
                lock(&self.database).begin_epoch(self.sim.elapsed());
                self.rolled_back = false;
                self.writing |= resume;
            }
            Act::Copy(edge) => super::fs::lock(&self.disk(edge)).copy(),
        }
    }

    fn commit(&mut self) {
        if self.writing {
            let mut database = lock(&self.database);
            let changes = changes::next(&mut self.chance, database.facts());
            let revision = database.commit(changes, self.sim.elapsed());
            drop(database);
            lock(&self.told).push(revision);
            self.witness.count("commits", 1);
        }
        let pause = if self.chance.one_in(4) {
            self.chance.millis(200, 2_000)
        } else {
            self.chance.millis(10, 150)
        };
        self.later(pause, Act::Commit);
    }

    fn all_are_equal(&self) -> bool {
        let database = lock(&self.database);
        let Some(truth) = database.eras().last() else {
            return false;
        };
        self.edges.iter().all(|edge| {
            edge.state().is_some_and(|state| {
                let has: BTreeSet<String> = state.facts().map(|fact| fact.to_string()).collect();
                state.revision() == truth.revision && edge.keeps.of(&truth.lines).eq(has.iter())
            })
        })
    }

    fn unequal(&self) -> String {
        let head = lock(&self.database).revision();
        let mut text =
            format!("not all edges are at `{head}` {HEALED_WITHIN:?} after everything was mended:");
        for edge in &self.edges {
            let at = edge.state().map(|state| state.revision());
            write!(text, " edge-{} is at {at:?}", edge.number).ok();
        }
        text
    }

    pub(super) fn later(&mut self, after: Duration, act: Act) {
        self.written += 1;
        self.script
            .insert((self.sim.elapsed() + after, self.written), act);
    }

    pub(super) fn note(&self, what: &str) {
        self.witness.note(self.sim.elapsed(), what);
    }

    pub(super) fn disk(&self, edge: usize) -> Shared {
        Arc::clone(&self.disks[edge])
    }
}

/// A clock that is wrong from the beginning.
fn skewed(chance: &mut Chance) -> WallClock {
    let clock = WallClock::default();
    let by = match chance.below(3) {
        0 => Duration::ZERO,
        1 => chance.millis(0, 5_000),
        _ => chance.millis(0, 3_600_000),
    };
    clock.jump(by, chance.one_in(2));
    clock
}

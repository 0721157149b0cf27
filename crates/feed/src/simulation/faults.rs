//! What goes wrong in the world, and how it is mended. Everything is drawn from the seed; whatever breaks, breaks for a
//! while.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::disk::{Crash, PACE};
use super::edge::Edge;
use super::fs;
use super::plane::lock;
use super::run::World;
use super::stage;

/// The longest way of a message when nothing is wrong.
pub(crate) const WAY: Duration = Duration::from_millis(12);

/// Something that is to be done at a moment of the script.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    /// The writer commits.
    Commit,
    /// Something breaks.
    Break,
    /// A link has a way of so long.
    SlowLink {
        plane: usize,
        edge: usize,
        way: Duration,
    },
    /// A link is as before.
    MendLink { plane: usize, edge: usize },
    /// A host's process starts.
    StartPlane(usize),
    /// A host's process starts.
    StartEdge(usize),
    /// A disk is as before.
    MendDisk(usize),
    /// A control plane has its database again, as quick as before.
    MendDatabase(usize),
    /// A new epoch begins after the database was rolled back.
    BeginEpoch { resume: bool },
    /// A disk is copied.
    Copy(usize),
}

impl World<'_> {
    /// Breaks something, and says when it is mended.
    pub(super) fn break_something(&mut self) {
        let (plane, edge) = (
            self.chance.below(self.planes.len()),
            self.chance.below(self.edges.len()),
        );
        match self.chance.below(16) {
            0..=3 => self.break_link(plane, edge),
            4..=5 => self.isolate(plane, edge),
            6 => self.crash_plane(plane),
            7..=9 => self.crash_edge(edge),
            10 => self.stop_edge(edge),
            11 => self.turn_clock(plane, edge),
            12 => self.slow_disk(edge),
            13 => self.lose_database(plane),
            14 => self.slow_database(plane),
            _ => self.roll_database_back(),
        }
    }

    fn break_link(&mut self, plane: usize, edge: usize) {
        let (from, to) = (stage::plane(plane), Edge::host(edge));
        let what = match self.chance.below(6) {
            0 => {
                self.sim.partition(from, to);
                "is cut"
            }
            1 => {
                self.sim.partition_oneway(from, to);
                "is cut towards the edge"
            }
            2 => {
                self.sim.partition_oneway(to, from);
                "is cut towards the control plane"
            }
            3 => {
                self.sim.hold(from, to);
                "holds everything back"
            }
            4 => {
                self.sim.set_link_fail_rate(from, to, 0.02);
                "loses messages"
            }
            _ if self.chance.one_in(2) => {
                let way = self.chance.millis(50, 2_500);
                self.slow_link(plane, edge, Duration::from_millis(1));
                self.sim.set_link_max_message_latency(from, to, way);
                "is slow now and then"
            }
            _ => {
                let mut way = self.chance.millis(50, 900);
                for step in 0..4 {
                    self.later(
                        Duration::from_millis(800) * step,
                        Act::SlowLink { plane, edge, way },
                    );
                    way += self.chance.millis(0, 1_400);
                }
                "gets slower and slower"
            }
        };
        self.note(&format!("the link between plane-{plane} and edge-{edge} {what}"));
        let until = self.chance.millis(200, 9_000);
        self.later(until, Act::MendLink { plane, edge });
    }

    /// All links of one host at once.
    fn isolate(&mut self, plane: usize, edge: usize) {
        let until = self.chance.millis(500, 12_000);
        let pairs: Vec<(usize, usize)> = if self.chance.one_in(2) {
            (0..self.edges.len()).map(|edge| (plane, edge)).collect()
        } else {
            (0..self.planes.len()).map(|plane| (plane, edge)).collect()
        };
        let hold = self.chance.one_in(3);
        self.note(&format!(
            "links {pairs:?} (control plane, edge) are cut, hold = {hold}"
        ));
        for (plane, edge) in pairs {
            if hold {
                self.sim.hold(stage::plane(plane), Edge::host(edge));
            } else {
                self.sim.partition(stage::plane(plane), Edge::host(edge));
            }
            self.later(until, Act::MendLink { plane, edge });
        }
    }

    pub(super) fn mend_link(&mut self, plane: usize, edge: usize) {
        let (from, to) = (stage::plane(plane), Edge::host(edge));
        self.sim.set_link_fail_rate(from.clone(), to.clone(), 0.0);
        self.slow_link(plane, edge, Duration::from_millis(1));
        self.sim
            .set_link_max_message_latency(from.clone(), to.clone(), WAY);
        self.sim.release(from.clone(), to.clone());
        self.sim.repair(from, to);
    }

    /// Every message takes so long from now on.
    pub(super) fn slow_link(&mut self, plane: usize, edge: usize, way: Duration) {
        self.sim
            .set_link_latency(stage::plane(plane), Edge::host(edge), way);
    }

    fn crash_plane(&mut self, plane: usize) {
        if !self.sim.is_host_running(stage::plane(plane)) {
            return;
        }
        self.note(&format!("plane-{plane} crashes"));
        self.sim.crash(stage::plane(plane));
        let until = self.chance.millis(0, 8_000);
        self.later(until, Act::StartPlane(plane));
    }

    fn crash_edge(&mut self, edge: usize) {
        if !self.sim.is_host_running(Edge::host(edge)) {
            return;
        }
        let at = self.sim.elapsed();
        // That its clock was set back it has to see, and its disk has to know.
        let set_back = self.set_back.get(&edge).copied();
        if set_back.is_some_and(|set| {
            set + Duration::from_secs(1) > at || fs::lock(&self.disk(edge)).busy_until() >= at
        }) {
            return;
        }
        self.sim.crash(Edge::host(edge));
        let how = if self.chance.one_in(2) {
            Crash::Killed
        } else {
            Crash::Power
        };
        let disk = self.disk(edge);
        let mut disk = fs::lock(&disk);
        disk.crash(how, at);
        let then = match self.chance.below(8) {
            0 => {
                disk.lose(at);
                "loses its disk"
            }
            1 if disk.roll_back(at) => "gets an older copy of its disk",
            2 => {
                disk.rot(at);
                "comes back with a bit turned around"
            }
            _ => "keeps its disk",
        };
        drop(disk);
        self.note(&format!("edge-{edge} crashes ({how:?}) and {then}"));
        let until = self.chance.millis(0, 6_000);
        self.later(until, Act::StartEdge(edge));
    }

    /// In order, as when a new version is installed.
    fn stop_edge(&mut self, edge: usize) {
        if !self.sim.is_host_running(Edge::host(edge)) {
            return;
        }
        self.note(&format!("edge-{edge} is told to stop"));
        if let Some(edge) = self.edges.get(edge) {
            edge.stop.notify_one();
        }
        let until = self.chance.millis(3_000, 6_000);
        self.later(until, Act::StartEdge(edge));
    }

    /// What an edge's clock is set back while its process is away cannot be seen by anybody: it is not done here.
    fn turn_clock(&mut self, plane: usize, edge: usize) {
        let by = match self.chance.below(3) {
            0 => self.chance.millis(200, 3_000),
            1 => self.chance.millis(1_000, 60_000),
            _ => self.chance.millis(60_000, 7_200_000),
        };
        let back = self.chance.one_in(2);
        let whose = if self.chance.one_in(3) {
            self.planes[plane].clock.jump(by, back);
            stage::plane(plane)
        } else if self.sim.is_host_running(Edge::host(edge)) {
            self.edges[edge].clock.jump(by, back);
            if back {
                self.set_back.insert(edge, self.sim.elapsed());
            }
            Edge::host(edge)
        } else {
            return;
        };
        self.note(&format!("the clock of {whose} is set by {by:?}, back = {back}"));
    }

    fn slow_disk(&mut self, edge: usize) {
        let disk = self.disk(edge);
        let mut disk = fs::lock(&disk);
        if self.chance.one_in(3) {
            disk.fails = Some(1 + self.chance.below(6));
        } else {
            disk.pace = (50, self.chance.below(3_000) + 50);
        }
        let (fails, pace) = (disk.fails, disk.pace);
        drop(disk);
        self.note(&format!(
            "the disk of edge-{edge} takes {pace:?} ms, one in {fails:?} fails"
        ));
        let until = self.chance.millis(500, 8_000);
        self.later(until, Act::MendDisk(edge));
    }

    pub(super) fn mend_disk(&mut self, edge: usize) {
        let disk = self.disk(edge);
        let mut disk = fs::lock(&disk);
        (disk.pace, disk.fails) = (PACE, None);
    }

    fn lose_database(&mut self, plane: usize) {
        self.note(&format!("plane-{plane} has no database"));
        self.planes[plane].database_answers.store(false, Ordering::SeqCst);
        let until = self.chance.millis(500, 9_000);
        self.later(until, Act::MendDatabase(plane));
    }

    /// It lags behind the other one.
    fn slow_database(&mut self, plane: usize) {
        let takes = u64::try_from(self.chance.millis(200, 3_000).as_millis()).unwrap_or(1_000);
        self.note(&format!("plane-{plane} waits {takes} ms for its database"));
        self.planes[plane].answer_takes.store(takes, Ordering::SeqCst);
        let until = self.chance.millis(1_000, 9_000);
        self.later(until, Act::MendDatabase(plane));
    }

    pub(super) fn mend_database(&mut self, plane: usize) {
        self.planes[plane].database_answers.store(true, Ordering::SeqCst);
        self.planes[plane].answer_takes.store(1, Ordering::SeqCst);
    }

    /// A backup is restored, or a failover loses commits. Either the control planes are stopped for it and writers go on
    /// until somebody begins the new epoch, or they run and the writers wait for it: a running control plane that has
    /// what was lost could take what is written in its place for what follows.
    fn roll_database_back(&mut self) {
        if self.rolled_back {
            return;
        }
        self.rolled_back = true;
        let (back, at) = (1 + self.chance.below(12), self.sim.elapsed());
        let stopped = self.chance.one_in(2);
        lock(&self.database).roll_back(back, at);
        let head = lock(&self.database).revision();
        self.note(&format!(
            "the database is rolled back to `{head}`, control planes stopped = {stopped}"
        ));
        // The lost revisions were told to writers, and to nobody any more.
        lock(&self.told).clear();
        if stopped {
            for plane in 0..self.planes.len() {
                if self.sim.is_host_running(stage::plane(plane)) {
                    self.sim.crash(stage::plane(plane));
                    self.later(Duration::from_millis(100), Act::StartPlane(plane));
                }
            }
        } else {
            self.writing = false;
        }
        let until = self.chance.millis(0, 8_000);
        self.later(until, Act::BeginEpoch { resume: !stopped });
    }
}

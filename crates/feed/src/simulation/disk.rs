//! A disk in memory. It takes its time, it can fail, and a crash leaves on it what a crash may leave.
//!
//! Whoever writes is not held up: each operation is done at once for the reader, and has a moment at which it will be done
//! in truth. What lies after the moment of a crash never happened. Of what lies before it a killed process loses nothing;
//! a machine without power keeps what was synced, and of the rest of each file some beginning, torn anywhere.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use super::chance::Chance;
use super::now;

/// Names and contents.
pub(crate) type Image = BTreeMap<String, Vec<u8>>;

/// One change of the disk; files are known by number, so that a name can pass from one to another.
enum Operation {
    Create { name: String, file: usize },
    Write { file: usize, at: usize, bytes: Vec<u8> },
    SetLength { file: usize, length: usize },
    Sync { file: usize },
    Rename { from: String, to: String },
    Remove { name: String },
    SyncNames,
}

pub(crate) struct Disk {
    /// What was there when the machine started.
    base: View,
    /// What was done since, and when each is done in truth.
    done: Vec<(Duration, Operation)>,
    /// What a reader sees.
    view: View,
    busy_until: Duration,
    chance: Chance,
    /// What it takes to sync, in milliseconds: from, to.
    pub(crate) pace: (usize, usize),
    /// One in so many operations fails.
    pub(crate) fails: Option<usize>,
    /// Earlier contents, to be rolled back to.
    copies: Vec<Image>,
}

#[derive(Clone, Default)]
struct View {
    names: BTreeMap<String, usize>,
    files: Vec<Vec<u8>>,
}

/// How a machine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The process is killed; the kernel writes what it was given.
    Killed,
    /// The power fails.
    Power,
}

/// What a disk takes to sync when nothing is wrong with it.
pub(crate) const PACE: (usize, usize) = (1, 8);

impl View {
    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Create { name, file } => {
                self.names.insert(name.clone(), *file);
            }
            Operation::Write { file, at, bytes } => {
                let content = self.file(*file);
                content.resize(content.len().max(at + bytes.len()), 0);
                content[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            Operation::SetLength { file, length } => self.file(*file).resize(*length, 0),
            Operation::Rename { from, to } => {
                if let Some(file) = self.names.remove(from) {
                    self.names.insert(to.clone(), file);
                }
            }
            Operation::Remove { name } => {
                self.names.remove(name);
            }
            Operation::Sync { .. } | Operation::SyncNames => {}
        }
    }

    fn file(&mut self, file: usize) -> &mut Vec<u8> {
        if self.files.len() <= file {
            self.files.resize(file + 1, Vec::new());
        }
        &mut self.files[file]
    }

    fn image(&self) -> Image {
        let content = |file: &usize| self.files.get(*file).cloned().unwrap_or_default();
        self.names
            .iter()
            .map(|(name, file)| (name.clone(), content(file)))
            .collect()
    }

    fn of(image: Image) -> Self {
        let mut view = Self::default();
        for (file, (name, content)) in image.into_iter().enumerate() {
            view.names.insert(name, file);
            view.files.push(content);
        }
        view
    }
}

impl Disk {
    pub(crate) fn new(chance: Chance) -> Self {
        Self {
            base: View::default(),
            done: Vec::new(),
            view: View::default(),
            busy_until: Duration::ZERO,
            chance,
            pace: PACE,
            fails: None,
            copies: Vec::new(),
        }
    }

    /// Until when it works on what it was given.
    pub(crate) fn busy_until(&self) -> Duration {
        self.busy_until
    }

    pub(crate) fn read(&self, name: &str) -> Option<&[u8]> {
        let file = self.view.names.get(name)?;
        Some(self.view.files.get(*file).map_or(&[], Vec::as_slice))
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.view.names.get(name).copied()
    }

    pub(crate) fn length(&self, file: usize) -> usize {
        self.view.files.get(file).map_or(0, Vec::len)
    }

    pub(crate) fn create(&mut self, name: &str) -> io::Result<usize> {
        let file = self.view.files.len();
        self.view.files.push(Vec::new());
        let name = name.to_owned();
        self.act(Operation::Create { name, file })?;
        Ok(file)
    }

    pub(crate) fn write(&mut self, file: usize, at: usize, bytes: &[u8]) -> io::Result<()> {
        let bytes = bytes.to_vec();
        self.act(Operation::Write { file, at, bytes })
    }

    pub(crate) fn set_length(&mut self, file: usize, length: usize) -> io::Result<()> {
        self.act(Operation::SetLength { file, length })
    }

    pub(crate) fn sync(&mut self, file: usize) -> io::Result<()> {
        self.act(Operation::Sync { file })
    }

    pub(crate) fn sync_names(&mut self) -> io::Result<()> {
        self.act(Operation::SyncNames)
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.known(from)?;
        let (from, to) = (from.to_owned(), to.to_owned());
        self.act(Operation::Rename { from, to })
    }

    pub(crate) fn remove(&mut self, name: &str) -> io::Result<()> {
        self.known(name)?;
        let name = name.to_owned();
        self.act(Operation::Remove { name })
    }

    fn known(&self, name: &str) -> io::Result<()> {
        let known = self.find(name).map(drop);
        known.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn act(&mut self, operation: Operation) -> io::Result<()> {
        if let Some(n) = self.fails
            && self.chance.one_in(n)
        {
            return Err(io::Error::other("the simulated disk fails"));
        }
        let takes = match operation {
            Operation::Sync { .. } | Operation::SyncNames => self.chance.millis(self.pace.0, self.pace.1),
            _ => Duration::from_micros(200),
        };
        self.busy_until = now().max(self.busy_until) + takes;
        self.view.apply(&operation);
        self.done.push((self.busy_until, operation));
        Ok(())
    }

    /// The process or the machine ends at `at`.
    pub(crate) fn crash(&mut self, how: Crash, at: Duration) {
        let happened = self.done.partition_point(|(done, _)| *done <= at);
        let (done, rest) = self.done.split_at(happened);
        let mut left = self.base.clone();
        for (place, (_, operation)) in done.iter().enumerate() {
            let synced = |is_sync: &dyn Fn(&Operation) -> bool| {
                done.get(place..)
                    .is_some_and(|later| later.iter().any(|(_, o)| is_sync(o)))
            };
            let durable = match operation {
                Operation::Write { file, .. } | Operation::SetLength { file, .. } => {
                    synced(&|later| matches!(later, Operation::Sync { file: of } if of == file))
                }
                Operation::Sync { .. } | Operation::SyncNames => true,
                _ => synced(&|later| matches!(later, Operation::SyncNames)),
            };
            if how == Crash::Killed || durable {
                left.apply(operation);
            }
        }
        if how == Crash::Power {
            self.luck(&mut left, happened);
        } else if let Some((_, Operation::Write { file, at, bytes })) = rest.first() {
            // It was in the middle of this.
            let kept = self.chance.below(bytes.len() + 1);
            let (file, at, bytes) = (*file, *at, bytes[..kept].to_vec());
            left.apply(&Operation::Write { file, at, bytes });
        }
        self.start_from(left.image(), at);
    }

    /// What was not synced may be there all the same: of each file, and of the names, a beginning of what was done.
    fn luck(&mut self, left: &mut View, happened: usize) {
        let mut budget: BTreeMap<Option<usize>, usize> = BTreeMap::new();
        for (place, (_, operation)) in self.done.iter().take(happened).enumerate() {
            let of = match operation {
                Operation::Write { file, .. } | Operation::SetLength { file, .. } => Some(*file),
                Operation::Sync { .. } | Operation::SyncNames => continue,
                _ => None,
            };
            let synced = self.done[place..happened].iter().any(|(_, later)| match later {
                Operation::Sync { file } => of == Some(*file),
                Operation::SyncNames => of.is_none(),
                _ => false,
            });
            if synced {
                continue;
            }
            let chance = &mut self.chance;
            let budget = budget.entry(of).or_insert_with(|| chance.below(4));
            match (*budget, operation) {
                (0, _) => {}
                (1, Operation::Write { file, at, bytes }) => {
                    // Torn: the length may be there before the bytes.
                    let kept = chance.below(bytes.len() + 1);
                    let mut torn = bytes.clone();
                    torn.truncate(kept);
                    if chance.one_in(2) {
                        torn.resize(bytes.len(), 0);
                    }
                    left.apply(&Operation::Write {
                        file: *file,
                        at: *at,
                        bytes: torn,
                    });
                }
                _ => left.apply(operation),
            }
            *budget = budget.saturating_sub(1);
        }
    }

    /// Keeps a copy, as a backup does or a snapshot of a virtual machine.
    pub(crate) fn copy(&mut self) {
        self.copies.push(self.view.image());
    }

    /// Puts an earlier copy in place, while the machine is off. Whether there is one.
    pub(crate) fn roll_back(&mut self, at: Duration) -> bool {
        let copy = self.chance.below(self.copies.len());
        let copy = self.copies.get(copy).cloned();
        copy.map(|copy| self.start_from(copy, at)).is_some()
    }

    /// Loses everything.
    pub(crate) fn lose(&mut self, at: Duration) {
        self.start_from(Image::new(), at);
    }

    /// One bit of one file turns around, while the machine is off.
    pub(crate) fn rot(&mut self, at: Duration) {
        let mut image = self.view.image();
        let victim = self.chance.below(image.len());
        if let Some(content) = image.values_mut().nth(victim) {
            let place = self.chance.below(content.len());
            if let Some(byte) = content.get_mut(place) {
                *byte ^= 1 << self.chance.below(8);
            }
        }
        self.start_from(image, at);
    }

    fn start_from(&mut self, image: Image, at: Duration) {
        self.base = View::of(image);
        self.view = self.base.clone();
        self.done.clear();
        self.busy_until = at;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const LATER: Duration = Duration::from_mins(1);

    /// A disk with `file` that has `old`, durably, and `new` behind it, which is not synced.
    fn written(seed: u64) -> Disk {
        let mut disk = Disk::new(Chance::new(seed));
        let file = disk.create("file").expect("works");
        disk.write(file, 0, b"old").expect("works");
        disk.sync(file).expect("works");
        disk.sync_names().expect("works");
        disk.write(file, 3, b"new").expect("works");
        disk.create("name").expect("works");
        disk
    }

    fn left(how: Crash, at: Duration) -> BTreeSet<Option<Vec<u8>>> {
        let after = |seed| {
            let mut disk = written(seed);
            disk.crash(how, at);
            disk.read("file").map(<[u8]>::to_vec)
        };
        (0..200).map(after).collect()
    }

    #[test]
    fn a_killed_process_loses_nothing_that_was_done_and_all_that_was_not() {
        assert_eq!(left(Crash::Killed, LATER), [Some(b"oldnew".to_vec())].into());
        let early = left(Crash::Killed, Duration::ZERO);
        assert_eq!(early, [None].into(), "the disk had not begun");
    }

    #[test]
    fn without_power_there_is_what_was_synced_and_any_beginning_of_the_rest() {
        let left = left(Crash::Power, LATER);
        assert!(left.iter().flatten().all(|content| content.starts_with(b"old")));
        for possible in ["old", "oldn", "oldne", "oldnew", "old\0\0\0"] {
            assert!(
                left.contains(&Some(possible.into())),
                "{possible:?} never happens"
            );
        }
    }

    #[test]
    fn a_name_that_was_not_synced_may_be_gone() {
        let there = |seed| {
            let mut disk = written(seed);
            disk.crash(Crash::Power, LATER);
            disk.find("name").is_some()
        };
        let outcomes: BTreeSet<bool> = (0..200).map(there).collect();
        assert_eq!(outcomes.len(), 2);
    }
}

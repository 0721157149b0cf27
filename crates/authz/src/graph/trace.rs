//! Whether a search writes down the tuples that it goes by.

use super::link::Link;

/// A record of the way. Searches are compiled once with it and once without.
pub(super) trait Trace {
    /// Whether the way is of interest at all.
    const RECORDS: bool;

    /// The next tuple on the way.
    fn step(&mut self, link: Link);

    /// Where the way stands now.
    fn mark(&self) -> usize;

    /// The way led nowhere: back to where it stood.
    fn back_to(&mut self, mark: usize);
}

/// No record.
pub(super) struct Untraced;

impl Trace for Untraced {
    const RECORDS: bool = false;

    fn step(&mut self, _link: Link) {}

    fn mark(&self) -> usize {
        0
    }

    fn back_to(&mut self, _mark: usize) {}
}

/// The way as a list of tuples.
impl Trace for Vec<Link> {
    const RECORDS: bool = true;

    fn step(&mut self, link: Link) {
        self.push(link);
    }

    fn mark(&self) -> usize {
        self.len()
    }

    fn back_to(&mut self, mark: usize) {
        self.truncate(mark);
    }
}

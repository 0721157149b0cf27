//! How much processor time processes have used, as the kernel counts it (`proc_pid_stat(5)`).

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// One tick of the counters. Linux counts in hundredths of a second (`USER_HZ`) on every machine that we run on.
const TICK: Duration = Duration::from_millis(10);

/// What is looked at of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// In user and in kernel mode, by the process and by those of its children that have ended and were waited for.
    ticks: u32,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name is in parentheses and may have anything in it, parentheses as well.
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // `rest` begins with field 3; 4 is the parent, 14 to 17 are the times.
        let number = |field: usize| fields.get(field - 3)?.parse::<u32>().ok();
        let ticks = (14..=17).map(number).sum::<Option<u32>>()?;
        Some(Self {
            parent: number(4)?,
            ticks,
        })
    }
}

/// The processor time used so far by each of the processes `roots` with all its descendants, in the order of `roots`.
///
/// A descendant that ends between two calls is not lost: its time goes over to its parent.
///
/// # Errors
/// A root does not run, or this is not Linux.
pub fn used(roots: &[u32]) -> Result<Vec<Duration>> {
    let processes = running().context("cannot read `/proc`")?;
    roots
        .iter()
        .map(|root| {
            let stat = processes
                .get(root)
                .with_context(|| format!("process {root} does not run any more"))?;
            let mut ticks = stat.ticks;
            let mut family = vec![*root];
            while let Some(parent) = family.pop() {
                for (pid, stat) in processes.iter().filter(|(_, stat)| stat.parent == parent) {
                    ticks += stat.ticks;
                    family.push(*pid);
                }
            }
            Ok(TICK * ticks)
        })
        .collect()
}

fn running() -> std::io::Result<HashMap<u32, Stat>> {
    let mut processes = HashMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        if let Some((pid, stat)) = look_at(&path) {
            processes.insert(pid, stat);
        }
    }
    Ok(processes)
}

/// `None` for what is no process, or is none any more.
fn look_at(dir: &Path) -> Option<(u32, Stat)> {
    let pid = dir.file_name()?.to_str()?.parse().ok()?;
    let text = std::fs::read_to_string(dir.join("stat")).ok()?;
    Some((pid, Stat::parse(&text)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_pass_for_a_number() {
        let text = "42 (a) R 1 (b) S 7 42 42 0 -1 4194304 98 0 1 0 10 20 3 4 20 0 1 0 99";
        let stat = Stat::parse(text).expect("a process");
        assert_eq!(stat, Stat { parent: 7, ticks: 37 });
        assert_eq!(Stat::parse("42 (a) R 1"), None);
    }

    #[test]
    fn work_of_a_child_counts_for_its_parent() {
        let own = std::process::id();
        let before = used(&[own]).expect("own process");
        let burn = "i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done";
        let status = std::process::Command::new("/bin/sh").args(["-c", burn]).status();
        assert!(status.expect("a shell").success());
        let after = used(&[own]).expect("own process");
        assert!(after > before, "{before:?} {after:?}");
        // No process has this number: they end with 4194304.
        assert!(used(&[u32::MAX]).is_err());
    }
}

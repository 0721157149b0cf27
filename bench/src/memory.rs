//! How much memory a process has, as the kernel counts it (`proc_pid_status(5)`).

use anyhow::{Context as _, Result};

/// What of the process `pid` is in memory now, in bytes, whatever it shares with others included.
///
/// # Errors
/// It does not run, or this is not Linux.
pub fn resident(pid: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("process {pid} does not run any more"))?;
    let kibibytes = text
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
        .and_then(|number| number.parse::<f64>().ok())
        .context("the kernel does not say how much memory a process has")?;
    Ok(kibibytes * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_some() {
        let own = resident(std::process::id()).expect("own process");
        assert!((1e5..1e12).contains(&own), "{own}");
        // No process has this number: they end with 4194304.
        assert!(resident(u32::MAX).is_err());
    }
}

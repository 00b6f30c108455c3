//! The machine: its disk and its memory.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Finding;
use crate::config::Config;
use crate::observe::disk_of;

/// Free space below which a tower should not start: the circuit alone takes a quarter of it.
const FREE_MIN: u64 = 1 << 30;

/// A sync that takes longer makes every answer slow.
const SYNC_MAX: Duration = Duration::from_millis(50);

/// Writes of which the middle one counts.
const SYNCS: usize = 5;

/// What a proof needs, with room.
const MEMORY_MIN_KB: u64 = 2 << 20;

pub(super) fn examine(config: &Config, findings: &mut Vec<Finding>) {
    disk(&config.data_dir, findings);
    if let Some(free) = memory_available() {
        let says = format!("{} MiB of memory are available", free / 1_024);
        findings.push(if free < MEMORY_MIN_KB {
            Finding::warn("memory", says, "give the machine 4 GiB: a proof needs 1.5")
        } else {
            Finding::good("memory", says)
        });
    }
}

fn disk(folder: &Path, findings: &mut Vec<Finding>) {
    let Some(there) = existing(folder) else {
        let says = format!("{} cannot be reached", folder.display());
        findings.push(Finding::bad("disk", says, "choose another data_dir"));
        return;
    };
    if let Some((free, size)) = disk_of(&there) {
        let says = format!("{} MiB of {} MiB are free", free >> 20, size >> 20);
        findings.push(if free < FREE_MIN {
            Finding::bad("disk", says, "make room, or choose another data_dir")
        } else if free < size / 10 {
            Finding::warn("disk", says, "make room before it is full: a full disk stops a tower")
        } else {
            Finding::good("disk", says)
        });
    }
    match sync_time(&there) {
        Ok(took) => {
            let says = format!("a write is on disk after {} us", took.as_micros());
            findings.push(if took > SYNC_MAX {
                Finding::warn("disk speed", says, "use a local SSD: nobody is answered before it")
            } else {
                Finding::good("disk speed", says)
            });
        }
        Err(error) => {
            let says = format!("{} cannot be written: {error}", there.display());
            let fix = "give it to the user that runs the tower, with mode 700";
            findings.push(Finding::bad("disk", says, fix));
        }
    }
}

/// The folder, or the nearest one above it that exists.
fn existing(folder: &Path) -> Option<PathBuf> {
    let whole = std::path::absolute(folder).ok()?;
    whole.ancestors().find(|path| path.is_dir()).map(Path::to_owned)
}

/// How long the middle one of a few small durable writes takes.
fn sync_time(folder: &Path) -> std::io::Result<Duration> {
    let path = folder.join(format!(".doctor-{}", std::process::id()));
    let measured = || -> std::io::Result<Duration> {
        let mut file = std::fs::File::create(&path)?;
        let mut times = Vec::with_capacity(SYNCS);
        for _ in 0..SYNCS {
            let started = Instant::now();
            file.write_all(&[0x5a; 4_096])?;
            file.sync_all()?;
            times.push(started.elapsed());
        }
        times.sort_unstable();
        Ok(times.get(SYNCS / 2).copied().unwrap_or_default())
    };
    let took = measured();
    // It may never have been made.
    let _ = std::fs::remove_file(&path);
    took
}

fn memory_available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

//! Who uses how much of the processors, from `/proc`.

use std::{collections::HashMap, fs, thread, time::Duration};

use anyhow::{Context, Result};

/// How much processor time all cores spent so far on anything but idling and interrupts.
///
/// Interrupts are left out because nobody can tell whose they are; most are our own network traffic.
/// What the hypervisor took away (steal) counts: it was somebody's work, and not ours.
///
/// # Errors
/// When `/proc/stat` can't be read.
pub(crate) fn of_machine() -> Result<Duration> {
    let text = fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
    let first =
        text.lines().next().and_then(|line| line.strip_prefix("cpu ")).context("no line for all cpus")?;
    let ticks: Vec<u64> = first.split_whitespace().map_while(|field| field.parse().ok()).collect();
    let [user, nice, system, _idle, _iowait, _irq, _softirq, steal, ..] = ticks[..] else {
        anyhow::bail!("/proc/stat has too few columns");
    };
    Ok(from_ticks(user + nice + system + steal))
}

/// How much processor time a process and everything it started spent so far.
///
/// Processes that have ended count, too, once their parent has waited for them.
///
/// # Errors
/// When `/proc` can't be read.
pub(crate) fn of_tree(root: u32) -> Result<Duration> {
    let processes = processes()?;
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for (pid, process) in &processes {
        children.entry(process.parent).or_default().push(*pid);
    }
    let mut ticks = 0;
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        ticks += processes.get(&pid).map_or(0, |process| process.ticks);
        open.extend(children.get(&pid).into_iter().flatten());
    }
    Ok(from_ticks(ticks))
}

/// How many processors there are.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

struct Process {
    parent: u32,
    /// Its own time, and that of the children it has waited for.
    ticks: u64,
}

fn processes() -> Result<HashMap<u32, Process>> {
    let entries = fs::read_dir("/proc").context("listing /proc")?;
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    // One that ends meanwhile has no file any more.
    let stats = pids.filter_map(|pid| Some((pid, fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)));
    stats.map(|(pid, stat)| Ok((pid, parse(&stat).context("reading a process's stat")?))).collect()
}

/// `proc_pid_stat(5)`. The name is in parentheses and may hold anything, so fields count from behind it.
fn parse(stat: &str) -> Option<Process> {
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let ticks = (11..=14).map(number).sum::<Option<u64>>()?;
    Some(Process { parent: u32::try_from(number(1)?).ok()?, ticks })
}

fn from_ticks(ticks: u64) -> Duration {
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let line = "77 (a) b ( c) S 12 77 77 0 -1 4194304 1 2 3 4 100 20 7 3 20 0 1 0 500 0";
        let process = parse(line).unwrap();
        assert_eq!((process.parent, process.ticks), (12, 130));
    }

    #[test]
    fn this_process_has_used_no_more_than_the_machine() {
        assert!(of_tree(std::process::id()).unwrap() <= of_machine().unwrap());
    }
}

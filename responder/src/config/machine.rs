//! Whether the machine has what a configuration names. For `check-config`: a start learns it from those who refuse, and a file may be made
//! elsewhere than it is used.

use std::ops::RangeInclusive;

use super::{Config, Invalid, Problem};
use crate::socket;

/// The CPUs that the kernel runs, as ranges.
const ONLINE: &str = "/sys/devices/system/cpu/online";

/// What a machine has.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its CPUs; none: nobody knows.
    cpus: Option<Vec<RangeInclusive<usize>>>,
}

impl Machine {
    /// The one that this runs on.
    #[must_use]
    pub fn this() -> Self {
        let online = std::fs::read_to_string(ONLINE).ok();
        Self { cpus: online.and_then(|text| ranges(&text)) }
    }

    /// What it lacks for `config`, and workers that share a CPU.
    pub(super) fn lacks(&self, config: &Config) -> Vec<Invalid> {
        let mut found = Vec::new();
        let workers = &config.workers.cpus;
        for (place, cpu) in workers.iter().enumerate() {
            if let Some(other) = workers.iter().take(place).position(|earlier| earlier == cpu) {
                let problem = Problem::SameCpu { cpu: *cpu, other };
                found.push(Invalid::new(format!("workers.cpus[{place}]"), problem));
            }
        }
        for (key, cpus) in
            [("workers.cpus", workers), ("eal.control_cpus", &config.eal.control_cpus)]
        {
            for (place, cpu) in cpus.iter().enumerate().filter(|(_, cpu)| !self.has(**cpu)) {
                let problem = Problem::NoSuchCpu { cpu: *cpu, known: self.list() };
                found.push(Invalid::new(format!("{key}[{place}]"), problem));
            }
        }
        if let Some(name) = &config.control.group
            && socket::group(name).is_err()
        {
            found.push(Invalid::new("control.group", Problem::NoSuchGroup(name.clone())));
        }
        found
    }

    fn has(&self, cpu: usize) -> bool {
        self.cpus.as_ref().is_none_or(|ranges| ranges.iter().any(|range| range.contains(&cpu)))
    }

    fn list(&self) -> String {
        let ranges = self.cpus.iter().flatten();
        let texts = ranges.map(|range| match (range.start(), range.end()) {
            (first, last) if first == last => first.to_string(),
            (first, last) => format!("{first} to {last}"),
        });
        texts.collect::<Vec<_>>().join(", ")
    }
}

/// Ranges as the kernel writes them: `0-3,8`.
fn ranges(text: &str) -> Option<Vec<RangeInclusive<usize>>> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    text.trim().split(',').map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Error;

    const FILE: &str = "
[eal]
control_cpus = [0, 4]
[workers]
cpus = [1, 2, 1, 9]
[control]
group = \"no-such-group\"
[[port]]
device = \"net_null0\"
[[port.interface]]
addresses = [\"192.0.2.2/24\"]
";

    #[test]
    fn what_a_machine_lacks_is_told_where_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        std::fs::write(&path, FILE).unwrap();
        let checked = |machine: &Machine| Config::load_for(&path, Some(machine)).unwrap().good();
        let lacking = |machine: &Machine| match checked(machine).unwrap_err() {
            Error::Wrong { mistakes, .. } => {
                mistakes.iter().map(ToString::to_string).collect::<Vec<_>>()
            }
            error @ Error::Read { .. } => panic!("{error}"),
        };
        let told = lacking(&Machine { cpus: ranges("0-3,8\n") });
        assert_eq!(
            told,
            [
                "3:20: eal.control_cpus[1]: this machine has no CPU 4 (it has 0 to 3, 8; check a file for another machine with --elsewhere)",
                "5:15: workers.cpus[2]: workers.cpus[0] is CPU 1 too (give each worker a CPU of its own: two on one keep each other waiting)",
                "5:18: workers.cpus[3]: this machine has no CPU 9 (it has 0 to 3, 8; check a file for another machine with --elsewhere)",
                "7:9: control.group: there is no group \"no-such-group\" (make it with `addgroup --system`, or name another)",
            ]
        );
        // Where nobody knows the CPUs, none is missing.
        assert_eq!(lacking(&Machine { cpus: None }).len(), 2);
        std::fs::write(&path, FILE.replace("[1, 2, 1, 9]", "[1, 2]").replace("no-such-group", "0"))
            .unwrap();
        assert!(checked(&Machine { cpus: ranges("0-4") }).is_ok());
        // Beside what else is wrong, in the order of the file; of CPUs that could not be read, nothing is told.
        let more = "entries = 0";
        let file = FILE
            .replace("[1, 2, 1, 9]", "[\"1\", 9]")
            .replace("[control]", &format!("[pending]\n{more}\n[control]"));
        std::fs::write(&path, file).unwrap();
        let told = lacking(&Machine { cpus: ranges("0") });
        let keys: Vec<&str> = told.iter().filter_map(|line| line.split(": ").nth(1)).collect();
        assert_eq!(
            keys,
            ["eal.control_cpus[1]", "workers.cpus[0]", "pending.entries", "control.group"],
            "{told:?}"
        );
    }

    #[test]
    fn this_machine_has_the_cpu_that_this_runs_on() {
        assert!(Machine::this().has(rustix::thread::sched_getcpu()));
    }

    #[test]
    fn ranges_are_the_kernels() {
        assert_eq!(ranges("0\n"), Some(vec![0..=0]));
        assert_eq!(ranges("0-3,8,10-11"), Some(vec![0..=3, 8..=8, 10..=11]));
        assert_eq!((ranges(""), ranges("a")), (None, None));
    }
}

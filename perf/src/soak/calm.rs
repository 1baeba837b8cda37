//! What was served while nothing was done to the responder, and whose fault it is if that was not all.
//!
//! A responder that is kept from its CPU loses what its port has no room for, and says nothing of its quality. So the kernel's
//! scheduler is asked, tick by tick, for how long the threads that matter waited for a CPU, and the kernel what the host took of
//! those CPUs. A tick of which that is more than four fifths is the machine's, not the responder's: on a fifth of a CPU even one that
//! is not optimised serves all.

use std::collections::VecDeque;
use std::fs;
use std::time::{Duration, Instant};

use crate::witness::Witness;

/// Who waited for long is seen to have waited only when that is over: so long ticks are remembered.
const HORIZON: Duration = Duration::from_secs(10);
/// How long it takes after an absence until all is as before it: the queues are worked off, and answers have come.
const SETTLED: Duration = Duration::from_millis(500);
/// A tick of the kernel's clock, in which it counts what hosts take (`USER_HZ`, which is 100 on all that DPDK runs on).
const KERNEL_TICK: Duration = Duration::from_millis(10);

/// Requests in some time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Share {
    pub(crate) asked: u64,
    pub(crate) served: u64,
    pub(crate) time: Duration,
}

impl Share {
    fn add(&mut self, tick: &Tick) {
        self.asked += tick.asked;
        self.served += tick.served;
        self.time += tick.took;
    }

    /// The part of the requests that was served.
    pub(crate) fn part(&self) -> f64 {
        if self.asked == 0 { 0.0 } else { self.served as f64 / self.asked as f64 }
    }
}

#[derive(Debug, Clone, Copy)]
struct Tick {
    ended: Instant,
    took: Duration,
    asked: u64,
    served: u64,
    machines: bool,
}

/// The ticks in which nothing was done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calm {
    /// Those of late.
    ticks: VecDeque<Tick>,
    /// Until then, what is missing may be missing because of an absence that is over.
    unsettled: Option<Instant>,
    own: Share,
    machines: Share,
}

impl Calm {
    /// A tick ended `now` that `took` so long, in which threads were seen to have been `away` so long; what was asked and served
    /// in it, if nothing was done in it. Says whether it was the responder's own, as far as is known by now.
    pub(crate) fn note(
        &mut self,
        now: Instant,
        took: Duration,
        away: Duration,
        load: Option<[u64; 2]>,
    ) -> bool {
        let absent = away > took * 4 / 5;
        if absent {
            self.unsettled = Some(now + SETTLED);
            // What was missed then ended now.
            for tick in self.ticks.iter_mut().rev() {
                if tick.ended + away + took < now {
                    break;
                }
                tick.machines = true;
            }
        }
        let machines = absent || self.unsettled.is_some_and(|until| now < until + took);
        if let Some([asked, served]) = load {
            self.ticks.push_back(Tick { ended: now, took, asked, served, machines });
        }
        while self.ticks.front().is_some_and(|tick| tick.ended + HORIZON < now) {
            if let Some(tick) = self.ticks.pop_front() {
                let share = if tick.machines { &mut self.machines } else { &mut self.own };
                share.add(&tick);
            }
        }
        !machines
    }

    /// What was asked and served while the responder had its CPU, and while it had not.
    pub(crate) fn shares(&self) -> [Share; 2] {
        let mut shares = [self.own, self.machines];
        for tick in &self.ticks {
            shares[usize::from(tick.machines)].add(tick);
        }
        shares
    }
}

/// Asks who was away.
#[derive(Debug, Default)]
pub(crate) struct Absences {
    /// The generator, and the responder's workers.
    threads: [Witness; 2],
    cpus: Vec<usize>,
    last: [Duration; 3],
}

impl Absences {
    /// Of the generator's thread, which runs in this process, and of `cpus`.
    pub(crate) fn of(cpus: Vec<usize>) -> Self {
        Self {
            threads: [Witness::of_workers(std::process::id()), Witness::default()],
            cpus,
            ..Self::default()
        }
    }

    /// The responder is now the process `pid`.
    pub(crate) fn follow(&mut self, pid: u32) {
        self.threads[1] = Witness::of_workers(pid);
        self.last = self.read();
    }

    /// How long one of them was away since the last time, or how much the host took: whichever is the most.
    pub(crate) fn since_last(&mut self) -> Duration {
        let now = self.read();
        let before = std::mem::replace(&mut self.last, now);
        let grown = now.iter().zip(before).map(|(now, before)| now.saturating_sub(before));
        grown.max().unwrap_or_default()
    }

    fn read(&self) -> [Duration; 3] {
        let [generator, responder] = &self.threads;
        let waited = |witness: &Witness| Duration::from_nanos(witness.waited_ns());
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        [waited(generator), waited(responder), stolen(&text, &self.cpus)]
    }
}

/// What the host took of `cpus`, by `/proc/stat`: the eighth number of a CPU's line, `steal`.
fn stolen(text: &str, cpus: &[usize]) -> Duration {
    let ticks = |cpu: &usize| -> Option<u32> {
        let name = format!("cpu{cpu} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name))?;
        line.split_ascii_whitespace().nth(7)?.parse().ok()
    };
    KERNEL_TICK * cpus.iter().filter_map(ticks).sum::<u32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(100);

    /// Ticks of 200 requests each; of each, how long somebody was away by what was seen in it, and what was served.
    fn calm(ticks: &[(u64, u64)]) -> [Share; 2] {
        let (mut calm, mut now) = (Calm::default(), Instant::now());
        for (away, served) in ticks {
            now += TICK;
            calm.note(now, TICK, Duration::from_millis(*away), Some([200, *served]));
        }
        calm.shares()
    }

    #[test]
    fn what_is_lost_without_an_absence_is_the_responders() {
        let [own, machines] = calm(&[(0, 200), (40, 100), (10, 200)]);
        assert_eq!((own.asked, own.served, own.time), (600, 500, 3 * TICK));
        assert_eq!(machines, Share::default());
    }

    #[test]
    fn an_absence_takes_the_ticks_that_it_lasted_and_those_until_all_is_settled() {
        // Away for 700 ms, seen at its end.
        let mut ticks = vec![(0, 200); 20];
        ticks.extend([(0, 0); 7]);
        ticks.push((700, 500));
        ticks.extend([(0, 200); 20]);
        let [own, machines] = calm(&ticks);
        // Eight of it and the one that it began in, and five behind it.
        assert_eq!(machines.time, 14 * TICK);
        assert_eq!((own.asked, own.served), (34 * 200, 34 * 200));
    }

    #[test]
    fn who_hardly_has_its_cpu_is_away_all_the_time() {
        let [own, machines] = calm(&[(90, 20); 30]);
        assert_eq!((own.asked, machines.asked), (0, 6000));
    }

    #[test]
    fn what_is_long_over_stays_as_it_was() {
        let mut ticks = vec![(0, 199); 150];
        ticks.push((1000, 0));
        let [own, machines] = calm(&ticks);
        assert_eq!(own.asked + machines.asked, 151 * 200);
        assert_eq!(machines.time, 12 * TICK);
    }

    #[test]
    fn what_the_host_took_is_read_of_the_cpus_that_matter() {
        let text = "cpu  1 2 3 4 5 6 7 88 0 0\ncpu0 1 2 3 4 5 6 7 30 0 0\ncpu1 1 2 3 4 5 6 7 8 0 0\ncpu10 1 2 3 4 5 6 7 50 0 0\n";
        assert_eq!(stolen(text, &[1]), 8 * KERNEL_TICK);
        assert_eq!(stolen(text, &[0, 1]), 38 * KERNEL_TICK);
        assert_eq!(stolen(text, &[7]), Duration::ZERO);
    }

    #[test]
    fn a_thread_that_waits_for_its_cpu_is_seen() {
        // Two that keep one CPU busy: the kernel's own word is what `Witness` is tested for; here that it reaches us.
        let mut absences = Absences { cpus: vec![0], ..Absences::default() };
        absences.threads[0] =
            Witness::of_threads(&[rustix::thread::gettid().as_raw_nonzero().get()]);
        absences.last = absences.read();
        let burner = std::thread::spawn(|| burn(Duration::from_millis(300)));
        burn(Duration::from_millis(300));
        burner.join().unwrap();
        assert!(absences.since_last() > Duration::from_millis(50));
    }

    fn burn(time: Duration) {
        let mut cpu = rustix::thread::CpuSet::new();
        cpu.set(0);
        rustix::thread::sched_setaffinity(None, &cpu).unwrap();
        let start = Instant::now();
        while start.elapsed() < time {
            std::hint::spin_loop();
        }
    }
}

//! Prints the pending table's figures, a line each: look-ups by load, threads, capacity, workers that share it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use dpdk::{Eal, LcoreId, LogLevel, Memory, measure_tsc_hz};
use otherhalf_ab::line::Target::{AtLeast, AtMost, Open};
use otherhalf_ab::line::ratio;
use otherhalf_ab::lockstep::{self, Cores, Scaling, Slots};
use otherhalf_ab::lookups::{Keys, LEAST_LOAD, Lookups};
use otherhalf_ab::pages::Pages;
use otherhalf_ab::path::{self, Settings};
use otherhalf_ab::threads::Churn;
use otherhalf_ab::traffic::{SECRET, Traffic};
use otherhalf_ab::windows;
use otherhalf_ab::workers::OneWorker;
use otherhalf_engine::Clock;
use otherhalf_pending::{Insert, Table};
use otherhalf_perf::mood::Mood;
use otherhalf_responder::worker::Prefetching;
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;

/// Four tables of 64 MiB for the look-ups, six for threads and workers, and a little more.
const MEMORY_MB: u32 = 704;
const CALIBRATION: Duration = Duration::from_millis(50);
/// Entries of the tables that threads and workers share: 64 MiB.
const ENTRIES: u32 = 1 << 21;
/// The number of entries that is to be usable.
const MANY: usize = 16 << 20;
/// The percentage of the fuller table.
const MOST_LOAD: u32 = 90;
/// Short slots, for both threads are to be left alone in one; long ones where threads share a core.
const SLOT_US: u64 = 200;
const LONG_SLOT_US: u64 = 100_000;
/// Frames have to be made for workers in a slot before.
const WORKERS_SLOT_US: u64 = 500;
const TIMEOUT_S: u64 = 600;

/// Prints the pending table's figures: `ratio NAME VALUE TARGET pass|short`.
///
/// Look-ups at 90 % load in units of those at 10 %, at most 1.3; what 2 threads do in units of one, at least 1.7, and 4; 16 Mi
/// entries; two workers' engines on one table in units of one. Needs 704 MB of huge pages, 600 MB besides, and two
/// cores; rounds in which another program took one away do not count.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only figures whose name contains this.
    #[arg(default_value = "")]
    only: String,
    /// Seconds a figure.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// The cores to run on.
    #[arg(long, num_args = 2, default_values_t = [1, 0])]
    cpus: Vec<usize>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut builder = Eal::builder(
        format!("otherhalf-table-{}", std::process::id()),
        Memory::Huge { megabytes: MEMORY_MB },
    )
    .main_lcore(LcoreId(4), [arguments.cpus[0]])
    .log_level(LogLevel::Error);
    for (lcore, cpu) in (0..4).zip(arguments.cpus.iter().cycle()) {
        builder = builder.worker(LcoreId(lcore), *cpu);
    }
    let eal = builder.init().context(
        "DPDK does not start: are 352 huge pages of 2 MB free? (sysctl vm.nr_hugepages)",
    )?;
    let bench = Bench { eal, hz: measure_tsc_hz(CALIBRATION), seconds: arguments.seconds };
    let figures: [(&str, Figure); 8] = [
        ("table/lookup-present", |bench, name| bench.lookups(name, Keys::Present)),
        ("table/lookup-absent", |bench, name| bench.lookups(name, Keys::Absent)),
        ("table/threads-2", |bench, name| bench.threads(name, 2, true)),
        ("table/threads-2-apart", |bench, name| bench.threads(name, 2, false)),
        ("table/threads-4", |bench, name| bench.threads(name, 4, true)),
        ("table/filled-16Mi", |_, name| capacity(name)),
        ("workers/own-answers", |bench, name| bench.workers(name, false)),
        ("workers/crossed-answers", |bench, name| bench.workers(name, true)),
    ];
    println!("# {}", Mood::measure([arguments.cpus[0], arguments.cpus[1]]));
    let mut all = true;
    for (name, figure) in figures.iter().filter(|(name, _)| name.contains(&arguments.only)) {
        if let Err(error) = figure(&bench, name) {
            eprintln!("{name}: not measured: {error:#}");
            all = false;
        }
    }
    println!("# {}", Mood::measure([arguments.cpus[0], arguments.cpus[1]]));
    ensure!(all, "not all was measured");
    Ok(())
}

/// Measures a figure and prints it under its name.
type Figure = fn(&Bench, &str) -> anyhow::Result<()>;

/// What figures are measured with.
struct Bench {
    eal: Eal,
    hz: u64,
    seconds: f64,
}

impl Bench {
    fn lookups(&self, name: &str, keys: Keys) -> anyhow::Result<()> {
        let pages = Pages::Huge(&self.eal);
        let mut full = Lookups::new(MOST_LOAD, keys, pages)?;
        let mut empty = Lookups::new(LEAST_LOAD, keys, pages)?;
        let time = Duration::from_secs_f64(self.seconds);
        let measured = windows::alternate(&mut full, &mut empty, self.hz, time)?;
        // A few keys of a table at 90 % were refused.
        ensure!(full.wrong * 100 < full.looked_up(), "{} keys were not found", full.wrong);
        ensure!(empty.wrong == 0, "{} keys were not found", empty.wrong);
        let remark = format!(
            "{MOST_LOAD} % load to {LEAST_LOAD} %, {:.0} / {:.0} cycles, {} pairs",
            measured.subject, measured.reference, measured.pairs
        );
        println!("{}", ratio(name, measured.ratio, AtMost(1.3), &remark));
        Ok(())
    }

    fn table(&self) -> anyhow::Result<Arc<Table<Prefetching>>> {
        let timeout_ticks = TIMEOUT_S * self.hz;
        let settings = Settings { entries: ENTRIES, timeout_ticks, secret: SECRET, hz: self.hz };
        Ok(Arc::new(path::table(&settings, Pages::Huge(&self.eal))?))
    }

    /// As many rounds of four slots as there is time for.
    fn slots(&self, length_us: u64, cores: Cores) -> Slots {
        let rounds = Duration::from_secs_f64(self.seconds).as_micros() / u128::from(4 * length_us);
        Slots { length_us, rounds: u64::try_from(rounds).unwrap_or(0).max(5), cores, hz: self.hz }
    }

    /// `shared`: whether all have one table; if not, what is missing is taken by the cores and their caches.
    fn threads(&self, name: &str, threads: u64, shared: bool) -> anyhow::Result<()> {
        let mut table = self.table()?;
        let mut works = Vec::new();
        for thread in 0..threads {
            if thread > 0 && !shared {
                table = self.table()?;
            }
            works.push(Churn::new(Arc::clone(&table), thread));
        }
        let (slots, cores) = if threads <= 2 {
            (self.slots(SLOT_US, Cores::Own), "a core each")
        } else {
            (self.slots(LONG_SLOT_US, Cores::Shared(2)), "oversubscribed: 2 cores, by CPU time")
        };
        let (scaling, works) = lockstep::run(&self.eal, works, slots)?;
        for work in works {
            ensure!(work.lost * 100 < work.next, "{} of {} entries lost", work.lost, work.next);
        }
        let tables = if shared { "one table" } else { "a table each" };
        let unit = if threads <= 2 { "cycles" } else { "ns" };
        print(name, scaling, unit, &format!("{threads} threads to 1, {tables}, {cores}"));
        Ok(())
    }

    fn workers(&self, name: &str, crossed: bool) -> anyhow::Result<()> {
        let table = self.table()?;
        let clock = Clock::new(self.hz).context("a clock of less than 1 kHz")?;
        let traffic = Traffic::new(Family::V4, Protocol::Udp);
        let answered = Arc::default();
        let worker = |index| {
            let (table, answered) = (Arc::clone(&table), Arc::clone(&answered));
            OneWorker::new(table, clock, traffic, answered, index, crossed)
        };
        let works = vec![worker(0)?, worker(1)?];
        let (scaling, works) =
            lockstep::run(&self.eal, works, self.slots(WORKERS_SLOT_US, Cores::Own))?;
        for work in works {
            work.check()?;
        }
        let answers = if crossed { "answers reach the other worker" } else { "each its own" };
        print(name, scaling, "cycles", &format!("2 workers' engines to 1, {answers}"));
        Ok(())
    }
}

fn print(name: &str, scaling: Scaling, unit: &str, what: &str) {
    let Scaling { alone, rounds, .. } = scaling;
    let remark = format!("{what}, {alone:.0} {unit} alone, {rounds} rounds");
    // Two threads on one table are judged; the other figures tell what of it is the cores'.
    let target = if name == "table/threads-2" { AtLeast(1.7) } else { Open };
    println!("{}", ratio(name, scaling.ratio, target, &remark));
}

/// Fills a table of 16 Mi entries, and takes all out again.
#[expect(clippy::cast_precision_loss, reason = "shares")]
fn capacity(name: &str) -> anyhow::Result<()> {
    let settings = otherhalf_pending::Settings { entries: MANY, timeout_ticks: 1, secret: [1, 2] };
    let table = Table::<Prefetching>::with_prefetch(settings)?;
    let hash = |key: usize| table.hash(&[key as u64], 0);
    let taken_in: Vec<bool> =
        (0..MANY).map(|key| table.insert(hash(key), 1, 0) == Insert::New).collect();
    let held = taken_in.iter().filter(|held| **held).count();
    let found = (0..MANY).filter(|key| taken_in[*key] && table.take(hash(*key), 0).is_some());
    ensure!(found.count() == held, "what was put in was not found again");
    let share = held as f64 / MANY as f64;
    let remark = format!("{held} of {MANY} entries held and found, the rest refused");
    println!("{}", ratio(name, share, AtLeast(0.99), &remark));
    let bytes = table.bytes() as f64 / MANY as f64;
    println!("{}", ratio("table/bytes-an-entry", bytes, AtMost(32.0), "IPv4 and IPv6 alike"));
    Ok(())
}

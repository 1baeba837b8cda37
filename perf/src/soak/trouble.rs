//! Does what an event says, and checks that it was indeed done.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::process::Command as Program;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use otherhalf_control::status::Status;
use otherhalf_control::{Command, Reply, State};
use rustix::process::Signal;

use super::events::{Event, Kind, within};
use super::watch::Watch;

/// A route more, and no answers for closed ports: another policy and another network.
const OTHER: &str =
    "\n[reply]\nclosed_ports = false\n[[route]]\nto = \"203.0.113.0/24\"\nvia = \"192.0.2.254\"\n";
/// No configuration.
const MISTAKE: &str = "\n[reply]\ncolour = \"red\"\n";
/// How long something may take to show in the responder's state.
const SHOWS: Duration = Duration::from_secs(5);
/// Longer than a router that went away stays unnoticed: `neighbours.reachable_s`, and three seconds.
const WEDGED: (Duration, Duration) = (Duration::from_millis(5500), Duration::from_secs(9));
/// The steps of the clock, in seconds: an hour, a day back, ten years, as if it had been 1970.
const STEPS: [i64; 4] = [3600, -86_400, 315_360_000, -1_700_000_000];

/// What stays the same for all events.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    /// The configuration.
    pub(super) good: String,
    /// The names of the generator's and the responder's ends of the cable.
    pub(super) ends: [String; 2],
}

impl Setting {
    /// Does `event`; when it is over, all is as it was but for the process, which may be another.
    pub(super) fn make(&self, event: &Event, watch: &mut Watch) -> Result<()> {
        let short = || within(event.dice, Duration::from_millis(200), Duration::from_secs(2));
        match event.kind {
            Kind::Reload => self.reload(watch),
            Kind::BadReload => self.bad_reload(watch),
            Kind::Drain => drain(watch, short()),
            Kind::LinkFlap => self.flap(watch, event.dice),
            Kind::WedgedNeighbour => wedge(watch, within(event.dice, WEDGED.0, WEDGED.1)),
            Kind::FullDisk => self.full_disk(watch, short()),
            Kind::NoBuffers => hoard(watch, short()),
            Kind::ClockStep => step_clock(watch, event.dice, short()),
            Kind::Restart => {
                watch.end()?;
                watch.pass(Duration::from_millis(event.dice % 500))?;
                watch.start().map(drop)
            }
            Kind::Kill => {
                watch.kill()?;
                // At once: nothing is to be tidied up first.
                watch.start().map(drop)
            }
        }
    }

    fn reload(&self, watch: &mut Watch) -> Result<()> {
        for text in [format!("{}{OTHER}", self.good), self.good.clone()] {
            watch.subject.configure(&text)?;
            match watch.subject.ask(Command::Reload)? {
                Reply::Reloaded(reloaded) if !reloaded.changed.is_empty() => {}
                other => bail!("a reload changed nothing: {other:?}"),
            }
            watch.pass(Duration::from_millis(200))?;
        }
        Ok(())
    }

    fn bad_reload(&self, watch: &mut Watch) -> Result<()> {
        let before = watch.subject.status()?.reloads;
        watch.subject.configure(&format!("{}{MISTAKE}", self.good))?;
        let said = watch.subject.ask(Command::Reload);
        watch.subject.configure(&self.good)?;
        let Err(error) = said else { bail!("a configuration with a mistake was taken up") };
        ensure!(error.to_string().contains("reply.colour"), "a reload failed for {error:#}");
        ensure!(watch.subject.status()?.reloads == before, "a failed reload was counted");
        Ok(())
    }

    /// One to four times, at either end. That port's driver tells nothing of links, so what shows is that nothing is served.
    fn flap(&self, watch: &mut Watch, dice: u64) -> Result<()> {
        for turn in 0..=(dice >> 8) % 4 {
            let bits = dice >> (16 + 8 * turn);
            let end = &self.ends[usize::from(bits & 1 == 1)];
            set_link(end, "down")?;
            let down = watch.pass(Duration::from_millis(300 + bits % 500));
            set_link(end, "up")?;
            let served = down?;
            ensure!(served == 0, "{served} requests were served while {end} was down");
            watch.pass(Duration::from_millis(200))?;
        }
        Ok(())
    }

    fn full_disk(&self, watch: &mut Watch, time: Duration) -> Result<()> {
        let folder = watch.subject.files().log.parent().context("the log is in no folder")?;
        let ballast = folder.join("ballast");
        let filled = fill(&File::create(&ballast)?);
        let before = watch.subject.log_size()?;
        let talked = filled.and_then(|()| {
            self.bad_reload(watch)?;
            self.reload(watch)?;
            // Many lines at once.
            watch.subject.signal(Signal::USR1)?;
            watch.pass(time)
        });
        let after = watch.subject.log_size()?;
        let log = watch.subject.log();
        fs::remove_file(ballast)?;
        File::options().write(true).truncate(true).open(&watch.subject.files().log)?;
        talked?;
        ensure!(!log.contains("panicked"), "the log has a panic:\n{log}");
        // What was left of the last page of it may still have found room.
        ensure!(after - before < 4096, "the disk was not full: the log grew by {}", after - before);
        Ok(())
    }
}

/// Out of service, until nothing waits, and back.
fn drain(watch: &mut Watch, time: Duration) -> Result<()> {
    watch.subject.ask(Command::Drain { exit: false })?;
    wait_for(watch, "it is drained", |status| status.state == State::Drained)?;
    watch.pass(time)?;
    watch.subject.ask(Command::Undrain)?;
    wait_for(watch, "it is back in service", |status| status.ready)
}

/// The router answers no question for its address for `time`.
fn wedge(watch: &mut Watch, time: Duration) -> Result<()> {
    let kept = |status: &Status| -> u64 {
        let names = ["drop_neighbour_unresolved", "drop_hold_full"];
        names.iter().filter_map(|name| status.outcomes.get(*name)).sum()
    };
    let before = kept(&watch.subject.status()?);
    watch.board.set_mute(true);
    let passed = watch.pass(time);
    let after = watch.subject.status();
    watch.board.set_mute(false);
    passed?;
    let after = kept(&after?);
    ensure!(
        after > before || watch.is_interrupted(),
        "the router was silent for {time:?}, and no frame waited for it in vain"
    );
    Ok(())
}

/// For `time`, there is no buffer for any frame.
fn hoard(watch: &mut Watch, time: Duration) -> Result<()> {
    watch.subject.turn_hoard()?;
    let passed = wait_for(watch, "all its buffers are taken", |status| {
        status.mempool.in_use == status.mempool.size
    })
    .and_then(|()| watch.pass(time));
    watch.subject.turn_hoard()?;
    let served = passed?;
    ensure!(
        served == 0 || watch.is_interrupted(),
        "{served} requests were served while it had no buffer"
    );
    Ok(())
}

/// The clock of the day goes wrong and right again; nothing but the times that are shown is to know.
fn step_clock(watch: &mut Watch, dice: u64, time: Duration) -> Result<()> {
    let before = watch.subject.status()?;
    let step = STEPS[usize::try_from(dice >> 32).unwrap_or(0) % STEPS.len()];
    watch.subject.set_clock(step)?;
    let passed = watch.pass(time);
    let after = watch.subject.status();
    watch.subject.set_clock(0)?;
    passed?;
    let after = after?;
    ensure!(
        !after.is_old(),
        "its clock was set by {step} s, and its state seems {} ms old",
        after.age_ms
    );
    let shown = i128::from(after.taken_unix_ms) - i128::from(before.taken_unix_ms);
    let lasted = i128::from(after.uptime_ms) - i128::from(before.uptime_ms);
    let most = i128::try_from((time + 2 * SHOWS).as_millis())?;
    ensure!((0..most).contains(&lasted), "its time since the start went by {lasted} ms");
    let off = shown - lasted - 1000 * i128::from(step);
    ensure!(off.abs() < 2000, "its clock was set by {step} s, and went by {shown} ms");
    Ok(())
}

/// Waits until its state is `so`.
fn wait_for(watch: &mut Watch, what: &str, so: impl Fn(&Status) -> bool) -> Result<()> {
    let start = Instant::now();
    loop {
        watch.subject.check()?;
        let status = watch.subject.status()?;
        if so(&status) || watch.is_interrupted() {
            return Ok(());
        }
        ensure!(
            start.elapsed() < SHOWS,
            "not in {SHOWS:?}: {what}; it is {} ({})",
            status.state.name(),
            status.not_ready
        );
        watch.pass(Duration::from_millis(50))?;
    }
}

fn set_link(interface: &str, state: &str) -> Result<()> {
    let done = Program::new("ip").args(["link", "set", interface, state]).status()?;
    ensure!(done.success(), "ip link set {interface} {state}: {done}");
    Ok(())
}

/// Writes until there is no room left.
fn fill(mut file: &File) -> Result<()> {
    let block = [0; 4096];
    loop {
        match file.write(&block) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error).context("can't fill the disk of the log"),
        }
        ensure!(
            file.metadata()?.len() < 64 << 20,
            "the log must be on a small disk of its own: scripts/soak makes one"
        );
    }
}

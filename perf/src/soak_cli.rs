//! `otherhalf-perf soak`: its command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::Args;
use otherhalf_perf::EXIT_WRONG;
use otherhalf_perf::profile::Profile;
use otherhalf_perf::scenario::Scenario;
use otherhalf_perf::soak::events::Lives;
use otherhalf_perf::soak::{self, Options};

use crate::find;

/// Below this many minutes there is less calm between events, so that each comes at least once.
const SHORT: f64 = 5.0;

#[derive(Debug, Args)]
pub(crate) struct SoakArguments {
    /// How long.
    #[arg(long, default_value_t = 60.0, value_parser = minutes)]
    minutes: f64,
    /// Requests a second.
    #[arg(long, default_value_t = 2000.0, value_parser = rate)]
    rate: f64,
    /// What the events follow from [default: another one each time; it is printed].
    #[arg(long)]
    seed: Option<u64>,
    /// A small disk of its own for the responder's log: it will be filled. scripts/soak makes one.
    #[arg(long, value_name = "FOLDER")]
    log: PathBuf,
    /// otherhalfd [default: beside this program].
    #[arg(long, value_name = "PROGRAM")]
    responder: Option<PathBuf>,
    /// What is asked and how the network answers: a file, or a name in perf/scenarios.
    #[arg(long, default_value = "soak", value_name = "FILE|NAME")]
    scenario: PathBuf,
    /// What connects generator and responder: a file, or a name in perf/profiles.
    #[arg(long, default_value = "soak", value_name = "FILE|NAME")]
    profile: PathBuf,
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if (0.5..=1440.0).contains(&minutes) => Ok(minutes),
        _ => Err("from 0.5 to 1440".to_owned()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (100.0..=100_000.0).contains(&rate) => Ok(rate),
        _ => Err("from 100 to 100000".to_owned()),
    }
}

impl SoakArguments {
    /// A round takes about a minute. The first process lives for half of the time; then six rounds for each, and as few less as it
    /// takes for each end to come twice.
    fn lives(&self) -> Lives {
        let half = self.minutes / 2.0;
        let first =
            (1..=720u32).take_while(|rounds| f64::from(*rounds) <= half).last().unwrap_or(0);
        let then = [6, 5, 4, 3, 2].into_iter().find(|lives| f64::from(5 * lives) < half);
        Lives { first, then: then.unwrap_or(1) }
    }

    pub(crate) fn run(&self) -> Result<ExitCode> {
        let seed = self.seed.unwrap_or_else(|| {
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_secs())
        });
        let program = match &self.responder {
            Some(program) => program.clone(),
            None => std::env::current_exe()?.with_file_name("otherhalfd"),
        };
        if !program.is_file() {
            bail!(
                "there is no {}: build otherhalf-responder, or name it with --responder",
                program.display()
            );
        }
        let scenario = Scenario::load(&find(&self.scenario, &["scenarios"])?)?;
        let folder = tempfile::Builder::new().prefix("otherhalf-soak-").tempdir()?;
        let profile_path = find(&self.profile, &["profiles"])?;
        let profile = Profile::load(&profile_path, folder.path())?;
        profile.responder_config(&profile_path, &scenario)?;
        let (calm, lives) = if self.minutes < SHORT {
            ([200, 1000], Lives { first: 0, then: 0 })
        } else {
            ([1000, 8000], self.lives())
        };
        let [least, most] = calm.map(Duration::from_millis);
        let options = Options {
            time: Duration::from_secs_f64(60.0 * self.minutes),
            rate: self.rate,
            seed,
            calm: (least, most),
            lives,
            program,
            log: self.log.clone(),
            faketime: faketime().context("there is no libfaketime: apt-get install libfaketime")?,
            folder: folder.path().to_owned(),
        };
        println!("seed {seed}, {} requests a second, {} minutes", self.rate, self.minutes);
        let soaked = soak::run(&options, &profile, &scenario)?;
        println!("{}{}", soaked.summary, if soaked.good { "all good" } else { "NOT good" });
        Ok(if soaked.good { ExitCode::SUCCESS } else { ExitCode::from(EXIT_WRONG) })
    }
}

/// Where Debian has libfaketime, on whatever architecture.
fn faketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?;
    let library = |folder: &Path| folder.join("faketime/libfaketime.so.1");
    folders.flatten().map(|entry| library(&entry.path())).find(|file| file.is_file())
}

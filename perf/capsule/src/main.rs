//! `otherhalf-capsule FILE`: answers reverse traceroute requests on one DPDK port, by capsule, until SIGTERM.

use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use capsule::Runtime;
use capsule::batch::Batch;
use otherhalf_capsule::{Answers, Config, Shared};

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let (Some(path), None) = (arguments.next(), arguments.next()) else {
        eprintln!(
            "usage: otherhalf-capsule FILE\nThere is an example beside its source: capsule.toml"
        );
        return ExitCode::from(2);
    };
    match run(Path::new(&path)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("otherhalf-capsule: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(path: &Path) -> Result<()> {
    let config = Config::load(path)?;
    let runtime = config.capsule.clone();
    let port = runtime.ports[0].name.clone();
    let shared = Arc::new(Shared::new(config)?);
    let mut runtime = Runtime::build(runtime).context("capsule does not start")?;
    let theirs = Arc::clone(&shared);
    runtime.add_pipeline_to_port(&port, move |queue| {
        let answers = Answers::new(queue.clone(), queue.mac_addr(), Arc::clone(&theirs));
        answers.expect("the configuration was checked").send(queue)
    })?;
    eprintln!("ready");
    runtime.execute().context("capsule failed")?;
    print!("{}", shared.tally);
    Ok(())
}

//! What is done without a start.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;
use otherhalf_responder::config::machine::Machine;
use otherhalf_responder::config::{Checked, Config, keys, pages, print};
use otherhalf_responder::counters;
use otherhalf_responder::explain::{self, Question};
use otherhalf_responder::lists::{Lists, Sources};
use otherhalf_responder::replay;
use otherhalf_wire::probe::Protocol;

use crate::cli::{self, Arguments, Command, Explain, Page};
use crate::{Failure, load};

/// Does `command`.
pub(crate) fn run(command: Command) -> Result<(), Failure> {
    let text = match command {
        Command::CheckConfig { elsewhere, config } => {
            check(&config, elsewhere)?;
            format!("{}: good\n", config.display())
        }
        Command::PrintConfig { config: path } => {
            let config = load(&path)?;
            let text = print::print(&config)?;
            format!("# The configuration in effect of {}.\n{text}", path.display())
        }
        Command::Explain(question) => explained(&question)?,
        Command::Replay(arguments) => return replayed(&arguments),
        Command::Generate { what } => generate(&what)?,
    };
    std::io::stdout().write_all(text.as_bytes()).context("can't write to the standard output")?;
    Ok(())
}

/// Checks the file at `path` and the lists that it names, unless it is for a machine `elsewhere` against this one, too.
fn check(path: &Path, elsewhere: bool) -> Result<(), Failure> {
    let machine = Machine::this();
    let machine = (!elsewhere).then_some(&machine);
    let Checked { config, wrong } = Config::load_for(path, machine).map_err(Failure::Config)?;
    match (wrong, Lists::load(&config)) {
        (None, lists) => Ok(lists.map(drop)?),
        (Some(error), Ok(_)) => Err(Failure::Config(error)),
        (Some(error), Err(lists)) => Err(Failure::Both(error, lists)),
    }
}

/// Replays a file. What came before an error is written and counted.
fn replayed(arguments: &replay::Arguments) -> Result<(), Failure> {
    let replayed = arguments.run(&load(&arguments.config)?)?;
    for note in replayed.notes {
        eprintln!("otherhalfd: {note}");
    }
    write!(std::io::stdout(), "{}", replayed.totals)
        .context("can't write to the standard output")?;
    Ok(replayed.error.map_or(Ok(()), Err)?)
}

/// What would happen to the request, once for each protocol that it may be for.
fn explained(arguments: &Explain) -> Result<String, Failure> {
    let config = load(&arguments.config)?;
    let lists = Sources::read(&config)?;
    let Explain { from, at, flow, ttl, towards, .. } = *arguments;
    let protocols = match arguments.protocol {
        None => Protocol::ALL.to_vec(),
        Some(cli::Protocol::Icmp) => vec![Protocol::Icmp],
        Some(cli::Protocol::Tcp) => vec![Protocol::Tcp],
        Some(cli::Protocol::Udp) => vec![Protocol::Udp],
    };
    let explained: Result<Vec<String>, explain::Error> = protocols
        .into_iter()
        .map(|protocol| {
            let question = Question { from, at, protocol, flow, ttl, towards };
            Ok(explain::explain(&config, &lists, &question)?.to_string())
        })
        .collect();
    Ok(explained?.join("\n"))
}

/// What goes to the standard output of what is generated.
fn generate(what: &Page) -> anyhow::Result<String> {
    Ok(match what {
        Page::Config => keys::DEFAULT_FILE.to_owned(),
        Page::Counters => counters::page(),
        Page::Reference => pages::markdown(),
        Page::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "otherhalfd", &mut script);
            String::from_utf8(script)?
        }
        Page::Man { folder } => {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("can't make {}", folder.display()))?;
            let mut command = Arguments::command().disable_help_subcommand(true);
            command.build();
            manuals(&command, folder)?;
            let page = folder.join("otherhalfd.toml.5");
            std::fs::write(&page, pages::manual(env!("CARGO_PKG_VERSION")))
                .with_context(|| format!("can't write {}", page.display()))?;
            String::new()
        }
    })
}

/// Writes the page of `command`, and those of its commands.
fn manuals(command: &clap::Command, folder: &Path) -> anyhow::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let path = folder.join(format!("{name}.8"));
    let man = clap_mangen::Man::new(command.clone()).section("8");
    File::create(&path)
        .and_then(|mut file| man.render(&mut file))
        .with_context(|| format!("can't write {}", path.display()))?;
    command.get_subcommands().try_for_each(|command| manuals(command, folder))
}

//! `otherhalf-lab`: brings networks of kernel routers up and down, and runs programs in them.

use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use otherhalf_lab::{Lab, LinkRequest, Topology};
use signal_hook::consts::{SIGINT, SIGTERM};

#[derive(Parser)]
#[command(name = "otherhalf-lab", version, about = "Networks of kernel routers in namespaces")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Bring up the network of a topology file, and print its name.
    Up {
        /// The topology file, such as lab/asymmetric.toml.
        file: PathBuf,
        /// What to call it, as prefix of its namespaces; by default one that is free.
        #[arg(long)]
        name: Option<String>,
    },
    /// Take a network down, with all processes in it; nothing, if it is not up.
    Down {
        /// Its name.
        name: String,
    },
    /// Run a command on a node, with the network's names in its hosts file.
    Exec {
        /// The network's name.
        name: String,
        /// The node.
        node: String,
        /// The command with its arguments; its exit code becomes ours.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Join the tap that a responder's program made to the responder's link.
    Attach {
        /// The network's name.
        name: String,
        /// The node, of kind responder.
        node: String,
        /// How many seconds to wait for the tap to appear.
        #[arg(long, default_value_t = 10)]
        timeout: u64,
    },
    /// Show the networks that are up.
    List,
    /// Carry the frames of a userspace link; `up` starts this.
    #[command(hide = true)]
    Link {
        /// The namespace in which the interfaces are made.
        #[arg(long)]
        namespace: String,
        /// The names of the two interfaces.
        #[arg(long, num_args = 2, value_names = ["FIRST", "SECOND"])]
        ends: Vec<String>,
        /// The time from one end to the other.
        #[arg(long)]
        delay_ms: u32,
        /// The 802.1Q tag at the second end.
        #[arg(long)]
        vlan: Option<u16>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", otherhalf_lab::program());
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<(), Box<dyn std::error::Error>> {
    match task {
        Task::Up { file, name } => {
            let name = name.unwrap_or_else(|| format!("oh{}", std::process::id()));
            let topology = Topology::read(file)?;
            let lab = Lab::start(&topology, &name, &std::env::current_exe()?)?;
            println!("{}", lab.name());
        }
        Task::Down { name } => match Lab::down(&name)? {
            Some(log) => eprint!("{log}"),
            None => eprintln!("{}: there is no lab named {name}", otherhalf_lab::program()),
        },
        Task::Exec { name, node, command } => {
            let lab = Lab::open(&name)?;
            lab.topology().node(&node)?;
            if !rustix::process::geteuid().is_root() {
                return Err(otherhalf_lab::Error::NotRoot.into());
            }
            let [program, arguments @ ..] = &command[..] else {
                return Err("exec needs a command".into());
            };
            // Returns only if it failed.
            return Err(lab.command(&node, program).args(arguments).exec().into());
        }
        Task::Attach { name, node, timeout } => {
            Lab::open(&name)?.attach(&node, Duration::from_secs(timeout))?;
        }
        Task::List => {
            for name in Lab::list()? {
                println!("{name}");
            }
        }
        Task::Link { namespace, ends, delay_ms, vlan } => {
            let [first, second] = &ends[..] else { return Err("a link has two ends".into()) };
            let interfaces = [first.clone(), second.clone()];
            carry(&LinkRequest { namespace, interfaces, delay_ms, vlan })?;
        }
    }
    Ok(())
}

/// Carries a link until a signal; then logs what it had to drop.
fn carry(request: &LinkRequest) -> Result<(), Box<dyn std::error::Error>> {
    let (stop, stopped) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        signal_hook::low_level::pipe::register(signal, stop.try_clone()?)?;
    }
    let counters = request.carry(&stopped, || {
        // If `up` is gone it cannot read this, and `down` ends us all the same.
        let _written = writeln!(io::stdout(), "ready");
    })?;
    // What an end did not take, being down, was no fault of the link.
    if counters.queue_full + counters.wrong_tag > 0 {
        eprintln!("link {}: {counters:?}", request.interfaces.join(" - "));
    }
    Ok(())
}

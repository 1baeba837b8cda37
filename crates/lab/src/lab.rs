//! A network that is up: building it, using it, taking it down.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{AtPath as _, Error, Result};
use crate::link_request::LinkRequest;
use crate::namespace::{Namespace, run};
use crate::plan;
use crate::process::Process;
use crate::state::{self, State};
use crate::topology::{Family, Kind, Link, Topology};
use crate::userspace_link::LinkThread;

/// How often a wait loop looks.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// How long a cable whose two ends are up may seem unplugged. The kernel looks once a second at most.
const CARRIER_TIMEOUT: Duration = Duration::from_secs(5);

/// A network of namespaces that is up. One made by [`Lab::up`] is taken down when dropped,
/// on a panic too.
#[derive(Debug)]
pub struct Lab {
    name: String,
    topology: Topology,
    threads: Vec<LinkThread>,
    processes: Vec<Process>,
    owned: bool,
}

impl Lab {
    /// Reads a topology file and brings its network up under a name of its own.
    ///
    /// # Errors
    /// Those of [`Topology::read`] and [`Lab::build`].
    pub fn up(path: impl AsRef<Path>) -> Result<Self> {
        Self::build(&Topology::read(path)?)
    }

    /// Brings a network up under a name of its own. Userspace links are threads of this process.
    ///
    /// # Errors
    /// `NotRoot`, `Topology`, or what the system refused; then nothing is left behind.
    pub fn build(topology: &Topology) -> Result<Self> {
        loop {
            match Self::create(topology, &unused_name(), None) {
                // Left by a dead process that had our number.
                Err(Error::Exists(_)) => {}
                created => return created,
            }
        }
    }

    /// Brings a network up that stays when this process ends, until [`Lab::down`].
    /// `program` is `otherhalf-lab`, which carries the userspace links in processes.
    ///
    /// # Errors
    /// As for [`Lab::build`]; also `BadName` and `Exists`.
    pub fn start(topology: &Topology, name: &str, program: &Path) -> Result<Self> {
        let mut lab = Self::create(topology, name, Some(program))?;
        lab.owned = false;
        Ok(lab)
    }

    /// A lab that another process brought up. Dropping it leaves it up.
    ///
    /// # Errors
    /// `BadName`, `NoLab` or `State`.
    pub fn open(name: &str) -> Result<Self> {
        check_name(name)?;
        let state = state::read(name)?.ok_or_else(|| Error::NoLab(name.to_owned()))?;
        Ok(Self {
            name: name.to_owned(),
            topology: state.topology,
            threads: Vec::new(),
            processes: state.processes,
            owned: false,
        })
    }

    /// Takes down a lab that [`Lab::start`] or a dead process left. Nothing, if there is none.
    /// Gives what its links logged; `None`, if there was no such lab.
    ///
    /// # Errors
    /// `NotRoot`, `BadName`, `State`, or what the system refused; can be repeated then.
    pub fn down(name: &str) -> Result<Option<String>> {
        check_root()?;
        check_name(name)?;
        match Self::open(name) {
            Ok(mut lab) => lab.take_down().map(Some),
            // Perhaps ended between claiming the name and writing what it is.
            Err(Error::NoLab(_)) => state::remove(name).map(|found| found.then(String::new)),
            Err(error) => Err(error),
        }
    }

    /// The names of all labs that are up, sorted.
    ///
    /// # Errors
    /// `File`.
    pub fn list() -> Result<Vec<String>> {
        state::list()
    }

    /// The lab's name, with which those of its namespaces begin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it was built from.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The address of a node.
    ///
    /// # Panics
    /// If the topology has no such node, as do the methods below: a mistake in the test.
    #[must_use]
    #[track_caller]
    pub fn address(&self, node: &str, family: Family) -> IpAddr {
        self.known(node).address(family)
    }

    /// The address of the node that a node's default route leads to, the first of several.
    ///
    /// # Panics
    /// If the node has none.
    #[must_use]
    #[track_caller]
    pub fn gateway(&self, node: &str, family: Family) -> IpAddr {
        let routes = &self.known(node).routes;
        let Some(via) = routes.get("default").and_then(|via| via.names().first()) else {
            panic!("{node} has no default route");
        };
        self.address(via, family)
    }

    /// The namespace of a node, as in `ip netns list`.
    ///
    /// # Panics
    /// If the topology has no such node.
    #[must_use]
    #[track_caller]
    pub fn namespace(&self, node: &str) -> String {
        self.namespace_of(&self.known(node).name).name().to_owned()
    }

    /// A command that runs `program` on a node, with the lab's hosts file.
    ///
    /// # Panics
    /// If the topology has no such node.
    #[must_use]
    #[track_caller]
    pub fn command(&self, node: &str, program: &str) -> Command {
        self.namespace_of(&self.known(node).name).command(program)
    }

    /// Starts `command` (made by [`Lab::command`]) as a process that dies with the returned guard.
    ///
    /// # Errors
    /// `Program`.
    pub fn spawn(&self, command: &mut Command) -> Result<Guard> {
        let program = command.get_program().to_string_lossy().into_owned();
        command.spawn().map(Guard).map_err(|source| Error::Program { program, source })
    }

    /// Calls `task` on a thread that is inside a node's namespace: a socket that it opens stays there.
    ///
    /// # Errors
    /// `Enter`.
    ///
    /// # Panics
    /// If the topology has no such node, or with `task`.
    #[track_caller]
    pub fn within<T: Send>(&self, node: &str, task: impl FnOnce() -> T + Send) -> Result<T> {
        self.namespace_of(&self.known(node).name).within(task)
    }

    /// Joins the tap of a responder's program to the responder's link, once the program has made it;
    /// to be repeated when it has made it anew.
    ///
    /// # Errors
    /// `NoNode`, `NotResponder`, or `NoInterface` if it does not appear within `timeout`.
    pub fn attach(&self, node: &str, timeout: Duration) -> Result<()> {
        let node = self.topology.node(node)?;
        if node.kind != Kind::Responder {
            return Err(Error::NotResponder(node.name.clone()));
        }
        let namespace = self.namespace_of(&node.name);
        let deadline = Instant::now() + timeout;
        while !namespace.has_interface(&node.tap)? {
            if Instant::now() >= deadline {
                return Err(Error::NoInterface {
                    interface: node.tap.clone(),
                    node: node.name.clone(),
                    seconds: timeout.as_secs_f32(),
                });
            }
            thread::sleep(POLL_INTERVAL);
        }
        namespace.ip(&format!("link set {} up\n", node.tap))?;
        let peers = self.topology.links_of(&node.name).filter_map(|link| link.peer_of(&node.name));
        for peer in peers {
            let rules = plan::splice(&plan::interface(peer), &node.tap);
            run(namespace.command("nft").args(["-f", "-"]), &rules)?;
        }
        Ok(())
    }

    fn create(topology: &Topology, name: &str, program: Option<&Path>) -> Result<Self> {
        check_root()?;
        check_name(name)?;
        topology.check()?;
        state::claim(name)?;
        let mut lab = Self {
            name: name.to_owned(),
            topology: topology.clone(),
            threads: Vec::new(),
            processes: Vec::new(),
            // What fails from here on is undone by the drop.
            owned: true,
        };
        lab.remember()?;
        lab.make_namespaces()?;
        run(
            Command::new("ip").args(["-batch", "-"]),
            &plan::cables(topology, |node| lab.namespace_of(node).name().to_owned()),
        )?;
        for (number, link) in
            topology.links.iter().enumerate().filter(|(_, link)| link.in_userspace())
        {
            lab.make_userspace_link(number, link, program)?;
        }
        lab.configure()?;
        Ok(lab)
    }

    fn make_namespaces(&self) -> Result<()> {
        let hosts = plan::hosts(&self.topology);
        // No name server is reachable, so a name that the file lacks must not wait for one.
        let etc =
            [("hosts", hosts.as_str()), ("nsswitch.conf", "hosts: files\n"), ("resolv.conf", "")];
        for (number, node) in self.topology.nodes.iter().enumerate() {
            let namespace = self.namespace_of(&node.name);
            namespace.create()?;
            namespace.write_etc(&etc)?;
            namespace.within(|| write_sysctls(&plan::sysctls(node, number)))??;
        }
        Ok(())
    }

    fn make_userspace_link(
        &mut self,
        number: usize,
        link: &Link,
        program: Option<&Path>,
    ) -> Result<()> {
        let [first, second] = &link.between;
        let (at_first, at_second) = (plan::interface(second), plan::interface(first));
        // Both start in the first namespace, which may have an interface of the second's name.
        let moving = format!("moving{number}");
        let request = LinkRequest {
            namespace: self.namespace_of(first).name().to_owned(),
            interfaces: [at_first.clone(), moving.clone()],
            delay_ms: link.delay_ms,
            vlan: link.vlan,
        };
        match program {
            Some(program) => {
                let log = state::folder(&self.name).join(format!("link-{first}-{second}.log"));
                self.processes.push(request.start_process(program, &log)?);
                self.remember()?;
            }
            None => self.threads.push(request.start_thread()?),
        }
        self.namespace_of(first).ip(&format!(
            "link set {at_first} address {}\nlink set {moving} address {} name {at_second} netns {}\n",
            plan::mac(number, 0),
            plan::mac(number, 1),
            self.namespace_of(second).name(),
        ))
    }

    fn configure(&self) -> Result<()> {
        for node in &self.topology.nodes {
            self.namespace_of(&node.name).ip(&plan::interfaces(&self.topology, node))?;
        }
        for node in &self.topology.nodes {
            self.await_carriers(&node.name)?;
        }
        for node in &self.topology.nodes {
            let namespace = self.namespace_of(&node.name);
            namespace.ip(&plan::addresses(&self.topology, node))?;
            if let Some(rules) = plan::rules(&self.topology, node) {
                run(namespace.command("nft").args(["-f", "-"]), &rules)?;
            }
        }
        Ok(())
    }

    /// The kernel notices a moment later that a cable's other end is up as well.
    fn await_carriers(&self, node: &str) -> Result<()> {
        let namespace = self.namespace_of(node);
        let deadline = Instant::now() + CARRIER_TIMEOUT;
        while let Some(interface) = namespace.interface_down(&plan::interface(""))? {
            if Instant::now() >= deadline {
                return Err(Error::NoInterface {
                    interface,
                    node: node.to_owned(),
                    seconds: CARRIER_TIMEOUT.as_secs_f32(),
                });
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    fn remember(&self) -> Result<()> {
        let state = State { topology: self.topology.clone(), processes: self.processes.clone() };
        state::write(&self.name, &state)
    }

    /// Removes all; what cannot be removed does not keep the rest. The state stays until all is gone.
    fn take_down(&mut self) -> Result<String> {
        let mut outcome = Ok(());
        for process in self.processes.drain(..) {
            outcome = outcome.and(process.end());
        }
        let log = read_logs(&state::folder(&self.name));
        for mut link in self.threads.drain(..) {
            let stopped = link.stop().map(drop);
            outcome = outcome
                .and(stopped.map_err(|source| Error::Link { interfaces: String::new(), source }));
        }
        for node in &self.topology.nodes {
            outcome = outcome.and(self.namespace_of(&node.name).remove());
        }
        outcome?;
        state::remove(&self.name)?;
        Ok(log)
    }

    fn namespace_of(&self, node: &str) -> Namespace {
        Namespace::new(format!("{}-{node}", self.name))
    }

    #[track_caller]
    fn known(&self, node: &str) -> &crate::topology::Node {
        self.topology.node(node).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.owned
            && let Err(error) = self.take_down()
        {
            // A drop cannot return it, and a second panic would abort the tests.
            eprintln!(
                "lab {} is not all gone: {error}; try `{} down {}`",
                self.name,
                crate::error::program(),
                self.name
            );
        }
    }
}

/// A process on a node, which is killed when the guard is dropped.
#[derive(Debug)]
pub struct Guard(Child);

impl Guard {
    /// The process, to read its output or wait for it.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Both fail only if it was waited for already.
        let _killed = self.0.kill();
        let _status = self.0.wait();
    }
}

fn write_sysctls(sysctls: &[(&str, String)]) -> Result<()> {
    for (key, value) in sysctls {
        let path = PathBuf::from("/proc/sys/net").join(key);
        match fs::write(&path, value) {
            // Some kernels have it for the whole machine only, which is not ours to change.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            written => written.at(path)?,
        }
    }
    Ok(())
}

fn read_logs(folder: &Path) -> String {
    let Ok(entries) = fs::read_dir(folder) else { return String::new() };
    let logs =
        entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "log"));
    // A log that cannot be read must not keep a lab from being taken down.
    logs.filter_map(|path| fs::read_to_string(path).ok()).collect()
}

fn unused_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("oh{}-{number}", std::process::id())
}

fn check_root() -> Result<()> {
    if rustix::process::geteuid().is_root() { Ok(()) } else { Err(Error::NotRoot) }
}

fn check_name(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if (1..=32).contains(&name.len()) && name.chars().all(allowed) {
        Ok(())
    } else {
        Err(Error::BadName(name.to_owned()))
    }
}

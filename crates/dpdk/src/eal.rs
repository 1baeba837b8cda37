//! The environment abstraction layer: memory, lcores and devices of the process.

use std::collections::HashSet;
use std::ffi::{CStr, CString, c_char};
use std::fs;
use std::path::PathBuf;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dpdk_sys as sys;

use crate::builder::{EalBuilder, Memory};
use crate::error::{EalError, Errno, PortError};
use crate::lcore::LcoreId;
use crate::port::{PortId, PortInfo};

/// Whether `rte_eal_init` was called. Set once, before the call, by whoever wins; read
/// by that exchange alone. It guards nothing but the call, so its ordering is relaxed.
static STARTED: AtomicBool = AtomicBool::new(false);

/// DPDK, started. A process has one, once.
///
/// Ports, queues, mempools and launched closures keep it alive; when the last of them is
/// dropped, all ports are closed, and with [`Memory::Huge`] `rte_eal_cleanup` is called.
/// With [`Memory::NoHuge`] it is not: it would unmap the memory in which mbufs, which
/// carry no reference, may still be. (With hugepages in memory it unmaps nothing.) There
/// is nothing else to clean, since no file is shared; the kernel takes the rest.
#[derive(Debug)]
pub struct Eal {
    shared: Arc<Shared>,
}

/// What all handles keep alive.
#[derive(Debug)]
pub(crate) struct Shared {
    memory: Memory,
    main_lcore: LcoreId,
    workers: Vec<LcoreId>,
    /// Ports that a `Port` was made of. Closing them is final, so they stay here.
    claimed: Mutex<HashSet<PortId>>,
    /// Workers that run a closure. Locked while one is handed over, too: the library's
    /// hand-over allows one caller at a time.
    busy: Mutex<HashSet<LcoreId>>,
}

impl Eal {
    /// Starts to describe an EAL. The file prefix names its runtime folder: give each
    /// process its own.
    pub fn builder(file_prefix: impl Into<String>, memory: Memory) -> EalBuilder {
        EalBuilder::new(file_prefix.into(), memory)
    }

    /// `arguments` have been checked by the builder.
    pub(crate) fn start(
        arguments: &[CString],
        memory: Memory,
        main_lcore: LcoreId,
        workers: Vec<LcoreId>,
    ) -> Result<Self, EalError> {
        if STARTED.swap(true, Ordering::Relaxed) {
            return Err(EalError::AlreadyStarted);
        }
        ignore_real_time_signals();
        // EAL and its drivers keep pointers into the line, and may write to it; it is
        // leaked, once in a process.
        let mut line: Vec<*mut c_char> =
            arguments.iter().map(|argument| argument.clone().into_raw()).collect();
        let count = i32::try_from(line.len()).map_err(|_| EalError::Init(Errno(libc::E2BIG)))?;
        line.push(ptr::null_mut());
        // SAFETY: `line` holds `count` writable C strings and a null, all of which live
        // for ever; STARTED makes this the only call.
        let status = unsafe { sys::rte_eal_init(count, line.leak().as_mut_ptr()) };
        if status < 0 {
            let errno = Errno::last();
            remove_runtime_folder(runtime_folder());
            return Err(EalError::Init(errno));
        }
        Ok(Self {
            shared: Arc::new(Shared {
                memory,
                main_lcore,
                workers,
                claimed: Mutex::default(),
                busy: Mutex::default(),
            }),
        })
    }

    /// All ports, in use or not.
    #[must_use]
    pub fn ports(&self) -> Vec<PortId> {
        all_ports().collect()
    }

    /// The port of that name, such as `net_tap0` or `0000:03:00.0`.
    pub fn port_by_name(&self, name: &str) -> Result<PortId, PortError> {
        let ports = self.ports().into_iter().filter_map(|id| Some((id, id.name()?)));
        let ports: Vec<_> = ports.collect();
        match ports.iter().find(|(_, existing)| existing == name) {
            Some(&(id, _)) => Ok(id),
            None => Err(PortError::NoSuchPort {
                name: name.to_owned(),
                existing: ports.into_iter().map(|(_, existing)| existing).collect(),
            }),
        }
    }

    /// What the port is, whether it is in use or not.
    pub fn port_info(&self, id: PortId) -> Result<PortInfo, PortError> {
        PortInfo::read(id)
    }

    /// The lcore of the thread that started the EAL.
    #[must_use]
    pub fn main_lcore(&self) -> LcoreId {
        self.shared.main_lcore
    }

    /// The lcores for [`Eal::launch`], as the builder was given them.
    #[must_use]
    pub fn workers(&self) -> &[LcoreId] {
        &self.shared.workers
    }

    /// The library's own name and version.
    #[must_use]
    pub fn version(&self) -> String {
        // SAFETY: returns a constant string.
        let version = unsafe { sys::rte_version() };
        // SAFETY: as above.
        let version = unsafe { CStr::from_ptr(version) };
        version.to_string_lossy().into_owned()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Another handle of it.
    pub(crate) fn another(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl Shared {
    /// Takes the port for one `Port`; false when another has it.
    pub(crate) fn claim(&self, id: PortId) -> bool {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner).insert(id)
    }

    /// Whether one has it.
    pub(crate) fn is_claimed(&self, id: PortId) -> bool {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }

    /// The workers that run a closure, to look and to change.
    pub(crate) fn busy(&self) -> MutexGuard<'_, HashSet<LcoreId>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let folder = runtime_folder();
        for id in all_ports() {
            // SAFETY: nobody holds the port: holders keep `self` alive. A started port
            // was stopped when its holder was dropped.
            unsafe { sys::rte_eth_dev_close(id.get()) };
        }
        if matches!(self.memory, Memory::Huge { .. }) {
            // SAFETY: no handle is left. Mbufs may be, and --in-memory, which the builder
            // gives with hugepages, keeps all memory mapped (see Eal).
            unsafe { sys::rte_eal_cleanup() };
        }
        remove_runtime_folder(folder);
    }
}

/// Ports that exist, in use or not.
pub(crate) fn all_ports() -> impl Iterator<Item = PortId> {
    let next = |from: u16| {
        // SAFETY: takes any number; returns RTE_MAX_ETHPORTS at the end.
        let id =
            unsafe { sys::rte_eth_find_next_owned_by(from, u64::from(sys::RTE_ETH_DEV_NO_OWNER)) };
        u16::try_from(id).ok().filter(|&id| u32::from(id) < sys::RTE_MAX_ETHPORTS)
    };
    std::iter::successors(next(0), move |&id| next(id + 1)).map(PortId::from_raw)
}

fn runtime_folder() -> Option<PathBuf> {
    // SAFETY: returns a string of EAL's configuration, empty before there is one.
    let folder = unsafe { sys::rte_eal_get_runtime_dir() };
    if folder.is_null() {
        return None;
    }
    // SAFETY: as above; it is copied before the configuration can go.
    let folder = unsafe { CStr::from_ptr(folder) };
    Some(PathBuf::from(folder.to_str().ok()?))
}

/// EAL makes the folder even if it shares nothing there. Telemetry's socket, or another
/// process with the same prefix, may have put something in: then it stays.
fn remove_runtime_folder(folder: Option<PathBuf>) {
    if let Some(folder) = folder {
        let _ = fs::remove_dir(folder);
    }
}

/// See [`EalBuilder::init`]. Signals with a handler are left alone.
fn ignore_real_time_signals() {
    for signal in 35..=63 {
        // SAFETY: zeros are a valid sigaction: the default action, no flags, empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: reads the signal's action into a struct of that type.
        let status = unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) };
        if status == 0 && action.sa_sigaction == libc::SIG_DFL {
            // SAFETY: to ignore a signal runs no code of ours.
            unsafe { libc::signal(signal, libc::SIG_IGN) };
        }
    }
}

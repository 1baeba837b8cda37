//! EAL's arguments, typed and checked before EAL sees them: it ends badly on wrong ones.

use std::collections::HashSet;
use std::ffi::CString;
use std::path::Path;
use std::{fs, mem};

use dpdk_sys as sys;

use crate::eal::Eal;
use crate::error::{EalError, Errno};
use crate::lcore::LcoreId;
use crate::port::PortId;

/// Where the EAL's memory comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Hugepages, anonymous: nothing is left behind however the process ends.
    Huge {
        /// Reserved at start; mempools can take more later.
        megabytes: u32,
    },
    /// Ordinary pages: runs anywhere, costs some speed, and no hardware NIC can use it.
    NoHuge {
        /// All that there is: mempools, rings and queues.
        megabytes: u32,
    },
}

/// How much of its log DPDK prints to stderr and syslog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Errors.
    Error,
    /// And warnings.
    Warning,
    /// And notices, DPDK's own default.
    Notice,
    /// And information.
    Info,
    /// All.
    Debug,
}

impl LogLevel {
    /// `RTE_LOG_ERR` to `RTE_LOG_DEBUG` of `rte_log.h`, which are syslog's numbers plus one.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Error => 4,
            Self::Warning => 5,
            Self::Notice => 6,
            Self::Info => 7,
            Self::Debug => 8,
        }
    }
}

/// A virtual device: its name, and its driver's arguments behind commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vdev(String);

impl Vdev {
    /// `net_null`: receives frames of `frame_size` bytes without end, swallows what is sent.
    #[must_use]
    pub fn null(index: u16, frame_size: u16) -> Self {
        Self(format!("net_null{index},size={frame_size}"))
    }

    /// `net_ring`: each of its up to 16 queues receives what is sent on the same queue,
    /// and holds 1023 frames.
    #[must_use]
    pub fn ring(index: u16) -> Self {
        Self(format!("net_ring{index}"))
    }

    /// The device's name, which is its port's.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split(',').next().unwrap_or_default()
    }

    /// Name and arguments, as EAL takes them.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Vdev {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Vdev {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// What an [`Eal`] shall be; made by [`Eal::builder`].
#[derive(Clone, Debug)]
#[must_use = "nothing happens before init()"]
pub struct EalBuilder {
    file_prefix: String,
    memory: Memory,
    main_lcore: (LcoreId, Option<Vec<usize>>),
    workers: Vec<(LcoreId, usize)>,
    vdevs: Vec<Vdev>,
    pci: Vec<String>,
    telemetry: bool,
    log_level: LogLevel,
    extra: Vec<String>,
}

impl EalBuilder {
    pub(crate) fn new(file_prefix: String, memory: Memory) -> Self {
        Self {
            file_prefix,
            memory,
            // The highest, out of the way of workers, which are counted from 0.
            main_lcore: (LcoreId(sys::RTE_MAX_LCORE - 1), None),
            workers: Vec::new(),
            vdevs: Vec::new(),
            pci: Vec::new(),
            telemetry: false,
            log_level: LogLevel::Warning,
            extra: Vec::new(),
        }
    }

    /// The lcore that the thread calling [`init`](Self::init) becomes, and the CPUs to
    /// which it is bound. Default: the highest number, on all CPUs of the process.
    pub fn main_lcore(mut self, lcore: LcoreId, cpus: impl IntoIterator<Item = usize>) -> Self {
        self.main_lcore = (lcore, Some(cpus.into_iter().collect()));
        self
    }

    /// Adds an lcore for [`Eal::launch`], bound to `cpu`. Several may share one.
    pub fn worker(mut self, lcore: LcoreId, cpu: usize) -> Self {
        self.workers.push((lcore, cpu));
        self
    }

    /// Adds a virtual device, such as `net_tap0,iface=dtap0`.
    pub fn vdev(mut self, vdev: impl Into<Vdev>) -> Self {
        self.vdevs.push(vdev.into());
        self
    }

    /// Adds a PCI device, such as `0000:03:00.0`. Without any, the PCI bus is not touched.
    pub fn pci(mut self, address: impl Into<String>) -> Self {
        self.pci.push(address.into());
        self
    }

    /// DPDK's telemetry socket. Default: off.
    pub fn telemetry(mut self, on: bool) -> Self {
        self.telemetry = on;
        self
    }

    /// Default: [`LogLevel::Warning`].
    pub fn log_level(mut self, level: LogLevel) -> Self {
        self.log_level = level;
        self
    }

    /// Adds an EAL argument that has no method here. EAL checks it, not we.
    pub fn extra_argument(mut self, argument: impl Into<String>) -> Self {
        self.extra.push(argument.into());
        self
    }

    /// Starts the EAL; the calling thread becomes its main lcore.
    ///
    /// Before that, it makes the process **ignore the real-time signals 35 to 63** where
    /// they have no handler: `net_tap` would otherwise take one of them and raise it for
    /// every packet, which the main thread then handles, at a third of the speed.
    ///
    /// # Errors
    /// After [`EalError::Init`], [`EalError::NoDriver`] and the two `Refused` variants the
    /// process cannot try again; after the others it can.
    pub fn init(self) -> Result<Eal, EalError> {
        self.check()?;
        let arguments = self.arguments()?;
        let workers = self.workers.iter().map(|&(lcore, _)| lcore).collect();
        let eal = match Eal::start(&arguments, self.memory, self.main_lcore.0, workers) {
            // Devices are the first thing for which EAL has this number.
            Err(EalError::Init(Errno(libc::ENODEV))) if !self.vdevs.is_empty() => {
                let vdevs = self.vdevs.iter().map(|vdev| vdev.as_str().to_owned()).collect();
                return Err(EalError::NoDriver(vdevs));
            }
            started => started?,
        };
        // EAL goes on without the devices that it cannot have.
        let names: Vec<_> = eal.ports().into_iter().filter_map(PortId::name).collect();
        for vdev in self.vdevs.iter().filter(|vdev| vdev.name().starts_with("net_")) {
            if !names.iter().any(|name| name == vdev.name()) {
                return Err(EalError::VdevRefused(vdev.as_str().to_owned()));
            }
        }
        for address in &self.pci {
            // Drivers with several ports on a device append to its address.
            if !names.iter().any(|name| name.starts_with(address.as_str())) {
                return Err(EalError::PciDeviceRefused(address.clone()));
            }
        }
        Ok(eal)
    }

    fn check(&self) -> Result<(), EalError> {
        let usable = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let prefix = self.file_prefix.as_str();
        if prefix.is_empty()
            || prefix.len() > 64
            || prefix.starts_with('.')
            || !prefix.chars().all(usable)
        {
            return Err(EalError::BadFilePrefix(prefix.to_owned()));
        }
        if let Some(last) = self.extra.iter().find(|a| ["-h", "--help"].contains(&a.as_str())) {
            return Err(EalError::EndsProcess(last.clone()));
        }
        for address in &self.pci {
            if !is_pci_address(address) {
                return Err(EalError::BadPciAddress(address.clone()));
            }
            if !Path::new("/sys/bus/pci/devices").join(address).exists() {
                return Err(EalError::NoSuchPciDevice(address.clone()));
            }
        }
        self.check_lcores()?;
        match self.memory {
            Memory::Huge { megabytes: 0 } | Memory::NoHuge { megabytes: 0 } => {
                Err(EalError::NoMemory)
            }
            Memory::Huge { megabytes: needed } => match free_huge_megabytes() {
                free if free < u64::from(needed) => Err(EalError::NoHugepages { needed, free }),
                _ => Ok(()),
            },
            Memory::NoHuge { .. } => Ok(()),
        }
    }

    fn check_lcores(&self) -> Result<(), EalError> {
        let (main, cpus) = &self.main_lcore;
        if cpus.as_ref().is_some_and(Vec::is_empty) {
            return Err(EalError::NoCpu(*main));
        }
        let allowed = allowed_cpus();
        let main_cpus = cpus.iter().flatten().map(|&cpu| (*main, cpu));
        for (lcore, cpu) in main_cpus.chain(self.workers.iter().copied()) {
            if !allowed.contains(&cpu) {
                return Err(EalError::CpuUnavailable { lcore, cpu, allowed });
            }
        }
        let mut seen = HashSet::new();
        for lcore in self.workers.iter().map(|&(lcore, _)| lcore).chain([*main]) {
            if lcore.0 >= sys::RTE_MAX_LCORE {
                return Err(EalError::LcoreOutOfRange { lcore });
            }
            if !seen.insert(lcore) {
                return Err(EalError::LcoreTwice(lcore));
            }
        }
        Ok(())
    }

    /// The command line, program name first.
    fn arguments(&self) -> Result<Vec<CString>, EalError> {
        let mut line = vec!["dpdk".to_owned(), format!("--file-prefix={}", self.file_prefix)];
        match self.memory {
            Memory::Huge { megabytes } => {
                let flags = ["--in-memory", "--single-file-segments", "-m"];
                line.extend(flags.map(str::to_owned));
                line.push(megabytes.to_string());
            }
            Memory::NoHuge { megabytes } => {
                // EAL refuses --in-memory here; --no-shconf is the part of it that matters.
                line.extend(["--no-huge", "--no-shconf", "-m"].map(str::to_owned));
                line.push(megabytes.to_string());
            }
        }
        let (main, cpus) = &self.main_lcore;
        let cpus = cpus.clone().unwrap_or_else(allowed_cpus);
        let cpus: Vec<_> = cpus.iter().map(ToString::to_string).collect();
        let workers = self.workers.iter().map(|(lcore, cpu)| format!("{}@{cpu}", lcore.0));
        let lcores: Vec<_> =
            [format!("{}@({})", main.0, cpus.join(","))].into_iter().chain(workers).collect();
        line.push(format!("--lcores={}", lcores.join(",")));
        line.push(format!("--main-lcore={}", main.0));
        line.extend(self.vdevs.iter().map(|vdev| format!("--vdev={}", vdev.as_str())));
        // A bonding port's members may be PCI devices that are named by such an argument alone.
        let allows = |argument: &String| argument == "-a" || argument.starts_with("--allow");
        if self.pci.is_empty() && !self.extra.iter().any(allows) {
            line.push("--no-pci".to_owned());
        }
        line.extend(self.pci.iter().map(|address| format!("--allow={address}")));
        if !self.telemetry {
            line.push("--no-telemetry".to_owned());
        }
        line.push(format!("--log-level={}", self.log_level.number()));
        line.extend(self.extra.iter().cloned());
        line.into_iter()
            .map(|text| CString::new(text.clone()).map_err(|_| EalError::NulInArgument(text)))
            .collect()
    }
}

/// Domain, bus, device, function: `dddd:bb:dd.f`, hexadecimal.
fn is_pci_address(text: &str) -> bool {
    text.len() == "0000:03:00.0".len()
        && text.bytes().enumerate().all(|(position, byte)| match position {
            4 | 7 => byte == b':',
            10 => byte == b'.',
            11 => (b'0'..=b'7').contains(&byte),
            _ => byte.is_ascii_hexdigit(),
        })
}

/// The CPUs on which the calling thread may run.
fn allowed_cpus() -> Vec<usize> {
    // SAFETY: a set of CPUs is a bit field, for which zeros are the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the kernel writes at most the size that it is told.
    let status = unsafe { libc::sched_getaffinity(0, mem::size_of_val(&set), &raw mut set) };
    if status != 0 {
        return Vec::new();
    }
    (0..mem::size_of_val(&set) * 8)
        // SAFETY: the number is below the set's size in bits.
        .filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) })
        .collect()
}

/// Megabytes in free hugepages, of all sizes that the kernel has.
fn free_huge_megabytes() -> u64 {
    let Ok(sizes) = fs::read_dir("/sys/kernel/mm/hugepages") else { return 0 };
    sizes
        .flatten()
        .filter_map(|size| {
            let name = size.file_name().into_string().ok()?;
            let kilobytes: u64 =
                name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
            let free = fs::read_to_string(size.path().join("free_hugepages")).ok()?;
            Some(kilobytes * free.trim().parse::<u64>().ok()? / 1024)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> EalBuilder {
        Eal::builder("test", Memory::NoHuge { megabytes: 64 })
    }

    #[test]
    fn arguments_are_what_eal_takes() {
        let builder = builder()
            .main_lcore(LcoreId(9), [0])
            .worker(LcoreId(0), 0)
            .worker(LcoreId(1), 0)
            .vdev(Vdev::null(0, 98))
            .extra_argument("--iova-mode=va");
        let line = builder.arguments().unwrap();
        let line: Vec<_> = line.iter().map(|a| a.to_str().unwrap()).collect();
        assert_eq!(
            line.join(" "),
            "dpdk --file-prefix=test --no-huge --no-shconf -m 64 --lcores=9@(0),0@0,1@0 \
             --main-lcore=9 --vdev=net_null0,size=98 --no-pci --no-telemetry --log-level=5 \
             --iova-mode=va"
        );
        let mut huge = builder;
        huge.memory = Memory::Huge { megabytes: 128 };
        huge.pci = vec!["0000:03:00.0".to_owned()];
        let line = huge.arguments().unwrap();
        let line: Vec<_> = line.iter().map(|a| a.to_str().unwrap()).collect();
        assert!(line.join(" ").contains("--in-memory --single-file-segments -m 128"));
        assert!(line.contains(&"--allow=0000:03:00.0"));
        assert!(!line.contains(&"--no-pci"));
    }

    #[test]
    fn what_eal_would_stumble_over_is_refused_before() {
        use EalError as E;
        let error = |builder: EalBuilder| builder.init().unwrap_err();
        let prefix = |text: &str| Eal::builder(text, Memory::NoHuge { megabytes: 64 });
        for text in ["", "a/b", "..", "a%b", "ä"] {
            assert!(matches!(error(prefix(text)), E::BadFilePrefix(_)), "{text:?}");
        }
        assert!(matches!(error(builder().extra_argument("-h")), E::EndsProcess(_)));
        assert!(matches!(error(builder().vdev("net_\0")), E::NulInArgument(_)));
        assert!(matches!(error(builder().pci("03:00.0")), E::BadPciAddress(_)));
        assert!(matches!(error(builder().pci("ffff:ff:1f.7")), E::NoSuchPciDevice(_)));
        assert!(matches!(error(builder().main_lcore(LcoreId(0), [])), E::NoCpu(_)));
        assert!(matches!(
            error(builder().worker(LcoreId(1), 0).worker(LcoreId(1), 0)),
            E::LcoreTwice(LcoreId(1))
        ));
        assert!(matches!(error(builder().worker(LcoreId(5000), 0)), E::LcoreOutOfRange { .. }));
        assert!(matches!(
            error(builder().worker(LcoreId(1), 1023)),
            E::CpuUnavailable { cpu: 1023, .. }
        ));
        assert!(matches!(
            error(Eal::builder("test", Memory::NoHuge { megabytes: 0 })),
            E::NoMemory
        ));
        let too_much = error(Eal::builder("test", Memory::Huge { megabytes: u32::MAX }));
        assert!(matches!(too_much, E::NoHugepages { .. }));
        assert!(too_much.to_string().contains("huge_pages = false"));
    }
}

//! Memory of hugepages. Reserves some when the machine has none, which takes root, and
//! gives them back.

use std::fs;

use dpdk::{Burst, Eal, EalError, LcoreId, Memory, Mempool, MempoolConfig, Port, PortConfig, Vdev};

const RESERVED: &str = "/proc/sys/vm/nr_hugepages";
const PAGES: u32 = 64;
/// Two megabytes each, the default size on the machines that this runs on.
const MEGABYTES: u32 = PAGES * 2;

/// Restores the number of reserved pages.
struct Reservation(Option<String>);

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            fs::write(RESERVED, before).expect("what was written before can be again");
        }
    }
}

fn free_pages() -> u32 {
    let info = fs::read_to_string("/proc/meminfo").expect("Linux has it");
    let line = info.lines().find_map(|line| line.strip_prefix("HugePages_Free:"));
    line.expect("the kernel has hugepages").trim().parse().expect("a number")
}

fn reserve() -> Reservation {
    if free_pages() >= PAGES {
        return Reservation(None);
    }
    let before = fs::read_to_string(RESERVED).expect("Linux has it");
    let more = before.trim().parse::<u32>().expect("a number") + PAGES;
    fs::write(RESERVED, more.to_string()).expect("run as root, or reserve 64 hugepages before");
    Reservation(Some(before))
}

#[test]
fn hugepages_are_used_and_given_back() {
    let builder = |memory| {
        Eal::builder(format!("oh-test-huge-{}", std::process::id()), memory)
            .main_lcore(LcoreId(9), [0])
            .vdev(Vdev::null(0, 64))
    };
    let too_much = builder(Memory::Huge { megabytes: 1 << 30 }).init();
    assert!(matches!(too_much, Err(EalError::NoHugepages { .. })));

    let _reservation = reserve();
    let before = free_pages();
    assert!(before >= PAGES, "the kernel has found {before} pages only; free memory and try again");

    let eal = builder(Memory::Huge { megabytes: MEGABYTES / 2 }).init().expect("EAL starts");
    assert!(free_pages() <= before - PAGES / 2, "the EAL has taken them");
    let config = MempoolConfig { name: "huge", ..Default::default() };
    let pool = Mempool::new(&eal, &config).expect("a mempool");
    let id = eal.port_by_name("net_null0").expect("it exists");
    let mut port = Port::configure(&eal, id, &PortConfig::default(), std::slice::from_ref(&pool))
        .expect("configured");
    let (mut rx, mut tx) = port.start().expect("started");
    let mut burst = Burst::<32>::new();
    for _ in 0..1000 {
        assert_eq!(rx[0].receive(&mut burst), 32);
        assert_eq!(tx[0].send(&mut burst), 32);
    }
    assert_eq!(pool.in_use(), 0);

    // The cleanup leaves the memory mapped, as mbufs that outlive everything demand.
    let mut mbuf = pool.alloc().expect("the pool is full");
    drop((rx, tx, port, pool, eal));
    mbuf.write(b"still there").expect("it fits");
    assert_eq!(mbuf.data(), b"still there");
    drop(mbuf);
}

//! What several tests need. Each test file is a process, since a process has one EAL.

use dpdk::{Eal, EalBuilder, LcoreId, Memory};

/// An EAL without hugepages, whose prefix no other process has.
pub(crate) fn eal(name: &str, megabytes: u32) -> EalBuilder {
    let prefix = format!("oh-test-{name}-{}", std::process::id());
    Eal::builder(prefix, Memory::NoHuge { megabytes }).main_lcore(LcoreId(9), [0])
}

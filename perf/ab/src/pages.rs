//! Memory for tables: huge pages to time with, ordinary ones to count instructions and compare bytes.

use anyhow::Context;
use dpdk::Eal;
use zerocopy::FromZeros;

/// Where tables lie.
#[derive(Debug, Clone, Copy)]
pub enum Pages<'a> {
    /// In DPDK's huge pages, as in otherhalfd.
    Huge(&'a Eal),
    /// Wherever the allocator has room: needs no root and no DPDK.
    Ordinary,
}

impl Pages<'_> {
    /// `count` zeroed values, never freed.
    ///
    /// # Errors
    /// Memory that is refused.
    pub fn zeroed<T: FromZeros + Send>(self, count: usize) -> anyhow::Result<&'static mut [T]> {
        let megabytes = (count * size_of::<T>()) >> 20;
        match self {
            Self::Huge(eal) => eal
                .zeroed(count)
                .with_context(|| format!("no {megabytes} MB in one piece are left in huge pages")),
            Self::Ordinary => {
                let memory = T::new_vec_zeroed(count)
                    .ok()
                    .with_context(|| format!("no memory for a table of {megabytes} MB"))?;
                Ok(memory.leak())
            }
        }
    }
}

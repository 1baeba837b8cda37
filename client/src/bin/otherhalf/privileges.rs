//! What the program may do, once it has what it needs.

use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

/// Gives all capabilities up, for good: raw sockets stay open without them. Threads that are started later have none either; so this
/// comes before any.
///
/// That it fails is no reason not to trace: the program goes on as powerful as it was started.
pub(crate) fn drop_all() {
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    if let Err(error) = set_capabilities(None, none) {
        tracing::warn!("capabilities stay: {error}");
    }
}

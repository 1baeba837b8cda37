//! Bindings to the installed DPDK, with a C shim for its inline functions.

//! otherhalfd: a reverse traceroute responder on DPDK.

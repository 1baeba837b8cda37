//! A small safe layer over DPDK: EAL, ports, queues, mempools, mbufs, lcores.

//! The lock-free table of probes that wait for their answer.

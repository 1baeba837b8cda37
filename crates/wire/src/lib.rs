//! Packet formats of reverse traceroute: checked parsing and emission without allocation.

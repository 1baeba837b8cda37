//! The packet's way through a reverse traceroute responder, as pure functions on bursts of frames.

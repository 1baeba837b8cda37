//! otherhalf: traceroute in both directions.

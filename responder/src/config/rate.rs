//! `[rate]`: how much may be caused to be sent, and to whom.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use otherhalf_engine::policy::{Allowances, RateLimit};
use otherhalf_policy::rates::Unkept;
use otherhalf_policy::{Limits, Rates};
use serde::{Deserialize, Serialize};

/// How many probes requests may cause, and how much is answered besides requests.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rate {
    /// Whether requests are limited.
    pub enabled: bool,
    /// Only count what is beyond the limits, and serve it.
    pub dry_run: bool,
    /// The time over which a rate is kept, in milliseconds: so much of it may be used at once.
    pub burst_ms: u64,
    /// Of so many requests beyond a limit, one is served even so. 0: none.
    pub leak: u32,
    /// Lines of the memory that buckets lie in, 64 bytes each.
    pub lines: usize,
    /// Probes a second to IPv4 addresses.
    pub ipv4: RateV4,
    /// Probes a second to IPv6 addresses.
    pub ipv6: RateV6,
    /// Answers to closed ports, a second and worker.
    pub closed: u32,
    /// Replies to pings, a second and worker.
    pub pings: u32,
    /// Answers to neighbours' questions, a second and worker.
    pub neighbours: u32,
}

impl Default for Rate {
    fn default() -> Self {
        let Allowances { closed, pings, neighbours } = Allowances::default();
        Self {
            enabled: true,
            dry_run: false,
            burst_ms: 2000,
            leak: 50,
            lines: 1 << 16,
            ipv4: RateV4::default(),
            ipv6: RateV6::default(),
            closed,
            pings,
            neighbours,
        }
    }
}

/// Probes a second.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateV4 {
    /// To one address.
    pub address: u32,
    /// To all of a /24.
    pub prefix_24: u32,
    /// To all of a /16.
    pub prefix_16: u32,
    /// TCP probes to all of a /24.
    pub syn: u32,
}

impl Default for RateV4 {
    fn default() -> Self {
        Self { address: 500, prefix_24: 2000, prefix_16: 32_000, syn: 500 }
    }
}

/// Probes a second.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateV6 {
    /// To one address.
    pub address: u32,
    /// To all of a /64.
    pub prefix_64: u32,
    /// To all of a /48.
    pub prefix_48: u32,
    /// To all of a /32.
    pub prefix_32: u32,
    /// TCP probes to all of a /48.
    pub syn: u32,
}

impl Default for RateV6 {
    fn default() -> Self {
        Self { address: 500, prefix_64: 1000, prefix_48: 4000, prefix_32: 64_000, syn: 500 }
    }
}

impl Rate {
    /// The limits, if there are any.
    pub(super) fn limit(&self) -> Result<Option<RateLimit>, Unkept> {
        if !self.enabled {
            return Ok(None);
        }
        let RateV4 { address, prefix_24, prefix_16, syn } = self.ipv4;
        let v4 = Limits { address, narrow: [prefix_24, prefix_24], wide: prefix_16, syn };
        let RateV6 { address, prefix_64, prefix_48, prefix_32, syn } = self.ipv6;
        let v6 = Limits { address, narrow: [prefix_64, prefix_48], wide: prefix_32, syn };
        let rates = Rates::new(Duration::from_millis(self.burst_ms), &v4, &v6)?;
        let leak_per_second = self.ipv4.address.max(self.ipv6.address);
        Ok(Some(RateLimit { rates, leak: self.leak, leak_per_second, dry_run: self.dry_run }))
    }

    /// What is answered besides requests.
    pub(super) const fn allowances(&self) -> Allowances {
        let Self { closed, pings, neighbours, .. } = *self;
        Allowances { closed, pings, neighbours }
    }

    /// The rates, by their keys.
    pub(super) const fn each(&self) -> [(&'static str, u32); 9] {
        let (v4, v6) = (&self.ipv4, &self.ipv6);
        [
            ("rate.ipv4.address", v4.address),
            ("rate.ipv4.prefix_24", v4.prefix_24),
            ("rate.ipv4.prefix_16", v4.prefix_16),
            ("rate.ipv4.syn", v4.syn),
            ("rate.ipv6.address", v6.address),
            ("rate.ipv6.prefix_64", v6.prefix_64),
            ("rate.ipv6.prefix_48", v6.prefix_48),
            ("rate.ipv6.prefix_32", v6.prefix_32),
            ("rate.ipv6.syn", v6.syn),
        ]
    }

    /// What limits requests from `address`, with the keys.
    pub(crate) fn explain(&self, address: IpAddr) -> String {
        if !self.enabled {
            return "as many as are asked for: rate.enabled = false".into();
        }
        let (v4, v6) = (&self.ipv4, &self.ipv6);
        let (version, limits): (u8, &[(&str, u8, u32)]) = match address {
            IpAddr::V4(_) => {
                let wide = ("prefix_16", 16, v4.prefix_16);
                let (host, net) = (("address", 32, v4.address), ("prefix_24", 24, v4.prefix_24));
                (4, &[host, net, wide, ("syn", 24, v4.syn)])
            }
            IpAddr::V6(_) => {
                let (host, net) = (("address", 128, v6.address), ("prefix_64", 64, v6.prefix_64));
                let site = ("prefix_48", 48, v6.prefix_48);
                (6, &[host, net, site, ("prefix_32", 32, v6.prefix_32), ("syn", 48, v6.syn)])
            }
        };
        let each = limits.iter().map(|(key, len, rate)| {
            let net = IpNet::new(address, *len).map_or(address.into(), |net| net.trunc());
            format!("{rate} to {net} (rate.ipv{version}.{key})")
        });
        let all = each.collect::<Vec<_>>().join(", ");
        let beyond = if self.dry_run {
            "rate.dry_run = true: beyond them it is served, and counted".into()
        } else if self.leak == 0 {
            "beyond them it is dropped (rate.leak = 0)".into()
        } else {
            let leak = self.leak;
            format!("beyond them it is dropped, but for one in {leak}, of TCP none (rate.leak)")
        };
        format!("probes a second, by TCP alone the last: {all}; {beyond}")
    }
}

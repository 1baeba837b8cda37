//! The section `[requests]`: which requests are answered.

use std::sync::Arc;

use ipnet::IpNet;
use otherhalf_engine::{Bogons, LeastRequest};
use otherhalf_policy::Prefixes;
use serde::{Deserialize, Serialize};

use super::{Invalid, Problem};

/// Which requests are answered.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Requests {
    /// What becomes of requests from addresses that nobody on the Internet has.
    pub bogons: BogonSources,
    /// Whether requests must come in by the interface that their source is routed to.
    pub strict_source: bool,
    /// Octets of probe and response, for each octet of a request, IP headers included.
    pub max_amplification: f64,
    /// Whose requests may be smaller than that.
    pub unpadded: Vec<IpNet>,
}

/// What becomes of requests from addresses that nobody on the Internet has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BogonSources {
    /// Dropped where the address asked is itself one of the Internet.
    #[default]
    Public,
    /// Dropped.
    Drop,
    /// Answered.
    Allow,
}

impl Default for Requests {
    fn default() -> Self {
        let (bogons, strict_source, unpadded) = Default::default();
        let max_amplification = f64::from(LeastRequest::DEFAULT_PERCENT) / 100.0;
        Self { bogons, strict_source, max_amplification, unpadded }
    }
}

impl Requests {
    /// All that is wrong with them.
    pub(super) fn mistakes(&self) -> Vec<Invalid> {
        let mut invalid = Vec::new();
        if self.percent().is_none() {
            let problem = Problem::Amplification(self.max_amplification);
            invalid.push(Invalid::new("requests.max_amplification", problem));
        }
        for (place, prefix) in self.unpadded.iter().enumerate() {
            let (to, network) = (*prefix, prefix.trunc());
            if to != network {
                let key = format!("requests.unpadded[{place}]");
                invalid.push(Invalid::new(key, Problem::HostBits { to, network }));
            }
        }
        invalid
    }

    /// The key `name` with its value, and whether it has that unless a file says otherwise.
    pub(crate) fn said(&self, name: &str) -> String {
        let value = |requests: &Self| toml::Table::try_from(requests).ok()?.remove(name);
        let (own, default) = (value(self), value(&Self::default()));
        let is_default = if own == default { " (the default)" } else { "" };
        let own = own.map_or(String::new(), |own| format!(" = {own}"));
        format!("requests.{name}{own}{is_default}")
    }

    /// As the engine has it.
    pub(super) const fn bogons(&self) -> Bogons {
        match self.bogons {
            BogonSources::Public => Bogons::Public,
            BogonSources::Drop => Bogons::Drop,
            BogonSources::Allow => Bogons::Allow,
        }
    }

    /// As the engine has it; of a limit that is out of range, the default.
    pub(super) fn least_request(&self) -> LeastRequest {
        self.percent().map_or_else(LeastRequest::default, LeastRequest::at_most)
    }

    /// As the engine has them.
    pub(super) fn unpadded(&self) -> Arc<Prefixes> {
        Arc::new(Prefixes::new(0, self.unpadded.iter().map(|prefix| (*prefix, 1))))
    }

    /// The amplification in hundredths, if it is in range.
    fn percent(&self) -> Option<u32> {
        let hundredths = (self.max_amplification * 100.0).round();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        (10.0..=1000.0).contains(&hundredths).then_some(hundredths as u32)
    }
}

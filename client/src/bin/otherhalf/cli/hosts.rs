//! What to find out about the addresses of a trace.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Addresses")]
pub(crate) struct Hosts {
    /// Show the autonomous system of each address, asked of Team Cymru by DNS (private addresses are not)
    #[arg(long)]
    pub(crate) asn: bool,
    /// The same by a file, asking nobody: GeoLite2-ASN.mmdb or another of its form, or one of iptoasn.com
    /// (.tsv or .tsv.gz)
    #[arg(long, value_name = "FILE")]
    pub(crate) as_file: Option<PathBuf>,
    /// Show the Internet exchange whose network an address is in, by a file of lines such as
    /// 203.0.113.0/24,Example-IX
    #[arg(long, value_name = "FILE")]
    pub(crate) ixp_file: Option<PathBuf>,
    /// Find out which addresses are of one router: 8 datagrams to closed ports of each, 50 a second
    #[arg(long)]
    pub(crate) aliases: bool,
}

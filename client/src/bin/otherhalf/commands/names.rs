//! Who is asked about the addresses of a trace.

use otherhalf_client::names::{AsTable, Exchanges, Names, Sources, Systems};

use crate::cli;
use crate::failure::Failure;

/// What the arguments want to know; `numeric` for no names. Files are read here, so that a wrong one is said before anything is
/// sent.
pub(super) fn open(wanted: &cli::Hosts, numeric: bool) -> Result<Names, Failure> {
    let systems = match &wanted.as_file {
        Some(path) => Systems::Table(AsTable::open(path)?),
        None if wanted.asn => Systems::Cymru,
        None => Systems::Unwanted,
    };
    let exchanges = wanted.ixp_file.as_deref().map(Exchanges::open).transpose()?;
    Ok(Names::of(Sources { names: !numeric, systems, exchanges, ..Sources::default() }))
}

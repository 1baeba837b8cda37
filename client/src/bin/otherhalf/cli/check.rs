//! `check`.

use clap::Args;

use super::Common;

pub(super) const EXAMPLES: &str = "\
Examples:
  otherhalf check www.example.com
  otherhalf check -q 1 -w 1 --json 192.0.2.1   One quick attempt, for programs

Exit codes, of the address that stands first:
  0    the target speaks reverse traceroute
  1    sending or writing the output failed
  2    usage, an unknown name, or a file that cannot be read or written
  3    the target answers ping, but does not speak reverse traceroute: no responder runs there
  4    no answer, or ping alone is answered: the target or a filter drops requests
  5    no permission for raw sockets
  130  interrupted";

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Name or address
    pub(crate) target: String,
}

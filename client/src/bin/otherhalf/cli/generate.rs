//! `generate`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::Shell;

pub(super) const EXAMPLES: &str = "\
Examples:
  otherhalf generate config > ~/.config/otherhalf/config.toml
  otherhalf generate completions bash > ~/.local/share/bash-completion/completions/otherhalf
  otherhalf generate man ~/.local/share/man/man1
  otherhalf generate schema > trace.schema.json

Exit codes:
  0  written
  1  writing the output failed
  2  usage, or a folder that cannot be written to";

#[derive(Debug, Args)]
pub(crate) struct Generate {
    #[command(subcommand)]
    pub(crate) what: What,
}

#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// A configuration file with every key, its meaning and its default
    Config,
    /// Completions for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// The man pages, one for each command
    Man {
        /// The folder to write them to, which must exist
        folder: PathBuf,
    },
    /// The JSON Schema of what --json and --stream print
    Schema,
}

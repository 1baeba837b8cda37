//! A configuration file with every key, to begin with.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};

use super::{settable, variable, visit};

/// The file: every key in comments, with what it means, who knows it, its variable and its default.
pub(crate) fn template(command: &Command) -> String {
    let mut keys: BTreeMap<&str, (&Arg, Vec<&str>)> = BTreeMap::new();
    visit(command, &mut |user, arg| {
        if let Some(long) = settable(arg) {
            keys.entry(long).or_insert((arg, Vec::new())).1.push(user.get_name());
        }
    });
    let mut text = "\
# The configuration of otherhalf: $XDG_CONFIG_HOME/otherhalf/config.toml, or ~/.config/otherhalf/config.toml.
#
# A key is the long name of an option, and stands for it in every command that knows it; in a table
# named for a command, such as [reverse], it stands for it there alone. The command line decides over
# the environment, and that over this file. Take the # away from what you want to change.
"
    .to_owned();
    for (long, (arg, users)) in keys {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n# {}\n# Known to: {}. Variable: {}\n# {long} = {}\n",
            help.replace('\n', "\n# "),
            users.join(", "),
            variable(long),
            default(arg)
        );
    }
    text
}

/// The default as TOML has it; an empty text where there is none.
fn default(arg: &Arg) -> String {
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return "false".to_owned();
    }
    let word = match arg.get_default_values() {
        [value, ..] => value.to_string_lossy().into_owned(),
        [] => return "\"\"".to_owned(),
    };
    let is_bare = word.parse::<f64>().is_ok();
    if is_bare { word } else { format!("{word:?}") }
}

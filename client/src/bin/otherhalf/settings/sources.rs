//! Which source decides over which, also between options that exclude each other.
//!
//! What excludes what is read off `clap`'s own definitions. A setting falls if a stronger source sets something that it does not
//! go with; two of one source that do not go together are the user's mistake, which names the source.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, Id};

use super::{Error, Setting, refused, settable, variable, visit};
use crate::cli;

/// Who says it, the strongest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    /// A key of the file that is for all commands.
    File,
    /// A key in the table of the command.
    Table,
    Environment,
    CommandLine,
}

/// What an option is set to.
struct Given<'a> {
    arg: &'a Arg,
    source: Source,
    value: OsString,
}

/// All that is set for good.
pub(super) struct Sources<'a> {
    /// The whole program, nothing set.
    pub(super) program: &'a Command,
    pub(super) settings: &'a [Setting],
    pub(super) file: Option<&'a Path>,
    pub(super) environment: BTreeMap<String, OsString>,
}

/// What is in force for the command that runs.
#[derive(Default)]
pub(super) struct Outcome {
    /// The command.
    pub(super) command: Option<String>,
    /// Its options that a stronger source has put out of force.
    pub(super) fallen: BTreeSet<Id>,
    /// Whether it shall write JSON.
    pub(super) json: Option<super::Json>,
}

impl Sources<'_> {
    /// What comes of all sources together for the command that `matches` names.
    pub(super) fn weigh(&self, matches: &ArgMatches) -> Result<Outcome, Error> {
        let Some((name, matches)) = matches.subcommand() else { return Ok(Outcome::default()) };
        let Some(command) = self.program.find_subcommand(name) else {
            return Ok(Outcome::default());
        };
        let mut all: Vec<_> = command
            .get_arguments()
            .filter_map(|arg| {
                let typed =
                    matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
                if typed {
                    let value = matches.get_raw(arg.get_id().as_str());
                    let value = value.and_then(|mut values| values.next()).unwrap_or_default();
                    return Some(Given { arg, source: Source::CommandLine, value: value.into() });
                }
                self.given(command, Some(name), arg)
            })
            .collect();
        all.sort_by_key(|given| Reverse(given.source));
        let mut fallen = BTreeSet::new();
        let mut kept: Vec<Given> = Vec::new();
        for given in all {
            let id = given.arg.get_id();
            let excludes = |other: &&Given| excludes(command, given.arg, other.arg);
            let is_weak = given.source < Source::CommandLine;
            let outdone = kept.iter().any(|other| other.source > given.source && excludes(&other));
            let says_nothing = given.is_off() || cli::is_answered(name, id.as_str(), matches);
            if is_weak && (outdone || says_nothing) {
                fallen.insert(id.clone());
                continue;
            }
            if is_weak
                && let Some(other) =
                    kept.iter().filter(|other| other.source == given.source).find(excludes)
            {
                return Err(self.contradiction(name, other, &given));
            }
            kept.push(given);
        }
        Ok(Outcome { command: Some(name.to_owned()), fallen, json: json(&kept) })
    }

    /// What the environment or the file sets an option of `command` to, whose table is called `name`.
    fn given<'b>(&self, command: &Command, name: Option<&str>, arg: &'b Arg) -> Option<Given<'b>> {
        let long = settable(arg)?;
        if let Some(value) = self.environment.get(&variable(long))
            && self.is_for(command, arg, value)
        {
            return Some(Given { arg, source: Source::Environment, value: value.clone() });
        }
        let (setting, source) = self.setting(command, name, arg)?;
        Some(Given { arg, source, value: setting.value.clone().into() })
    }

    /// The key of the file that sets it.
    fn setting(
        &self,
        command: &Command,
        name: Option<&str>,
        arg: &Arg,
    ) -> Option<(&Setting, Source)> {
        let long = settable(arg)?;
        let of = |wanted: Option<&str>| {
            let is_it = |it: &&Setting| it.key == long && it.command.as_deref() == wanted;
            self.settings.iter().find(is_it)
        };
        let table = name.and_then(|name| of(Some(name))).map(|setting| (setting, Source::Table));
        table.or_else(|| {
            let setting = of(None)?;
            self.is_for(command, arg, &setting.value.clone().into())
                .then_some((setting, Source::File))
        })
    }

    /// Whether an option of `command` is meant by a `value` that stands for all options of that name: it takes it, or none does.
    fn is_for(&self, command: &Command, arg: &Arg, value: &OsString) -> bool {
        let (Some(long), Some(value)) = (settable(arg), value.to_str()) else { return true };
        if takes(command, arg, value) {
            return true;
        }
        let mut others = false;
        visit(self.program, &mut |user, other| {
            others |= settable(other) == Some(long) && takes(user, other, value);
        });
        !others
    }

    /// The option with what sets it as its default.
    pub(super) fn set(&self, command: &Command, name: Option<&str>, arg: Arg) -> Arg {
        let Some(long) = settable(&arg).map(str::to_owned) else { return arg };
        let variable = variable(&long);
        let setting = self.setting(command, name, &arg).map(|(setting, _)| setting.value.clone());
        let is_for = match self.environment.get(&variable) {
            Some(value) => self.is_for(command, &arg, value),
            None => true,
        };
        let arg = if is_for { arg.env(variable).hide_env(true) } else { arg };
        match setting {
            Some(value) => arg.default_value(std::ffi::OsStr::new(&value).to_owned()),
            None => arg,
        }
    }

    fn contradiction(&self, command: &str, one: &Given, other: &Given) -> Error {
        let [one, other_name] = [one, other].map(|given| {
            let long = given.arg.get_long().unwrap_or_default();
            if given.source == Source::Environment { variable(long) } else { long.to_owned() }
        });
        let source = match (other.source, self.file) {
            (Source::Environment, _) | (_, None) => "the environment".to_owned(),
            (Source::Table, Some(file)) => format!("{}, [{command}]", file.display()),
            (_, Some(file)) => file.display().to_string(),
        };
        Error::Contradiction { source_name: source, one, other: other_name }
    }
}

impl Given<'_> {
    /// Whether this takes a switch back.
    fn is_off(&self) -> bool {
        const OFF: [&str; 6] = ["n", "no", "f", "false", "off", "0"];
        matches!(self.arg.get_action(), ArgAction::SetTrue)
            && self.value.to_str().is_some_and(|value| OFF.contains(&value.to_lowercase().as_str()))
    }
}

/// Whether one of the two was defined to exclude the other.
fn excludes(command: &Command, one: &Arg, other: &Arg) -> bool {
    let names = |arg: &Arg, other: &Arg| {
        command.get_arg_conflicts_with(arg).iter().any(|arg| arg.get_id() == other.get_id())
    };
    names(one, other) || names(other, one)
}

/// Whether `arg` of `command` takes `value`.
fn takes(command: &Command, arg: &Arg, value: &str) -> bool {
    match (arg.get_action(), arg.get_long()) {
        (ArgAction::SetTrue, _) | (_, None) => true,
        (_, Some(long)) => refused(command, long, value).is_none(),
    }
}

/// The JSON that what is in force asks for.
fn json(kept: &[Given]) -> Option<super::Json> {
    kept.iter().find_map(|given| match given.arg.get_long()? {
        "stream" => Some(super::Json::Line),
        "json" => Some(super::Json::Document),
        "format" if given.value == "json" => Some(super::Json::Document),
        _ => None,
    })
}

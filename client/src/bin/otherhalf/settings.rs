//! What the user has set for good: the configuration file and the environment.
//!
//! Every long option of every command is a key of the file and a variable `OTHERHALF_…`. The command line decides over
//! the environment, that over the file, and that over the built-in defaults, which it replaces: so `--help` shows what is
//! in force, and each value is checked by the very parser of its option. `sources` says what becomes of options that exclude
//! each other.

mod error;
mod sources;
mod template;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::BoolishValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command, Id};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(crate) use error::Error;
pub(crate) use template::template;

/// Options that cannot be set for good.
const NEVER: [&str; 3] = ["help", "version", "config"];

use sources::{Outcome, Sources};

/// How a program that reads us wants what goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Json {
    /// As one document.
    Document,
    /// The same in a line.
    Line,
}

/// What comes of the command line and of all that is set for good.
pub(crate) struct Settled {
    /// The program with the environment and the configuration file of this user in force, as far as they do not contradict
    /// something stronger.
    pub(crate) command: Command,
    /// What is in force asks for this.
    pub(crate) json: Option<Json>,
    /// The configuration file that was read.
    pub(crate) file: Option<PathBuf>,
}

/// A key of the file that was found sound.
struct Setting {
    /// The command whose table it stands in; `None` for all that know it.
    command: Option<String>,
    key: String,
    value: String,
}

/// `command` with all in force that goes with `words`, a command line that begins with the program's name.
pub(crate) fn apply(command: &Command, words: &[OsString]) -> Result<Settled, Error> {
    let words_of_options = words.iter().skip(1).cloned();
    let named = asked(words_of_options).or_else(|| std::env::var_os("OTHERHALF_CONFIG"));
    let file = match named.map(PathBuf::from) {
        Some(file) => Some((read(&file)?, file)),
        None => match folder().map(|folder| folder.join("config.toml")) {
            Some(file) if file.exists() => Some((read(&file)?, file)),
            _ => None,
        },
    };
    let settings = match &file {
        Some((text, file)) => parse(command, text, file)?,
        None => Vec::new(),
    };
    let file = file.map(|(_, file)| file);
    let sources = Sources {
        program: command,
        settings: &settings,
        file: file.as_deref(),
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.starts_with("OTHERHALF_"))
            .collect(),
    };
    let (command, json) = settle(&sources, words)?;
    Ok(Settled { command, json, file })
}

/// The program with `sources` in force for `words`, and the JSON that is asked for.
fn settle(sources: &Sources, words: &[OsString]) -> Result<(Command, Option<Json>), Error> {
    // What is wrong with the command line is said when it is parsed for good. Who asks for help runs no command.
    let typed = sources.program.clone().ignore_errors(true).try_get_matches_from(words);
    let outcome = match typed {
        Ok(matches) => sources.weigh(&matches)?,
        Err(_) => Outcome::default(),
    };
    Ok((with(sources.program.clone(), None, sources, &outcome), outcome.json))
}

/// The folder of this user's files: `$XDG_CONFIG_HOME/otherhalf`, or `~/.config/otherhalf`.
pub(crate) fn folder() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|at| at.is_absolute());
    absolute("XDG_CONFIG_HOME")
        .or_else(|| Some(std::env::home_dir()?.join(".config")))
        .map(|folder| folder.join("otherhalf"))
}

/// The variable of an option.
fn variable(long: &str) -> String {
    format!("OTHERHALF_{}", long.to_uppercase().replace('-', "_"))
}

/// Variables that are slips for one of ours, each with the one that may be meant.
pub(crate) fn misspelt_variables(command: &Command) -> Vec<(String, String)> {
    let mut known = BTreeSet::from([variable("config")]);
    visit(command, &mut |_, arg| known.extend(settable(arg).map(variable)));
    std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("OTHERHALF_") && !known.contains(name))
        .filter_map(|name| {
            let meant = error::nearest(&name, known.iter().map(String::as_str))?.to_owned();
            Some((name, meant))
        })
        .collect()
}

/// The file that the command line names.
pub(crate) fn asked_file() -> Option<OsString> {
    asked(std::env::args_os().skip(1))
}

/// The value of `--config`, which decides how the rest is read.
fn asked(mut arguments: impl Iterator<Item = OsString>) -> Option<OsString> {
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            return None;
        }
        if argument == "--config" {
            return arguments.next();
        }
        if let Some(value) = argument.to_str().and_then(|text| text.strip_prefix("--config=")) {
            return Some(value.into());
        }
    }
    None
}

fn read(file: &Path) -> Result<String, Error> {
    std::fs::read_to_string(file).map_err(|source| Error::Read { file: file.to_owned(), source })
}

/// The long name of an option that can be set for good.
fn settable(arg: &Arg) -> Option<&str> {
    arg.get_long().filter(|long| !NEVER.contains(long) && !arg.is_hide_set())
}

/// Calls `see` with each option of `command` and of the commands below it.
fn visit<'a>(command: &'a Command, see: &mut impl FnMut(&'a Command, &'a Arg)) {
    for arg in command.get_arguments() {
        see(command, arg);
    }
    for below in command.get_subcommands() {
        visit(below, see);
    }
}

/// Checks each key of `text`.
fn parse(command: &Command, text: &str, file: &Path) -> Result<Vec<Setting>, Error> {
    let table = DeTable::parse(text)
        .map_err(|source| Error::Syntax { file: file.to_owned(), source: Box::new(source) })?;
    let mut settings = Vec::new();
    for (key, value) in table.get_ref() {
        let name = key.get_ref().as_ref();
        if let (DeValue::Table(table), Some(below)) =
            (value.get_ref(), command.find_subcommand(name))
        {
            for (key, value) in table {
                let value = checked(below, key, value, text, file)?;
                let (command, key) = (Some(name.to_owned()), key.get_ref().to_string());
                settings.push(Setting { command, key, value });
            }
        } else {
            let value = checked(command, key, value, text, file)?;
            settings.push(Setting { command: None, key: name.to_owned(), value });
        }
    }
    Ok(settings)
}

/// The value of `key` as a word of the command line, if `command` or one below has such an option and takes it.
fn checked(
    command: &Command,
    key: &Spanned<std::borrow::Cow<'_, str>>,
    value: &Spanned<DeValue<'_>>,
    text: &str,
    file: &Path,
) -> Result<String, Error> {
    let line = |at: usize| text.get(..at).map_or(0, |before| before.matches('\n').count()) + 1;
    let name = key.get_ref().as_ref();
    let mut users = Vec::new();
    visit(command, &mut |user, arg| {
        if settable(arg) == Some(name) {
            users.push((user, arg));
        }
    });
    if users.is_empty() {
        return Err(Error::key(command, file, line(key.span().start), name));
    }
    let wrong = |reason: String| Error::Value {
        file: file.to_owned(),
        line: line(value.span().start),
        key: name.to_owned(),
        reason,
    };
    let word = match value.get_ref() {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(yes) => yes.to_string(),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            return Err(wrong("it takes a text, a number, true or false".to_owned()));
        }
    };
    // One key may mean options of several commands, each with values of its own.
    let mut reasons = Vec::new();
    let many = users.len();
    for (user, arg) in users {
        let is_switch = matches!(arg.get_action(), ArgAction::SetTrue);
        if is_switch != matches!(value.get_ref(), DeValue::Boolean(_)) {
            let takes = if is_switch { "it takes true or false" } else { "it takes a value" };
            return Err(wrong(takes.to_owned()));
        }
        if !is_switch && let Some(reason) = refused(user, name, &word) {
            reasons.push(reason);
        }
    }
    let is_taken = reasons.len() < many;
    match reasons.into_iter().next() {
        Some(reason) if !is_taken => Err(wrong(reason)),
        _ => Ok(word),
    }
}

/// What the parser of the option says against a value, in one line.
fn refused(command: &Command, long: &str, value: &str) -> Option<String> {
    let arguments = [command.get_name(), &format!("--{long}={value}")].map(str::to_owned);
    let error = command.clone().try_get_matches_from(arguments).err()?;
    // That the rest of a command line is missing is no fault of the value.
    matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue).then(|| {
        let text = error.to_string();
        text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })
}

/// `command`, called `name`, and those below it with their options set.
fn with(command: Command, name: Option<&str>, sources: &Sources, outcome: &Outcome) -> Command {
    let below: Vec<_> =
        command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let is_the_one = name.is_some() && name == outcome.command.as_deref();
    let fallen = |id: &Id| is_the_one && outcome.fallen.contains(id);
    let unset = command.clone();
    let command = command.mut_args(|arg| {
        let arg = match arg.get_action() {
            ArgAction::SetTrue if settable(&arg).is_some() => {
                arg.value_parser(BoolishValueParser::new())
            }
            _ => arg,
        };
        if fallen(arg.get_id()) { arg } else { sources.set(&unset, name, arg) }
    });
    below.into_iter().fold(command, |command, below| {
        // The tables are those of the first level.
        let name = name.unwrap_or(&below).to_owned();
        command.mut_subcommand(below, |command| with(command, Some(&name), sources, outcome))
    })
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::cli::definition;

    fn parsed_for(text: &str, words: &[&str]) -> Result<Command, Error> {
        let program = definition();
        let file = Path::new("config.toml");
        let settings = parse(&program, text, file)?;
        let sources = Sources {
            program: &program,
            settings: &settings,
            file: Some(file),
            environment: std::collections::BTreeMap::new(),
        };
        let words: Vec<_> = words.iter().map(OsString::from).collect();
        Ok(settle(&sources, &words)?.0)
    }

    fn parsed(text: &str) -> Result<Command, Error> {
        parsed_for(text, &["otherhalf", "--help"])
    }

    fn queries(text: &str, arguments: &[&str]) -> String {
        let matches = parsed_for(text, arguments).unwrap().get_matches_from(arguments);
        let (_, matches) = matches.subcommand().unwrap();
        matches.get_one::<otherhalf_client::Queries>("queries").unwrap().to_string()
    }

    #[test]
    fn the_command_line_decides_over_the_file() {
        let text = "queries = 5\nnumeric = true\n[reverse]\nqueries = 7\n";
        assert_eq!(queries(text, &["otherhalf", "forward", "192.0.2.1"]), "5");
        assert_eq!(queries(text, &["otherhalf", "reverse", "192.0.2.1"]), "7");
        assert_eq!(queries(text, &["otherhalf", "reverse", "-q", "2", "192.0.2.1"]), "2");
        assert_eq!(queries("", &["otherhalf", "reverse", "192.0.2.1"]), "3");
    }

    #[test]
    fn every_mistake_is_named_with_its_line() {
        let cases = [
            (
                "queries = 3\nquerys = 5",
                "config.toml:2: no option is called querys: queries, perhaps?",
            ),
            ("queries = 11", "config.toml:1: queries: invalid value '11'"),
            (
                "\n\nqueries = [3]",
                "config.toml:3: queries: it takes a text, a number, true or false",
            ),
            ("numeric = 1", "config.toml:1: numeric: it takes true or false"),
            ("[reverse]\nwait = true", "config.toml:2: wait: it takes a value"),
            ("[check]\nflow = 5", "config.toml:2: no option of check is called flow"),
            ("help = true", "config.toml:1: no option is called help"),
            ("queries = ", "config.toml: TOML parse error"),
        ];
        for (text, words) in cases {
            let error = parsed(text).err().unwrap_or_else(|| panic!("{text} passes")).to_string();
            assert!(error.starts_with(words), "{error}");
        }
    }

    #[test]
    fn which_file() {
        let asked = |words: &[&str]| asked(words.iter().map(OsString::from));
        assert_eq!(asked(&["forward", "--config", "a", "b"]), Some("a".into()));
        assert_eq!(asked(&["forward", "--config=a"]), Some("a".into()));
        assert_eq!(asked(&["forward", "--", "--config=a"]), None);
    }

    #[test]
    fn the_template_sets_what_holds_anyway() {
        let text = template(&definition());
        assert!(parsed(&text).is_ok(), "{text}");
        assert!(text.contains("\n# queries = 3\n"), "{text}");
        // Each line that has a default is sound when it is put in force.
        for line in text.lines().filter(|line| !line.ends_with("= \"\"")) {
            if let Some(setting) = line.strip_prefix("# ").filter(|line| line.contains(" = ")) {
                assert!(parsed(setting).is_ok(), "{setting}");
            }
        }
    }
}

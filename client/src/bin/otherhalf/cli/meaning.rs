//! Where an option means something, and where another one says the same.

use clap::parser::ValueSource;
use clap::{ArgMatches, Command as Definition};

use super::convert::format_of;
use super::saved::report_format_of;
use super::trace::protocol;

const TRACES: [&str; 3] = ["forward", "reverse", "two-way"];

/// Options that a command does not have for itself, by their ids, with what to say to whoever types them.
const IDLE: [(&str, &str, &str); 5] = [
    ("forward", "via", VIA),
    ("two-way", "via", VIA),
    ("reverse", "size", "--size is for forward: a responder decides how long its probes are"),
    (
        "reverse",
        "by_destination",
        "--by-destination is for forward: a responder probes towards one target",
    ),
    ("reverse", "mtu", "--mtu is for forward: a responder sends no probes of other sizes"),
];
const VIA: &str = "--via is for reverse: otherhalf reverse --via RESPONDER TARGET";

/// Options of traces that mean nothing without a switch, both by their ids.
const PARTS: [(&str, &str); 7] = [
    ("interval", "live"),
    ("cycles", "live"),
    ("flows", "live"),
    ("confidence", "wanted"),
    ("max_flows", "wanted"),
    ("retry", "wanted"),
    ("by_destination", "wanted"),
];

/// Options of `endpoints` that say how to ask, which `endpoints list` does not.
const ASKING: [&str; 4] = ["queries", "wait", "source", "interface"];

/// `program`, whose commands show no option that means nothing to them. Who types one all the same is told why.
pub(super) fn without_idle(program: Definition) -> Definition {
    IDLE.iter().fold(program, |program, (of, id, _)| {
        program.mut_subcommand(of, |command| command.mut_arg(id, |arg| arg.hide(true)))
    })
}

/// Whether the command line, by something else than the option `id` of `command`, says what a setting of it would say.
pub(crate) fn is_answered(command: &str, id: &str, matches: &ArgMatches) -> bool {
    match id {
        "nearest" if TRACES.contains(&command) => {
            let words = matches.get_many::<String>("what").into_iter().flatten();
            words.into_iter().any(|word| protocol(word).is_none())
        }
        "format" if command == "convert" || command == "report" => {
            let file = matches.get_one::<std::path::PathBuf>("output");
            file.is_some_and(|file| match command {
                "convert" => format_of(file).is_some(),
                _ => report_format_of(file).is_some(),
            })
        }
        _ => false,
    }
}

/// What to say if an option was typed that does nothing. What is set for good does nothing silently, as a default does.
pub(crate) fn without_effect(program: &Definition, matches: &ArgMatches) -> Option<String> {
    let (name, matches) = matches.subcommand()?;
    let command = program.find_subcommand(name)?;
    let is_typed = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let shown = |id: &str| {
        let arg = command.get_arguments().find(|arg| arg.get_id() == id);
        arg.and_then(|arg| arg.get_long()).map(|long| format!("--{long}")).unwrap_or_default()
    };
    if name == "endpoints" {
        let what = matches.get_one::<super::EndpointsWhat>("what");
        if what != Some(&super::EndpointsWhat::List) {
            return is_typed("toml")
                .then(|| "--toml is for list: otherhalf endpoints list --toml".to_owned());
        }
        let idle = ASKING.into_iter().find(|id| is_typed(id)).map(shown)?;
        return Some(format!("{idle} is for check and nearest: the list asks nobody"));
    }
    if !TRACES.contains(&name) {
        return None;
    }
    let mut idle = IDLE.iter().filter(|(of, id, _)| *of == name && is_typed(id));
    if let Some((.., sentence)) = idle.next() {
        return Some((*sentence).to_owned());
    }
    let (part, switch) =
        PARTS.iter().find(|(part, switch)| is_typed(part) && !matches.get_flag(switch))?;
    let [part, switch] = [part, switch].map(|id| shown(id));
    Some(format!("{part} means nothing without {switch}: add {switch}, or leave {part} out"))
}

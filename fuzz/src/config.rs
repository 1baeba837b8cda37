//! The responder's configuration: whatever is in the file, it is taken whole or refused with all that is wrong.

use std::path::Path;

use otherhalf_responder::config::{Config, Error, print};

/// Reads `octets` as such a file.
///
/// # Panics
///
/// If a refusal says nothing or points out of the file, or what was taken cannot be put in force, or is another when it is printed and read
/// again.
pub fn run(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    match Config::parse(text, Path::new("otherhalfd.toml")) {
        Ok(config) => {
            drop(config.policy().expect("a checked configuration has a policy"));
            let printed = print::print(&config).expect("what was read can be written");
            let mut again = Config::parse(&printed, Path::new("printed.toml"))
                .unwrap_or_else(|error| panic!("{error}\n{printed}"));
            again.pending.secret = config.pending.secret;
            assert_eq!(again, config, "{printed}");
        }
        Err(Error::Wrong { mistakes, report, .. }) => {
            assert!(!mistakes.is_empty() && !report.is_empty());
            let lines = text.split('\n').count();
            let within = |line: usize| (1..=lines).contains(&line);
            assert!(mistakes.iter().all(|mistake| within(mistake.line)), "{report}");
        }
        Err(error @ Error::Read { .. }) => panic!("nothing was to be read: {error}"),
    }
}

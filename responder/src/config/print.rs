//! The configuration as it is in effect, as a file.

use std::fmt::Write;

use toml::{Table, Value};

use super::Config;
use super::keys::{self, Absent, Section};

/// Every key of `config` with its value. Read again it is the same, but for the secret, which is left out.
///
/// # Errors
///
/// If a value can't be written as TOML, which no configuration that was read has.
pub fn print(config: &Config) -> Result<String, toml::ser::Error> {
    let table = Table::try_from(config)?;
    let mut printer = Printer { text: String::new(), secret: config.pending.secret.is_some() };
    printer.within("", &table);
    Ok(printer.text)
}

struct Printer {
    text: String,
    /// Whether one is set.
    secret: bool,
}

impl Printer {
    /// The sections within the section `path`.
    fn within(&mut self, path: &str, table: &Table) {
        let within = keys::sections().iter().filter_map(|section| {
            let (parent, name) = section.path.rsplit_once('.').unwrap_or(("", &section.path));
            (parent == path).then_some((section, name))
        });
        for (section, name) in within {
            match table.get(name) {
                Some(Value::Table(table)) => self.section(section, table),
                Some(Value::Array(tables)) => {
                    for table in tables.iter().filter_map(Value::as_table) {
                        self.section(section, table);
                    }
                }
                _ => {}
            }
        }
    }

    fn section(&mut self, section: &Section, table: &Table) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "\n{}", section.header());
        for key in &section.keys {
            let name = key.name();
            let _ = match (table.get(name), &key.absent) {
                (Some(value), _) => writeln!(self.text, "{name} = {value}"),
                (None, _) if name == "secret" && self.secret => {
                    writeln!(self.text, "# secret: it is set, and not shown")
                }
                (None, Absent::Words(words)) => writeln!(self.text, "# {name}: {words}"),
                (None, _) => Ok(()),
            };
        }
        self.within(&section.path, table);
    }
}

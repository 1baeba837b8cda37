//! From a file to a configuration, or to all that is wrong with it.

use std::path::Path;

use toml::de::DeTable;

use super::machine::Machine;
use super::{Config, Error, Mistake, document, error, file, mistake, read};

/// What a file says, and what is wrong with it.
#[derive(Debug)]
pub struct Checked {
    /// What of it could be read; the rest is as if it were left out.
    pub config: Config,
    /// All that is wrong.
    pub wrong: Option<Error>,
}

impl Checked {
    /// The configuration, if nothing is wrong with it.
    pub fn good(self) -> Result<Config, Error> {
        self.wrong.map_or(Ok(self.config), Err)
    }
}

impl Config {
    /// Reads and checks the file at `path`.
    pub fn load(path: &Path) -> Result<Self, Error> {
        Self::load_for(path, None)?.good()
    }

    /// The same, but with what could be read of a file that is wrong, and whether `machine` has what it names.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] alone.
    pub fn load_for(path: &Path, machine: Option<&Machine>) -> Result<Checked, Error> {
        let text = file::read(path, "TOML file", file::LARGEST)
            .map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Ok(Self::examine(&text, path, machine))
    }

    /// Checks what the file at `path` says; the error has all that is wrong.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        Self::examine(text, path, None).good()
    }

    /// All that can be told of `text` at once: what could not be read hides neither what does not fit together nor what `machine` lacks, but for
    /// what would follow from it.
    fn examine(text: &str, path: &Path, machine: Option<&Machine>) -> Checked {
        let (document, errors) = DeTable::parse_recoverable(text);
        let (mut mistakes, readable) = error::unreadable(&errors, text);
        let root = document.get_ref();
        for mistake in mistakes.iter_mut().take(mistake::MOST) {
            mistake.meant = document::at_line_of(root, text, mistake);
        }
        let whole = readable > text.len() && mistakes.iter().all(|mistake| mistake.meant.is_some());
        let read::Reading { mut config, mistakes: unread } = read::read(root);
        config.find_lists_beside(path);
        let readable_too = |mistake: &Mistake| {
            mistake.is_before(readable) && !mistakes.iter().any(|known| known.is_beside(mistake))
        };
        let unread: Vec<Mistake> = unread.into_iter().filter(readable_too).collect();
        mistakes.extend(unread);
        if mistakes.len() < mistake::MOST {
            let mut unfit = config.check_besides(&mistakes);
            let lacks = machine.into_iter().flat_map(|machine| machine.lacks(&config));
            let follows = |key: &str| mistakes.iter().any(|mistake| mistake.concerns(key));
            unfit.extend(lacks.filter(|invalid| !follows(&invalid.key)));
            // What parts of a file are to each other is not known where some are hidden, and nobody knows which.
            unfit.retain(|invalid| whole || invalid.problem.is_of_one_value());
            let unfit = unfit.into_iter().map(|invalid| invalid.at(root));
            mistakes
                .extend(unfit.filter(|mistake| mistake.is_before(readable)).collect::<Vec<_>>());
        }
        if mistakes.is_empty() {
            return Checked { config, wrong: None };
        }
        mistake::locate(&mut mistakes, text);
        let report = mistake::render(&mistakes, path, text);
        Checked { config, wrong: Some(Error::Wrong { path: path.to_owned(), mistakes, report }) }
    }
}

//! A directory of public responders: those that are known to everybody, and the user's own.
//!
//! Two forms of files are read, told by content: [ours](TEMPLATE) in TOML, and the one in which the reference implementation
//! keeps its list (`address;asnumber;email_contact`, one a line, the first line the header).

mod form;
mod error;
mod survey;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use error::Error;
pub use survey::{Found, Options, Standing, ask, nearest, survey};

/// The directory that comes with the program, which also says in comments what the form is.
pub const TEMPLATE: &str = include_str!("shipped.toml");

/// A responder. All of it is what a file says: not to be trusted, see [`crate::printable`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Its name or address.
    pub address: String,
    /// The number of the autonomous system that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// Whom to write to about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Responders, each address once, in the order of their files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    endpoints: Vec<Endpoint>,
}

impl Directory {
    /// The responders that come with the program.
    ///
    /// # Panics
    /// Never: a test reads them.
    #[must_use]
    pub fn shipped() -> Self {
        let file = form::parse(TEMPLATE, Path::new("shipped.toml"));
        Self { endpoints: file.expect("our own file is of our form").endpoints }
    }

    /// The responders in the file at `path` alone.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut directory = Self::default();
        directory.merge(form::read(path)?.endpoints);
        Ok(directory)
    }

    /// The responders alone that the file at `path`, which says `text`, has.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let mut directory = Self::default();
        directory.merge(form::parse(text, path)?.endpoints);
        Ok(directory)
    }

    /// The shipped ones with those of the user's file at `path`, which may leave the shipped ones out; the
    /// shipped ones alone if there is no such file.
    pub fn of_user(path: Option<&Path>) -> Result<Self, Error> {
        let file = match path.map(form::read) {
            None => return Ok(Self::shipped()),
            Some(Err(error)) if error.is_missing() => return Ok(Self::shipped()),
            Some(file) => file?,
        };
        let mut directory = if file.shipped { Self::shipped() } else { Self::default() };
        directory.merge(file.endpoints);
        Ok(directory)
    }

    /// All of them.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// As a file of [our form](TEMPLATE).
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        #[derive(Serialize)]
        struct File<'a> {
            endpoint: &'a [Endpoint],
        }
        // The comments stand before the first table.
        let comments = TEMPLATE.split("[[endpoint]]\naddress").next().unwrap_or_default();
        Ok(comments.to_owned() + &toml::to_string(&File { endpoint: &self.endpoints })?)
    }

    /// Adds `endpoints`; what is said of an address later counts.
    fn merge(&mut self, endpoints: Vec<Endpoint>) {
        for endpoint in endpoints {
            let same =
                |known: &&mut Endpoint| known.address.eq_ignore_ascii_case(&endpoint.address);
            match self.endpoints.iter_mut().find(same) {
                Some(known) => *known = endpoint,
                None => self.endpoints.push(endpoint),
            }
        }
    }
}

//! Why there is no result.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SCHEMA_VERSION;

/// What `--json` prints instead of a result, so that a program always gets a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Of the program that wrote it.
    pub version: String,
    /// How the program ended.
    pub exit_code: u8,
    /// What went wrong, and what to do next.
    pub error: String,
}

impl Failure {
    /// That `error` kept the program from its work.
    #[must_use]
    pub fn new(version: &str, exit_code: u8, error: String) -> Self {
        Self { schema_version: SCHEMA_VERSION, version: version.to_owned(), exit_code, error }
    }
}

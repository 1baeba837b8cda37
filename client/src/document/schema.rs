//! The JSON Schema of all that is printed as native JSON: derived from the types, so it cannot say something else.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use super::{CheckDocument, Document, EndpointsDocument, Event};

/// Whatever is printed as native JSON.
#[derive(JsonSchema)]
#[schemars(
    untagged,
    title = "otherhalf",
    description = "What otherhalf prints with --json (a trace, a check or a directory of responders) and, a line each, with --stream (an event). \
                   Fields are only added under one schema_version: ignore those that you do not know."
)]
#[expect(dead_code, reason = "it is only ever described")]
enum Native {
    Trace(Box<Document>),
    Check(Box<CheckDocument>),
    Endpoints(Box<EndpointsDocument>),
    Event(Box<Event>),
}

/// The schema, as `otherhalf generate schema` prints it: of a [`Document`], a [`CheckDocument`], an [`EndpointsDocument`] or an [`Event`].
#[must_use]
pub fn schema() -> Value {
    let mut schema =
        SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Native>();
    RecursiveTransform(|schema: &mut Schema| {
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = plain(text);
        }
    })
    .transform(&mut schema);
    schema.to_value()
}

/// A doc comment without links into the code, on one line.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, (shown, after))) =
        rest.split_once('[').and_then(|(before, link)| Some((before, link.split_once(']')?)))
    {
        out.push_str(before);
        out.push_str(shown);
        let link = after.strip_prefix('(').and_then(|link| link.split_once(')'));
        rest = link.map_or(after, |(_, after)| after);
    }
    out.push_str(rest);
    out.replace('\n', " ")
}

/// Tells a trace from a check: by the command.
pub(super) fn of_trace(schema: &mut Schema) {
    commands(schema, &["forward", "reverse", "two-way"]);
}

/// Tells a check from a trace.
pub(super) fn of_check(schema: &mut Schema) {
    commands(schema, &["check"]);
}

fn commands(schema: &mut Schema, commands: &[&str]) {
    if let Some(command) = schema.pointer_mut("/properties/command").and_then(Value::as_object_mut)
    {
        command.insert("enum".to_owned(), json!(commands));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_lead_nowhere() {
        assert_eq!(
            plain("The index in\n[`nodes`](super::Nodes), see [`Head`]."),
            "The index in `nodes`, see `Head`."
        );
        assert_eq!(plain("0 [to 1"), "0 [to 1");
    }
}

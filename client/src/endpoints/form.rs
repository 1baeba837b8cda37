//! The two forms of a directory file.

use std::path::Path;

use serde::Deserialize;

use super::{Endpoint, Error};
use crate::printable;

/// The first line of the reference's form.
const HEADER: &str = "address;asnumber;email_contact";

/// What a file says.
#[derive(Debug)]
pub(super) struct File {
    /// Whether the responders that come with the program count too.
    pub(super) shipped: bool,
    pub(super) endpoints: Vec<Endpoint>,
}

/// Our form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Toml {
    #[serde(default = "yes")]
    shipped: bool,
    #[serde(default)]
    endpoint: Vec<Endpoint>,
}

const fn yes() -> bool {
    true
}

pub(super) fn read(path: &Path) -> Result<File, Error> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| Error::File { path: shown(path), source })?;
    parse(&text, path)
}

/// The file at `path` says `text`.
pub(super) fn parse(text: &str, path: &Path) -> Result<File, Error> {
    let text = text.trim_start_matches('\u{feff}');
    if text.lines().next().is_some_and(|line| line.trim().eq_ignore_ascii_case(HEADER)) {
        return Ok(File { shipped: true, endpoints: lines(text, path)? });
    }
    let wrong = |at: usize, problem: &str| Error::Toml {
        path: shown(path),
        line: text.get(..at).unwrap_or_default().matches('\n').count() + 1,
        problem: printable(problem),
    };
    let Toml { shipped, endpoint } = toml::from_str(text)
        .map_err(|error| wrong(error.span().map_or(0, |span| span.start), error.message()))?;
    for found in &endpoint {
        if let Err(problem) = check(&found.address) {
            return Err(wrong(text.find(&found.address).unwrap_or_default(), problem));
        }
    }
    Ok(File { shipped, endpoints: endpoint })
}

/// The reference's form.
fn lines(text: &str, path: &Path) -> Result<Vec<Endpoint>, Error> {
    let mut endpoints = Vec::new();
    for (number, line) in text.lines().enumerate().skip(1) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let endpoint = endpoint(line).map_err(|problem| Error::Line {
            path: shown(path),
            line: number + 1,
            found: printable(line),
            problem,
        })?;
        endpoints.push(endpoint);
    }
    Ok(endpoints)
}

fn endpoint(line: &str) -> Result<Endpoint, &'static str> {
    let fields: Vec<&str> = line.split(';').map(str::trim).collect();
    let [address, asn, contact] = fields[..] else { return Err("it has not three fields") };
    check(address)?;
    let asn = match asn.trim_start_matches("AS") {
        "" => None,
        number => Some(number.parse().map_err(|_| "the second is no AS number")?),
    };
    let contact = (!contact.is_empty()).then(|| contact.to_owned());
    Ok(Endpoint { address: address.to_owned(), asn, contact, note: None })
}

fn check(address: &str) -> Result<(), &'static str> {
    if address.is_empty() {
        return Err("the address is empty");
    }
    // What stands on a command line or in a list must not be taken for something else.
    if address.starts_with('-') || address.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("the address is no name and no address");
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    printable(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::{Directory, TEMPLATE};

    fn parsed(text: &str) -> Result<File, String> {
        parse(text, Path::new("list")).map_err(|error| error.to_string())
    }

    #[test]
    fn the_shipped_directory_is_of_our_form_and_comes_back_as_it_was() {
        let shipped = Directory::shipped();
        assert_eq!(shipped.endpoints().len(), 5);
        let again = shipped.to_toml().unwrap();
        assert_eq!(parsed(&again).unwrap().endpoints, shipped.endpoints());
        let comments = TEMPLATE.lines().take_while(|line| line.starts_with('#')).count();
        assert!(comments > 10);
        assert_eq!(
            again.lines().take(comments).collect::<Vec<_>>(),
            TEMPLATE.lines().take(comments).collect::<Vec<_>>()
        );
        // The example in the comments is of the form, too.
        let example: String = TEMPLATE
            .lines()
            .filter_map(|line| line.strip_prefix("#   "))
            .filter(|line| !line.starts_with("shipped"))
            .fold(String::new(), |all, line| all + line + "\n");
        assert_eq!(parsed(&example).unwrap().endpoints[0].address, "www.example.com");
    }

    #[test]
    fn both_forms_say_the_same() {
        let lines = "Address;ASNumber;email_contact\r\nwww.example.com;64500;noc@example.com\n\n# none\n2001:db8::1;;\n";
        let toml = "[[endpoint]]\naddress = 'www.example.com'\nasn = 64500\ncontact = 'noc@example.com'\n\
            [[endpoint]]\naddress = '2001:db8::1'";
        let [lines, toml] = [lines, toml].map(|text| parsed(text).unwrap());
        assert_eq!(lines.endpoints, toml.endpoints);
        assert_eq!(lines.endpoints.len(), 2);
        assert!(toml.shipped && !parsed("shipped = false").unwrap().shipped);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (line, problem) in [
            ("www.example.com;64500", "it has not three fields"),
            ("www.example.com;x;noc", "the second is no AS number"),
            (";1;noc", "the address is empty"),
            ("-n;1;noc", "the address is no name and no address"),
            ("a b;1;noc", "the address is no name and no address"),
        ] {
            let error = parsed(&format!("{HEADER}\n\n{line}\n")).unwrap_err();
            let expected = format!(
                "list, line 3: expected address;asnumber;email_contact, not \"{line}\" ({problem})"
            );
            assert_eq!(error, expected);
        }
        for (text, words) in [
            ("\n[[endpoint]]\nasn = 1\n", "list, line 2: missing field `address`"),
            ("[[endpoint]]\naddress = ''\n", "list, line 1: the address is empty"),
            ("[[endpoint]]\naddress = 'a'\n\ncolour = 1\n", "list, line 4: unknown field `colour`"),
            ("www.example.com\n", "list, line 1: "),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.starts_with(words), "{error}");
            assert!(error.ends_with(". The form is: otherhalf endpoints list --toml"), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
}

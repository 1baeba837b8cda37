//! What is typed behind both programs' names.

use std::net::IpAddr;

/// The address that `text` is. Neither program looks names up; whoever types one is told how to.
pub fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| {
        "it is no IP address; give the address of a name, as `getent ahosts NAME` shows it"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_addresses() {
        assert_eq!(address("2001:db8::7").unwrap().to_string(), "2001:db8::7");
        assert!(address("www.example.com").unwrap_err().contains("getent ahosts"));
    }
}

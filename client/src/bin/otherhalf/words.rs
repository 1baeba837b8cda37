//! Words that several sentences share.

/// `1 hop`, `2 hops`.
pub(crate) fn count(number: impl Into<u64>, one: &str) -> String {
    match number.into() {
        1 => format!("1 {one}"),
        // address, branch
        many if one.ends_with(['s', 'h']) => format!("{many} {one}es"),
        many => format!("{many} {one}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn one_is_not_many() {
        let said =
            [count(1u8, "hop"), count(0u8, "hop"), count(30u8, "hop"), count(2u8, "address")];
        assert_eq!(said, ["1 hop", "0 hops", "30 hops", "2 addresses"]);
    }
}

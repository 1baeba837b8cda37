//! The flows of a search by number.

use crate::options::Flow;

/// The flow of that number: the first and those that follow it, around 65535 and past 0.
pub(super) fn of_number(first: Flow, number: u32) -> Flow {
    let flow = (u32::from(first.get()) - 1 + number) % u32::from(u16::MAX) + 1;
    u16::try_from(flow).ok().and_then(Flow::new).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn flows_go_around() {
        let first = Flow::new(65534).unwrap();
        let flows: Vec<_> = (0..4).map(|number| of_number(first, number).get()).collect();
        assert_eq!(flows, [65534, 65535, 1, 2]);
        let all: BTreeSet<_> = (0..65535).map(|number| of_number(first, number)).collect();
        assert_eq!(all.len(), 65535);
    }
}

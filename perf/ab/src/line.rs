//! A figure, as it is printed.

/// Which way a figure is to go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
    /// As near to 1 as this: something compared with itself.
    Same(f64),
    /// None: it is told, not judged.
    Open,
}

/// `ratio NAME VALUE TARGET pass|short|- # REMARK`
#[must_use]
pub fn ratio(name: &str, value: f64, target: Target, remark: &str) -> String {
    let (bound, passes) = match target {
        Target::AtMost(bound) => (bound, value <= bound),
        Target::AtLeast(bound) => (bound, value >= bound),
        Target::Same(bound) => (1.0 + bound, (value - 1.0).abs() <= bound),
        Target::Open => return format!("ratio {name:<26} {value:.3} -    -     # {remark}"),
    };
    let verdict = if passes { "pass" } else { "short" };
    format!("ratio {name:<26} {value:.3} {bound:.2} {verdict:<5} # {remark}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_bound_from_above_or_from_below() {
        let at_most = |value| ratio("a", value, Target::AtMost(1.1), "");
        assert!(at_most(1.1).contains(" 1.100 1.10 pass "));
        assert!(at_most(1.2).contains(" 1.200 1.10 short "));
        let at_least = |value| ratio("a", value, Target::AtLeast(1.7), "");
        assert!(at_least(1.7).contains(" pass "));
        assert!(at_least(1.6).contains(" short "));
        assert!(at_least(f64::NAN).contains(" short "));
        let same = |value| ratio("a", value, Target::Same(0.05), "");
        assert!(same(0.96).contains(" pass ") && same(1.04).contains(" pass "));
        assert!(same(0.94).contains(" short ") && same(1.06).contains(" short "));
        assert!(ratio("a", 2.0, Target::Open, "").contains(" 2.000 -    - "));
    }
}

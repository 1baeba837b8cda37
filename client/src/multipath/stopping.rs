//! When a node has been asked often enough: the stopping points of Veitch, Augustin, Friedman and Teixeira,
//! "Failure Control in Multipath Route Tracing" (INFOCOM 2009).
//!
//! A balancer spreads flows evenly over its branches. Having seen `k` of them, one goes on until `n_k` flows have passed the
//! node; if all of them went to these `k`, there are no more. `n_k` is the least number with which a balancer of `k + 1`
//! branches is left too early with no more than the chance that is allowed. Two chances can be meant:
//!
//! - that `n_k` flows do not show all of `k + 1` branches, [`unseen`]: what the published tables hold
//!   (for 5 %: 6, 11, 16, 21, 27, 33, 38, ...);
//! - that whoever looks after `n_1`, `n_2`, ... `n_k` flows stops too early at *any* of these points, which is a
//!   little more likely, as a stop at `n_1` cannot be made good later. This one is kept here, so the bound is no estimate.
//!
//! A graph has many nodes, and all of them must be right. The paper shares the chance out over as many balancers as one
//! expects, `1 - (1 - e)^(1/N)` for each. Here `N` is no guess: see [`Shared`].

use std::collections::BTreeMap;

/// So many balancers beyond those that were found are reckoned with, as one that was missed could hide others.
///
/// It also makes the sum right where balancers lie one behind the other: if a missed one hides all that follow, `j` found
/// before it, its chance is a share of `j + 5`, and 1/5 + 1/6 + ... + 1/11 is less than 1, so seven in such a row
/// are covered; side by side any number is. (5 is also what paris-traceroute takes for all.)
const SPARE: u32 = 5;

/// The stopping points of one balancer.
#[derive(Debug, Clone)]
pub struct Points {
    failure: f64,
    points: Vec<u32>,
}

impl Points {
    /// Those with which a balancer is left too early with a chance of no more than `failure`, which is clamped to
    /// 1e-9 to 0.5.
    #[must_use]
    pub const fn new(failure: f64) -> Self {
        Self { failure: failure.clamp(1e-9, 0.5), points: Vec::new() }
    }

    /// How many flows must have passed a node of which `branches` branches were seen; 1 for none, as
    /// nothing is known yet.
    pub fn after(&mut self, branches: u32) -> u32 {
        let wanted = usize::try_from(branches).unwrap_or(usize::MAX);
        while self.points.len() < wanted {
            let next = next_point(&self.points, self.failure);
            self.points.push(next);
        }
        wanted.checked_sub(1).and_then(|at| self.points.get(at)).copied().unwrap_or(1)
    }
}

/// The point that follows `points`.
fn next_point(points: &[u32], failure: f64) -> u32 {
    let mut walk = Walk::new(points.len() + 2);
    loop {
        let stopped = walk.stop_at(points);
        // Past all earlier points, only one more branch can be missing.
        if walk.flows > points.last().copied().unwrap_or(0)
            && stopped + walk.incomplete() <= failure
        {
            return walk.flows;
        }
        walk.step();
    }
}

/// The chance that a balancer of `branches` equally likely ones is left before all were seen, by whoever looks at
/// `points[k - 1]` flows whether there are more than `k` branches.
#[must_use]
pub fn left_too_early(branches: u32, points: &[u32]) -> f64 {
    let branches = usize::try_from(branches).unwrap_or(usize::MAX);
    let points = points.get(..branches.saturating_sub(1)).unwrap_or(points);
    let Some(last) = points.last() else { return 0.0 };
    let mut walk = Walk::new(branches);
    while walk.flows < *last {
        walk.stop_at(points);
        walk.step();
    }
    walk.stop_at(points)
}

/// The chance that `flows` flows do not show all of `branches` equally likely branches.
#[must_use]
pub fn unseen(branches: u32, flows: u32) -> f64 {
    if flows == 0 {
        return if branches == 0 { 0.0 } else { 1.0 };
    }
    let mut walk = Walk::new(usize::try_from(branches).unwrap_or(usize::MAX));
    while walk.flows < flows {
        walk.step();
    }
    walk.incomplete()
}

/// The chance that one flow's `repeats` further packets all take the branch of its first, if the balancer chooses anew for
/// each packet among `branches`.
#[must_use]
pub fn alike_by_chance(branches: u32, repeats: u32) -> f64 {
    f64::from(branches.max(1)).recip().powi(i32::try_from(repeats).unwrap_or(i32::MAX))
}

/// How many branches were seen, as a distribution that grows flow by flow.
struct Walk {
    branches: usize,
    flows: u32,
    /// The chance of having seen so many branches, and not having stopped.
    seen: Vec<f64>,
    stopped: f64,
}

impl Walk {
    /// After the first flow, which shows one branch for certain.
    fn new(branches: usize) -> Self {
        let mut seen = vec![0.0; branches + 1];
        if let Some(one) = seen.get_mut(1) {
            *one = 1.0;
        }
        Self { branches, flows: 1, seen, stopped: 0.0 }
    }

    /// One flow more.
    #[expect(clippy::cast_precision_loss, reason = "branches are few")]
    fn step(&mut self) {
        self.flows += 1;
        let all = self.branches as f64;
        let mut from_below = 0.0;
        for (seen, chance) in self.seen.iter_mut().enumerate() {
            let old = (seen as f64) / all;
            let stays = *chance * old;
            let leaves = *chance - stays;
            *chance = stays + from_below;
            from_below = leaves;
        }
    }

    /// Whoever has come to the point of what they have seen stops; the chance of having stopped by now.
    fn stop_at(&mut self, points: &[u32]) -> f64 {
        for (chance, _) in
            self.seen.iter_mut().skip(1).zip(points).filter(|(_, point)| self.flows >= **point)
        {
            self.stopped += std::mem::take(chance);
        }
        self.stopped
    }

    /// The chance of going on without having seen all.
    fn incomplete(&self) -> f64 {
        self.seen.iter().take(self.branches).sum()
    }
}

/// One bound for a whole graph, shared over its balancers.
///
/// Nobody knows their number before the end. So each node gets a share of as many as *have been* found, and `SPARE`
/// more; as more are found, all stopping points rise, and nodes that were done are asked again. A balancer that was missed
/// was therefore judged by no larger a share than those that were found leave for it.
#[derive(Debug, Clone)]
pub struct Shared {
    failure: f64,
    by_number: BTreeMap<u32, Points>,
}

impl Shared {
    /// For finding the whole graph with `confidence`, 0 to 1.
    #[must_use]
    pub const fn new(confidence: f64) -> Self {
        Self { failure: 1.0 - confidence, by_number: BTreeMap::new() }
    }

    /// How many flows must have passed a node of which `branches` branches were seen, in a graph of which
    /// `balancers` balancers were found.
    pub fn after(&mut self, branches: u32, balancers: u32) -> u32 {
        let share = share(self.failure, balancers);
        self.by_number.entry(balancers).or_insert_with(|| Points::new(share)).after(branches)
    }

    /// How often one flow must be sent again to a balancer of `branches` branches before its constancy is believed.
    #[must_use]
    pub fn repeats(&self, branches: u32, balancers: u32) -> u32 {
        let share = share(self.failure, balancers);
        (1..64).find(|repeats| alike_by_chance(branches.max(2), *repeats) <= share).unwrap_or(64)
    }
}

/// The part of `failure` that one balancer of so many has (Veitch et al. 2009, §III).
fn share(failure: f64, balancers: u32) -> f64 {
    1.0 - (1.0 - failure).powf(f64::from(balancers.saturating_add(SPARE)).recip())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of Augustin et al. 2007 and Veitch et al. 2009 for 5 %, as paris-traceroute, scamper and
    /// Diamond-Miner use it.
    const PUBLISHED_95: [u32; 32] = [
        6, 11, 16, 21, 27, 33, 38, 44, 51, 57, 63, 70, 76, 83, 90, 96, 103, 110, 117, 124, 131,
        138, 145, 152, 159, 167, 174, 181, 189, 196, 203, 211,
    ];
    /// The same for 1 %.
    const PUBLISHED_99: [u32; 12] = [8, 15, 21, 28, 36, 43, 51, 58, 66, 74, 82, 90];

    /// The least number of flows that leave a branch of `k + 1` unseen with a chance of `failure` at most.
    fn least(k: u32, failure: f64) -> u32 {
        (1..10_000).find(|flows| unseen(k + 1, *flows) <= failure).unwrap()
    }

    #[test]
    fn the_published_tables() {
        for (table, failure) in [(&PUBLISHED_95[..], 0.05), (&PUBLISHED_99[..], 0.01)] {
            let ours: Vec<_> =
                (1..).take(table.len()).map(|branches| least(branches, failure)).collect();
            assert_eq!(ours, table);
        }
    }

    #[test]
    fn ours_are_the_published_ones_or_one_more() {
        let mut points = Points::new(0.05);
        let ours: Vec<_> = (1..=32).map(|branches| points.after(branches)).collect();
        assert_eq!(ours[..6], PUBLISHED_95[..6]);
        assert!(ours.iter().zip(PUBLISHED_95).all(|(ours, published)| *ours - published <= 1));
        // The reason: with the published ones, eight branches are left too early more often than allowed.
        assert!(left_too_early(8, &PUBLISHED_95) > 0.05);
    }

    #[test]
    fn no_balancer_is_left_too_early_more_often_than_allowed_and_none_could_be_left_sooner() {
        for failure in [0.2, 0.05, 0.01, 0.001] {
            let mut made = Points::new(failure);
            let points: Vec<_> = (1..=40).map(|branches| made.after(branches)).collect();
            for branches in 2..=40 {
                let chance = left_too_early(branches, &points);
                assert!(chance <= failure, "{branches}: {chance}");
                let mut sooner = points.clone();
                let at = usize::try_from(branches).unwrap() - 2;
                sooner[at] -= 1;
                let earlier = at.checked_sub(1).map_or(0, |before| points[before]);
                assert!(sooner[at] <= earlier || left_too_early(branches, &sooner) > failure);
            }
        }
    }

    /// All ways in which `flows` flows can spread over `branches`, counted one by one.
    fn counted(branches: u32, flows: u32, points: &[u32]) -> f64 {
        let all = branches.pow(flows);
        let failed = (0..all)
            .filter(|way| {
                let (mut way, mut seen) = (*way, 0u32);
                (1..=flows).any(|flow| {
                    seen |= 1 << (way % branches);
                    way /= branches;
                    let k = seen.count_ones();
                    k < branches && points.get(k as usize - 1).is_some_and(|point| flow >= *point)
                })
            })
            .count();
        f64::from(u32::try_from(failed).unwrap()) / f64::from(all)
    }

    #[test]
    fn exact_by_counting() {
        // 1 - 2/2^n for two branches; 3 (2/3)^n - 3 (1/3)^n for three.
        assert!((unseen(2, 6) - 0.03125).abs() < 1e-12);
        let three = 3.0 * (2.0f64 / 3.0).powi(11) - 3.0 * (1.0f64 / 3.0).powi(11);
        assert!((unseen(3, 11) - three).abs() < 1e-12);
        for (branches, points) in
            [(2, vec![6]), (3, vec![4, 9]), (3, vec![6, 11]), (4, vec![3, 5, 9])]
        {
            let exact = counted(branches, *points.last().unwrap(), &points);
            assert!((left_too_early(branches, &points) - exact).abs() < 1e-12, "{points:?}");
        }
        assert!((unseen(1, 1) - 0.0).abs() < 1e-12 && (unseen(2, 0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn shares_sum_to_the_whole() {
        // Any number side by side: all of them complete at their final share.
        for balancers in [0, 1, 5, 50] {
            let all = 1.0 - (1.0 - share(0.05, balancers)).powi(balancers.cast_signed() + 5);
            assert!((all - 0.05).abs() < 1e-9);
        }
        // Seven, each hiding all that follow: number j is judged when j were found.
        let row: f64 = (0..7).map(|found| share(0.05, found)).sum();
        assert!(row <= 0.05, "{row}");
        let mut shared = Shared::new(0.95);
        assert_eq!([shared.after(0, 0), shared.after(1, 0), shared.after(2, 0)], [1, 8, 15]);
        assert!(shared.after(1, 20) > shared.after(1, 0));
        assert_eq!([shared.repeats(2, 0), shared.repeats(16, 0)], [7, 2]);
    }
}

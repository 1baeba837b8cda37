//! Prefixes, which hold each other, as ranges that do not.

use std::cmp::Reverse;

/// An address as a number.
pub(super) trait Address: Copy + Ord {
    /// The lowest.
    const MIN: Self;
    /// The highest.
    const MAX: Self;

    /// The next address, if there is one.
    fn next(self) -> Option<Self>;
    /// The address before, if there is one.
    fn before(self) -> Option<Self>;
}

impl Address for u32 {
    const MIN: Self = Self::MIN;
    const MAX: Self = Self::MAX;

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn before(self) -> Option<Self> {
        self.checked_sub(1)
    }
}

impl Address for u128 {
    const MIN: Self = Self::MIN;
    const MAX: Self = Self::MAX;

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn before(self) -> Option<Self> {
        self.checked_sub(1)
    }
}

/// A prefix: its first and its last address, and the value of what it holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span<A> {
    pub(super) start: A,
    pub(super) end: A,
    pub(super) value: u8,
}

/// Ranges side by side, from the lowest address to the highest. Neighbours differ in their values.
#[derive(Debug)]
pub(super) struct Ranges<A> {
    /// Where each but the first begins, in rising order. If one begins at the lowest address, the first has none.
    pub(super) starts: Vec<A>,
    /// The value of each: one more than `starts`.
    pub(super) values: Vec<u8>,
    /// The prefixes that they were made of, equal ones counted once.
    pub(super) prefixes: usize,
}

impl<A: Address> Ranges<A> {
    pub(super) fn new(default: u8, mut spans: Vec<Span<A>>) -> Self {
        // The outer before the inner; of equal ones, the greatest value first.
        spans.sort_unstable_by_key(|span| (span.start, Reverse(span.end), Reverse(span.value)));
        spans.dedup_by_key(|span| (span.start, span.end));
        let prefixes = spans.len();
        let mut ranges = Self { starts: Vec::new(), values: vec![default], prefixes };
        // Those that hold the place where we are, the innermost last.
        let mut open: Vec<Span<A>> = Vec::new();
        for span in spans {
            while let Some(inner) = open.pop_if(|inner| inner.end < span.start) {
                ranges.end(inner, open.last(), default);
            }
            ranges.begin(span.start, span.value);
            open.push(span);
        }
        while let Some(inner) = open.pop() {
            ranges.end(inner, open.last(), default);
        }
        ranges
    }

    /// What `self` and `other` say together: `join` of both values, for each address.
    pub(super) fn joined(&self, other: &Self, join: impl Fn(u8, u8) -> u8) -> Self {
        let first = |ranges: &Self| ranges.values.first().copied().unwrap_or_default();
        let mut values = [first(self), first(other)];
        let mut all = Self {
            starts: Vec::with_capacity(self.starts.len().saturating_add(other.starts.len())),
            values: vec![join(values[0], values[1])],
            prefixes: self.prefixes.saturating_add(other.prefixes),
        };
        let (mut ours, mut theirs) = (self.begun().peekable(), other.begun().peekable());
        loop {
            let next = ours.peek().into_iter().chain(theirs.peek()).map(|(start, _)| *start).min();
            let Some(start) = next else { return all };
            let [mine, its] = &mut values;
            ours.next_if(|(at, _)| *at == start).into_iter().for_each(|(_, value)| *mine = value);
            theirs.next_if(|(at, _)| *at == start).into_iter().for_each(|(_, value)| *its = value);
            all.begin(start, join(*mine, *its));
        }
    }

    /// Where each range but the first begins, and its value.
    fn begun(&self) -> impl Iterator<Item = (A, u8)> {
        self.starts.iter().copied().zip(self.values.iter().copied().skip(1))
    }

    /// The first and the last address of each range that has another value than `default`.
    pub(super) fn others(&self, default: u8) -> impl Iterator<Item = (A, A)> {
        // The first range begins at the lowest address; where another does too, it holds none, and has no last address.
        let starts = std::iter::once(A::MIN).chain(self.starts.iter().copied());
        let lasts = self.starts.iter().map(|next| next.before()).chain([Some(A::MAX)]);
        let all = starts.zip(lasts).zip(&self.values);
        all.filter_map(
            move |((start, last), value)| {
                if *value == default { None } else { Some((start, last?)) }
            },
        )
    }

    /// From `start` on, addresses have `value`.
    fn begin(&mut self, start: A, value: u8) {
        // What began just there holds no address.
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.values.pop();
        }
        if self.values.last() != Some(&value) {
            self.starts.push(start);
            self.values.push(value);
        }
    }

    /// Behind the end of `inner`, the prefix `outer` goes on.
    fn end(&mut self, inner: Span<A>, outer: Option<&Span<A>>, default: u8) {
        if let Some(start) = inner.end.next() {
            self.begin(start, outer.map_or(default, |outer| outer.value));
        }
    }
}

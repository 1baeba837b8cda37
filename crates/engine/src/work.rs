//! What the first pass over a burst leaves for the second, sorted by what is to be done.
//!
//! Each list is worked off by a loop of its own, for one family: nothing is asked again that the first pass has found
//! out, and the common kinds do not wait for the rare ones. (Vector packet processing does the same: packets of one kind
//! pass a node together.)

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use arrayvec::ArrayVec;
use otherhalf_pending::{Hash, Lines, Prefetch, Table};
use otherhalf_policy::Prefixes;
use otherhalf_policy::limiter::{Charge, Key, Limited};
use otherhalf_wire::ip;

use crate::answer::{Match, Shown};
use crate::bogon;
use crate::burst::{BURST, View};
use crate::classify::Task;
use crate::indirect::{AnyDetour, Detour};
use crate::network::{InterfaceId, Network, RouteId};
use crate::outcome::Outcome;
use crate::rate::{Counted, Limits};
use crate::request::{self, Ask};

/// A task, and the frame that it is for.
pub(crate) struct Job<T> {
    /// The frame's place in the burst.
    pub(crate) place: usize,
    /// The interface that it came in by.
    pub(crate) ingress: InterfaceId,
    pub(crate) task: T,
    /// The task's place in the pending table; any place for one that needs none.
    pub(crate) hash: Hash,
}

type Jobs<T> = ArrayVec<Job<T>, BURST>;

/// All that is left to do for a burst.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) v4: Traces<Ipv4Addr>,
    pub(crate) v6: Traces<Ipv6Addr>,
    /// What is not reverse traceroute, and requests that are refused.
    pub(crate) rest: Jobs<Task>,
}

/// Tasks whose lines are asked for together. A prefetch whose address is not translated yet holds up all behind it until it
/// is: side by side, several wait no longer than one. All of a burst at once would be more than memory takes at a time.
const TOGETHER: usize = 8;

/// Reverse traceroute over one family.
pub(crate) struct Traces<A> {
    /// Requests that deserve a probe.
    pub(crate) asks: Jobs<Ask<A>>,
    /// Answers, each to a probe that may wait for it.
    pub(crate) matches: Jobs<Match<A>>,
    /// How many of each have had their lines of the pending table asked for.
    asked: [usize; 2],
    /// How many of both are enough to ask for those that are new.
    enough: usize,
}

impl<A> Default for Traces<A> {
    fn default() -> Self {
        Self { asks: ArrayVec::new(), matches: ArrayVec::new(), asked: [0; 2], enough: TOGETHER }
    }
}

impl<A: Address> Traces<A> {
    /// Asks for the lines of new tasks, if there are enough of them.
    #[inline(always)]
    fn ask_memory_together<P: Prefetch>(&mut self, table: &Table<P>, counted: Option<&Counted>) {
        if !P::WAITS && self.asks.len().wrapping_add(self.matches.len()) >= self.enough {
            self.ask_memory(table, counted);
        }
    }

    /// Asks for the lines of all tasks that are new since the last time. A table without prefetch is waited for, by a
    /// loop over all.
    #[inline(never)]
    fn ask_memory<P: Prefetch>(&mut self, table: &Table<P>, counted: Option<&Counted>) {
        let [asks, matches] = self.asked;
        self.asked = [self.asks.len(), self.matches.len()];
        self.enough = self.asked.iter().sum::<usize>().wrapping_add(TOGETHER);
        let asks = self.asks.get(asks..).unwrap_or_default();
        let matches = self.matches.get(matches..).unwrap_or_default();
        if P::WAITS {
            let both = asks.iter().map(|job| (job.hash, Lines::Both));
            table.fetch(both.chain(matches.iter().map(|job| (job.hash, Lines::First))));
        } else {
            if let Some(Counted { limiter, .. }) = counted {
                for job in asks {
                    limiter.line(job.task.bits).inspect(|line| P::prefetch(*line));
                }
            }
            for job in asks {
                table.prefetch(job.hash, Lines::Both);
            }
            for job in matches {
                table.prefetch(job.hash, Lines::First);
            }
        }
    }
}

impl Work {
    /// Asks for all lines that are not yet asked for.
    #[inline]
    pub(crate) fn ask_memory<P: Prefetch>(&mut self, table: &Table<P>, counted: Option<&Counted>) {
        self.v4.ask_memory(table, counted);
        self.v6.ask_memory(table, counted);
    }
}

/// The address of a family, and where what belongs to the family is.
pub(crate) trait Address: ip::Known {
    /// `address`, if it is one of the family.
    fn of(address: IpAddr) -> Option<Self>;
    /// It as words, see [`Receiver`](otherhalf_pending::Receiver).
    fn words(self) -> [u64; 2];
    /// The address whose [`words`](Self::words) these are.
    fn from_words(words: [u64; 2]) -> Self;
    /// A detour of the family as one of either.
    fn any(detour: Detour<Self>) -> AnyDetour;
    /// Whether it has a meaning on its link alone (RFC 3927, RFC 4291 §2.5.6).
    fn is_link_local(self) -> bool;
    /// See [`Network::owns`].
    fn is_owned(self, network: &Network, ingress: InterfaceId) -> bool;
    /// See [`Network::may_be_sent_to`].
    fn may_be_sent_to(self, network: &Network) -> bool;
    /// See [`bogon::may_be_special_v4`].
    fn may_be_special(self) -> bool;
    /// See [`bogon::is_special_v4`].
    fn is_special(self) -> bool;
    /// See [`bogon::may_embed_v4`].
    fn may_embed_v4(self) -> bool;
    /// See [`bogon::embedded_v4`].
    fn embedded_v4(self) -> Option<Ipv4Addr>;
    /// What is known of it by its prefix.
    fn known(self, set: &Prefixes) -> u8;
    /// See [`Network::route`].
    fn route(
        self,
        network: &Network,
        ingress: InterfaceId,
    ) -> Option<(Option<RouteId>, InterfaceId)>;
    /// The key of a probe: all that an answer must agree in. `name` has up to 56 bits.
    fn key<P: Prefetch>(table: &Table<P>, own: Self, target: Self, name: u64) -> Hash;
    /// Keyed bits of the prefix that shares a line of the limiter.
    fn line_bits(self, key: &Key) -> u64;
    /// Takes what a packet to it costs; `bits` are its [`line_bits`](Self::line_bits), `syn`: it is a TCP probe.
    fn take(self, limits: &Limits<'_>, bits: u64, syn: bool) -> Result<(), Limited>;
    /// The family's part of `work`.
    fn traces(work: &mut Work) -> &mut Traces<Self>;
}

impl Address for Ipv4Addr {
    fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(v4) => Some(v4),
            IpAddr::V6(_) => None,
        }
    }

    fn words(self) -> [u64; 2] {
        [0, self.to_bits().into()]
    }

    fn from_words([_, low]: [u64; 2]) -> Self {
        let [_, _, _, _, octets @ ..] = low.to_be_bytes();
        Self::from(octets)
    }

    fn any(detour: Detour<Self>) -> AnyDetour {
        AnyDetour::V4(detour)
    }

    fn is_link_local(self) -> bool {
        Self::is_link_local(&self)
    }

    #[inline(always)]
    fn is_owned(self, network: &Network, _: InterfaceId) -> bool {
        network.owns_v4(self)
    }

    #[inline(always)]
    fn may_be_sent_to(self, network: &Network) -> bool {
        network.may_be_sent_to_v4(self)
    }

    #[inline(always)]
    fn may_be_special(self) -> bool {
        bogon::may_be_special_v4(self)
    }

    fn is_special(self) -> bool {
        bogon::is_special_v4(self)
    }

    #[inline(always)]
    fn may_embed_v4(self) -> bool {
        false
    }

    fn embedded_v4(self) -> Option<Ipv4Addr> {
        None
    }

    #[inline(always)]
    fn known(self, set: &Prefixes) -> u8 {
        set.v4(self)
    }

    #[inline(always)]
    fn route(self, network: &Network, _: InterfaceId) -> Option<(Option<RouteId>, InterfaceId)> {
        network.route_v4(self)
    }

    #[inline(always)]
    fn key<P: Prefetch>(table: &Table<P>, own: Self, target: Self, name: u64) -> Hash {
        table.hash(&[u64::from(own.to_bits()) << 32 | u64::from(target.to_bits())], name)
    }

    #[inline(always)]
    fn line_bits(self, key: &Key) -> u64 {
        key.v4(self)
    }

    #[inline(always)]
    fn take(self, limits: &Limits<'_>, bits: u64, syn: bool) -> Result<(), Limited> {
        let Limits { counted, limit, moment, .. } = limits;
        counted.limiter.take(&limit.rates, &Charge::v4(self, bits, syn), *moment)
    }

    #[inline(always)]
    fn traces(work: &mut Work) -> &mut Traces<Self> {
        &mut work.v4
    }
}

impl Address for Ipv6Addr {
    fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => Some(v6),
        }
    }

    fn words(self) -> [u64; 2] {
        halves(self)
    }

    fn from_words([high, low]: [u64; 2]) -> Self {
        Self::from_bits(u128::from(high) << 64 | u128::from(low))
    }

    fn any(detour: Detour<Self>) -> AnyDetour {
        AnyDetour::V6(detour)
    }

    fn is_link_local(self) -> bool {
        self.is_unicast_link_local()
    }

    #[inline(always)]
    fn is_owned(self, network: &Network, ingress: InterfaceId) -> bool {
        network.owns_v6(self, ingress)
    }

    #[inline(always)]
    fn may_be_sent_to(self, network: &Network) -> bool {
        network.may_be_sent_to_v6(self)
    }

    #[inline(always)]
    fn may_be_special(self) -> bool {
        bogon::may_be_special_v6(self)
    }

    fn is_special(self) -> bool {
        bogon::is_special_v6(self)
    }

    #[inline(always)]
    fn may_embed_v4(self) -> bool {
        bogon::may_embed_v4(self)
    }

    fn embedded_v4(self) -> Option<Ipv4Addr> {
        bogon::embedded_v4(self)
    }

    #[inline(always)]
    fn known(self, set: &Prefixes) -> u8 {
        set.v6(self)
    }

    #[inline(always)]
    fn route(
        self,
        network: &Network,
        ingress: InterfaceId,
    ) -> Option<(Option<RouteId>, InterfaceId)> {
        network.route_v6(self, ingress)
    }

    #[inline(always)]
    fn key<P: Prefetch>(table: &Table<P>, own: Self, target: Self, name: u64) -> Hash {
        let [[a, b], [c, d]] = [own, target].map(halves);
        table.hash(&[a, b, c, d], name)
    }

    #[inline(always)]
    fn line_bits(self, key: &Key) -> u64 {
        key.v6_line(self)
    }

    #[inline(always)]
    fn take(self, limits: &Limits<'_>, bits: u64, syn: bool) -> Result<(), Limited> {
        let Limits { counted, limit, moment, .. } = limits;
        let hashes = [bits, counted.key.v6_wide(self)];
        counted.limiter.take(&limit.rates, &Charge::v6(self, hashes, syn), *moment)
    }

    #[inline(always)]
    fn traces(work: &mut Work) -> &mut Traces<Self> {
        &mut work.v6
    }
}

#[inline(always)]
fn halves(address: Ipv6Addr) -> [u64; 2] {
    let octets = address.octets();
    let (words, _) = octets.as_chunks::<8>();
    match words {
        [high, low] => [u64::from_be_bytes(*high), u64::from_be_bytes(*low)],
        _ => [0, 0],
    }
}

/// The first pass over one frame: what there is to look at, and where the findings go.
pub(crate) struct Look<'a, P> {
    pub(crate) view: &'a View<'a>,
    pub(crate) table: &'a Table<P>,
    /// Whether [anything](crate::policy::Policy::asks_who) is asked of who requests.
    pub(crate) asks_who: bool,
    /// What the rates of requesters are counted in, if they are limited.
    pub(crate) counted: Option<&'a Counted>,
    pub(crate) work: &'a mut Work,
    /// The frame's place in the burst.
    pub(crate) place: usize,
    /// The interface that it came in by.
    pub(crate) ingress: InterfaceId,
}

/// Whether there is more to do for a frame; if not, what became of it.
pub(crate) type Found = Result<(), Outcome>;

impl<P: Prefetch> Look<'_, P> {
    /// A request deserves a probe.
    #[inline(always)]
    pub(crate) fn ask<A: Address>(&mut self, mut ask: Ask<A>) -> Found {
        if let Some(Counted { key, .. }) = self.counted {
            ask.bits = ask.target.line_bits(key);
        }
        let hash = ask.hash(self.table, request::first_identifier(self.table, &ask));
        let Self { place, ingress, counted, .. } = *self;
        let traces = A::traces(self.work);
        push(&mut traces.asks, Job { place, ingress, task: ask, hash })?;
        traces.ask_memory_together(self.table, counted);
        Ok(())
    }

    /// An answer names a probe, and shows what it knows of it. Whoever guesses wrong ends here: before the entry is looked for, so
    /// that the wait of the right answer goes on, and before anything is asked of neighbours.
    #[inline(always)]
    pub(crate) fn match_up<A: Address>(&mut self, found: Match<A>, shown: Shown<'_>) -> Found {
        let hash = found.hash(self.table);
        if found.is_forged(&shown, hash, self.view.policy) {
            return Err(Outcome::DropForged);
        }
        let Self { place, ingress, counted, .. } = *self;
        let traces = A::traces(self.work);
        push(&mut traces.matches, Job { place, ingress, task: found, hash })?;
        traces.ask_memory_together(self.table, counted);
        Ok(())
    }

    /// Anything else.
    #[inline(always)]
    pub(crate) fn task(&mut self, task: Task) -> Found {
        let Self { place, ingress, .. } = *self;
        push_rare(&mut self.work.rest, Job { place, ingress, task, hash: Hash::default() })
    }
}

/// There is room, since a list can hold a burst; who changes that gets frames dropped and counted, not a panic.
#[inline(always)]
fn push<T>(jobs: &mut Jobs<T>, job: Job<T>) -> Found {
    jobs.try_push(job).map_err(|_| Outcome::DropBuffer)
}

/// The same, not in the way of what is common.
#[cold]
fn push_rare(jobs: &mut Jobs<Task>, job: Job<Task>) -> Found {
    push(jobs, job)
}

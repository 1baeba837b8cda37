//! What a request carries behind its fields (PROTOCOL §5), and whether it is as large as what it asks for.

use otherhalf_wire::extension::Class;
use otherhalf_wire::ip::Packet;
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::trace::{Refusal, extensions};

use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::work::Address;

/// Why the request in `packet` for a probe of `protocol` is refused, if it is, for what is its `trailer`.
#[inline(always)]
pub(crate) fn check<A: Address>(
    policy: &Policy,
    packet: &Packet<'_, A>,
    protocol: Protocol,
    trailer: &[u8],
) -> Option<(Refusal, Outcome)> {
    if !trailer.is_empty()
        && let Some(class) = unwelcome_object(trailer)
    {
        return Some((Refusal::Extension(class.value()), Outcome::RefusedExtension));
    }
    let octets = packet.header_len.wrapping_add(packet.payload.len());
    let least = usize::from(policy.least_request.of(A::FAMILY, protocol));
    if octets < least { too_small(policy, packet, least.wrapping_sub(octets)) } else { None }
}

/// The refusal of a request that lacks `missing` octets, unless its source need not pad.
#[cold]
fn too_small<A: Address>(
    policy: &Policy,
    packet: &Packet<'_, A>,
    missing: usize,
) -> Option<(Refusal, Outcome)> {
    let exempt = policy.unpadded.get(packet.src.into()) != 0;
    let missing = u16::try_from(missing).unwrap_or(u16::MAX);
    (!exempt).then_some((Refusal::Padding(missing), Outcome::RefusedPadding))
}

/// The first extension object that we do not serve: padding alone is welcome.
#[cold]
fn unwelcome_object(trailer: &[u8]) -> Option<Class> {
    let classes = extensions(trailer)
        .into_iter()
        .flatten()
        .map(|object| object.map_or_else(|(class, _)| Err(class), |object| Ok(object.class)));
    let mut bad = classes.filter(|class| *class != Ok(Class::PADDING));
    bad.next().map(|(Ok(class) | Err(class))| class)
}

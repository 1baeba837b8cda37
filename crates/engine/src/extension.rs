//! What a request carries behind its fields (PROTOCOL §5), and whether it is as large as what it asks for.

use otherhalf_pending::Prefetch;
use otherhalf_wire::extension::Class;
use otherhalf_wire::ip::Packet;
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::trace::{Refusal, extensions};

use crate::indirect;
use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::work::{Address, Look};

/// The indirect target that the `trailer` of the request in `packet` names, if one, or why a probe of `protocol` is refused
/// for what the trailer is.
#[inline(always)]
pub(crate) fn check<A: Address, P: Prefetch>(
    look: &Look<'_, P>,
    packet: &Packet<'_, A>,
    protocol: Protocol,
    trailer: &[u8],
) -> Result<Option<A>, (Refusal, Outcome)> {
    let target = if trailer.is_empty() { None } else { read(look, packet.src, trailer)? };
    let policy = look.view.policy;
    let octets = packet.header_len.wrapping_add(packet.payload.len());
    let least = usize::from(policy.least_request.of(A::FAMILY, protocol));
    if octets < least {
        too_small(policy, packet, least.wrapping_sub(octets))?;
    }
    Ok(target)
}

/// The refusal of a request that lacks `missing` octets, unless its source need not pad.
#[cold]
fn too_small<A: Address>(
    policy: &Policy,
    packet: &Packet<'_, A>,
    missing: usize,
) -> Result<(), (Refusal, Outcome)> {
    let exempt = policy.unpadded.get(packet.src.into()) != 0;
    let missing = u16::try_from(missing).unwrap_or(u16::MAX);
    if exempt { Ok(()) } else { Err((Refusal::Padding(missing), Outcome::RefusedPadding)) }
}

/// Reads the objects of a trailer, if it has any: padding, and one target that `requester` may have probed.
#[cold]
fn read<A: Address, P: Prefetch>(
    look: &Look<'_, P>,
    requester: A,
    trailer: &[u8],
) -> Result<Option<A>, (Refusal, Outcome)> {
    let mut target = None;
    for object in extensions(trailer).into_iter().flatten() {
        let class = match object {
            Ok(object) if object.class == Class::PADDING => continue,
            Ok(object) => match object.indirect_target() {
                Some(address) if target.is_none() => {
                    target = Some(indirect::target(look, requester, address)?);
                    continue;
                }
                _ => object.class,
            },
            Err((class, _)) => class,
        };
        return Err((Refusal::Extension(class.value()), Outcome::RefusedExtension));
    }
    Ok(target)
}

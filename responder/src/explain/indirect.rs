//! What is said of a request that names a target.

use std::net::IpAddr;

use otherhalf_engine::{Outcome, network};
use otherhalf_wire::ip::Family;

use super::Case;
use crate::lists::{Deciding, Purpose};

impl Case<'_> {
    /// Why a request with a target is taken, if it has one.
    pub(super) fn taken_target(&self, steps: &mut Vec<(&'static str, String)>) {
        let Some(target) = self.question.towards else { return };
        if let Ok(sentence) = self.may_have_others_traced() {
            steps.push(("indirect", sentence));
        }
        steps.push(("target", format!("{target} may be probed: it is one host elsewhere")));
    }

    /// Why it is refused.
    pub(super) fn refused_target(&self, outcome: Outcome, steps: &mut Vec<(&'static str, String)>) {
        if outcome == Outcome::RefusedExtension {
            let sentence = "no request may name a target: no prefix is in indirect.allow or a file of indirect.allow_files";
            steps.push(("indirect", sentence.into()));
            return;
        }
        match self.may_have_others_traced() {
            Ok(sentence) => steps.push(("indirect", sentence)),
            Err(sentence) => return steps.push(("indirect", sentence)),
        }
        if let Some(target) = self.question.towards {
            steps.push(("target", self.bad_target(target)));
        }
    }

    /// Whether who asks may have others traced, and which line says so.
    fn may_have_others_traced(&self) -> Result<String, String> {
        let from = self.question.from;
        match self.lists.deciding(Purpose::Indirect, from) {
            None => Err(format!(
                "{from} may not have others traced: no prefix of indirect.allow holds it"
            )),
            Some(Deciding { prefix, denied, place }) if denied => {
                Err(format!("{from} may not have others traced: it is in {prefix}, by {place}"))
            }
            Some(Deciding { prefix, place, .. }) => {
                Ok(format!("{from} may have others traced: it is in {prefix}, by {place}"))
            }
        }
    }

    /// Why `target` is not probed.
    fn bad_target(&self, target: IpAddr) -> String {
        let at = Family::of(self.question.from);
        if Family::of(target) != at {
            return format!("{target} is refused: it is of another family than the request");
        }
        if let Some(sentence) = self.opted_out(target) {
            return sentence;
        }
        if let Some(sentence) = self.own(target) {
            return sentence;
        }
        let link_local = match target {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        if link_local || !network::is_unicast(target) {
            return format!(
                "{target} is never probed: it is not the address of one host elsewhere (unspecified, loopback, link-local, multicast, broadcast or reserved)"
            );
        }
        format!("{target} is no address of the Internet: indirect.private_targets = false")
    }

    /// To whom no route leads, the target or who asks.
    pub(super) fn without_route(&self) -> IpAddr {
        let reached = |address: &IpAddr| self.network.next_hop(*address, self.ingress).is_some();
        let target = self.question.towards.filter(|target| !reached(target));
        target.unwrap_or(self.question.from)
    }
}

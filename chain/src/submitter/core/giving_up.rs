//! Refusals, and when one is reason enough to give an obligation up.
//!
//! ```text
//! refused at the newest block --often enough, and for so long that it is final--> what does the newest final block say?
//!      refuses as well, and what it says lasts where what the newest says does  --> given up, for that reason
//!      would take it                                                            --> wait: what refuses is not final
//!      the node does not say (many keep no state so far back), several times    --> given up, for the standing reason
//! ```
//!
//! The final block alone is no reason: an obligation about a dispute that is younger than it is refused there for want of a
//! dispute. So it is asked last, and can only keep an obligation alive.
//!
//! **Invariant:** no obligation is given up for a refusal that the newest final block, as far as the node knows it, does not
//! share.

use super::Core;
use crate::{
    refusal::{Refusal, RefusalKind},
    submitter::{
        message::{Effect, Report, Simulation, View},
        plan,
        record::{ObligationId, Outcome, Standing},
    },
};

/// How often in a row a node may not say what the newest final block would do, before the standing refusal decides alone:
/// a node that keeps no state so far back never says it, one that is busy does the next time.
pub(super) const FINAL_UNKNOWN_MAX: u32 = 3;

impl Core {
    pub(super) fn on_refused(
        &mut self,
        id: ObligationId,
        refusal: Refusal,
        view: &View,
    ) -> Vec<Effect> {
        let Some(record) = self.records.get_mut(&id) else { return Vec::new() };
        let mut effects = Vec::new();
        let block = view.head.id.number;
        let known = record.refused.take();
        let is_new = known.as_ref().is_none_or(|known| known.refusal.kind != refusal.kind);
        let new = Standing { refusal: refusal.clone(), since: block, last: 0, looks: 0 };
        let mut standing = known.unwrap_or(new);
        standing.refusal = refusal.clone();
        standing.look(block);
        record.refused = Some(standing.clone());
        if is_new {
            effects.push(Effect::Persist(Box::new(record.clone())));
            effects.push(Effect::Report { id, report: Report::Refused(refusal) });
        }
        let is_final = view.finalized.is_some_and(|block| {
            standing.is_final(block.id.number)
                && record.is_decided(block.id.number)
                && !plan::may_be_done(record, view)
        });
        if record.attempts.is_empty() {
            if let (true, Some(finalized)) = (is_final, view.finalized) {
                effects.push(Effect::SimulateFinal { id, block: finalized.id.number });
            }
        } else if standing.stands() {
            // Mined late it would only cost gas, and every byte of a proof is paid for.
            effects.extend(self.cancel(id, view));
        } else {
            effects.extend(self.resend(id, view));
        }
        effects
    }

    /// What the call would do in the newest final block.
    pub(super) fn on_simulated_final(
        &mut self,
        id: ObligationId,
        simulation: Simulation,
    ) -> Vec<Effect> {
        let Some(record) = self.records.get(&id).filter(|record| record.attempts.is_empty()) else {
            return Vec::new();
        };
        let Some(standing) = record.refused.as_ref().map(|standing| standing.refusal.clone())
        else {
            return Vec::new();
        };
        let memory = self.memory.entry(id).or_default();
        match simulation {
            Simulation::Refused(refusal) if refusal.kind != RefusalKind::Early => {
                memory.final_unknown = 0;
                // Beaten or late as of now, and not in the final block for that reason: it is not final yet.
                if standing.kind.is_lasting() && !refusal.kind.is_lasting() {
                    return Vec::new();
                }
                self.end(id, Outcome::Refused { refusal })
            }
            Simulation::Fits { .. } | Simulation::Refused(_) => {
                memory.final_unknown = 0;
                Vec::new()
            }
            Simulation::Unknown => {
                memory.final_unknown = memory.final_unknown.saturating_add(1);
                if memory.final_unknown < FINAL_UNKNOWN_MAX {
                    return Vec::new();
                }
                self.end(id, Outcome::Refused { refusal: standing })
            }
        }
    }
}

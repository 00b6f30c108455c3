//! What the model's node says that a call would do.

use alloy_primitives::Bytes;

use super::{Core, GAS, ObligationId, Simulation, World};
use crate::refusal::{Refusal, RefusalKind};

/// What an obligation does.
pub(super) fn what(core: &Core, id: ObligationId) -> Option<u8> {
    core.obligation(id).unwrap().call.data.first().copied()
}

impl World {
    /// Whether obligation `what` was done by the block at this height.
    fn done_by(&self, what: u8, block: u64) -> bool {
        let blocks = self.blocks.iter().filter(|of| of.header.id.number <= block);
        blocks.clone().any(|of| of.beaten == Some(what))
            || blocks
                .flat_map(|of| &of.mined)
                .any(|(tx, receipt)| tx.does == Some(what) && receipt.success)
    }

    pub(super) fn simulate_final(&self, what: Option<u8>, block: u64, silent: bool) -> Simulation {
        if silent || self.forgets {
            return Simulation::Unknown;
        }
        let lie = what.and_then(|what| self.lies.get(&what).map(|kind| (what, *kind)));
        match (what, lie) {
            (_, Some((what, kind))) if !self.lies_about_now.contains(&what) => {
                Simulation::Refused(refusal(kind))
            }
            (Some(what), _) if self.done_by(what, block) && !self.twice.contains(&what) => {
                Simulation::Refused(refusal(RefusalKind::Beaten))
            }
            _ => Simulation::Fits { gas: None },
        }
    }

    pub(super) fn simulate(&self, what: Option<u8>, behind: bool) -> Simulation {
        match what {
            Some(_) if behind => Simulation::Refused(refusal(RefusalKind::Other)),
            Some(what) if self.lies.contains_key(&what) => {
                Simulation::Refused(refusal(self.lies[&what]))
            }
            Some(what) if self.done(what) && !self.twice.contains(&what) => {
                Simulation::Refused(refusal(RefusalKind::Beaten))
            }
            Some(_) => Simulation::Fits { gas: Some(GAS) },
            None => Simulation::Fits { gas: Some(21_000) },
        }
    }
}

fn refusal(kind: RefusalKind) -> Refusal {
    Refusal { kind, text: "no".to_owned(), data: Bytes::new() }
}

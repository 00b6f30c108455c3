//! Where a dispute stands, from the chain's events of it alone: after a reorganisation the events are fewer, and the
//! standing follows.

use chain::events::{ChainEvent, DisputeOpened, Event as Chain, OverrideKind};
use protocol::vipe::{Payout, Rules, Standing};
use protocol::zksc::Channel;
use store::OpeningRow;

/// Where a dispute stands after its events; none without an opening by a party.
pub(crate) fn standing(
    events: &[ChainEvent],
    channel: &Channel,
    rules: &Rules,
) -> Option<Standing> {
    let mut standing: Option<Standing> = None;
    for event in events {
        match (&event.event, &mut standing) {
            (Chain::DisputeOpened(opened), _) => {
                standing = Some(Standing {
                    disputer: channel.role_of(opened.disputer)?,
                    nonce: opened.nonce,
                    claim: opened.claim,
                    peak: opened.claim,
                    fee: opened.fee,
                    raised: false,
                    corrector: None,
                    opened_at: opened.deadline.saturating_sub(rules.dispute_window),
                    window_end: opened.deadline,
                    deadline: opened.deadline,
                    agreed: None,
                });
            }
            (Chain::CloseAnnounced(announced), Some(standing)) => {
                standing.deadline = announced.deadline;
                standing.agreed =
                    Some(Payout { participant: announced.to_participant, vip: announced.to_vip });
            }
            (Chain::Overridden(moved), Some(standing)) => {
                standing.nonce = moved.nonce;
                standing.claim = moved.claim;
                standing.deadline = moved.deadline;
                match moved.kind {
                    OverrideKind::Lower => standing.corrector = Some(moved.beneficiary),
                    OverrideKind::Equal => {}
                    OverrideKind::Raise => {
                        standing.raised = true;
                        standing.peak = standing.peak.max(moved.claim);
                        standing.window_end = moved.deadline;
                        standing.opened_at = moved.deadline.saturating_sub(rules.dispute_window);
                    }
                }
            }
            _ => {}
        }
    }
    standing
}

/// What is kept of the opening.
pub(crate) fn opening_row(event: &ChainEvent, opened: &DisputeOpened) -> OpeningRow {
    OpeningRow {
        block: event.block.number,
        block_hash: event.block.hash,
        transaction: event.transaction,
        disputer: opened.disputer,
        nonce: opened.nonce,
        version: opened.version,
        balance: opened.balance,
        claim: opened.claim,
        deadline: opened.deadline,
        fee: opened.fee,
        bond: opened.bond,
        dispute_key: opened.dispute_key,
    }
}

//! Transactions that carry what parties signed by EIP-712: see [`crate::consent`].

use alloy_primitives::{Address, B256, Bytes, U256};
use protocol::{
    ids::{Amount, ChannelId},
    vipe::{Closing, Withdrawal},
};

use super::{Call, SessionSignatures, StateClaim, Vipe, build, session_signatures, u56, u112};
use crate::bindings::IVipe;

/// A party's order that somebody else opens a dispute in its name, with the party's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitOrder {
    /// The party.
    pub party: Address,
    /// The claim is the smaller of this and what the state pays the party.
    pub cap: Amount,
    /// Who may open and pay; none for anybody.
    pub payer: Option<Address>,
    /// Last second at which the order may be used.
    pub deadline: u64,
    /// The party's signature; see [`crate::consent::exit_digest`].
    pub signature: Bytes,
}

/// Transactions.
impl Vipe {
    /// Takes money out of a live channel; sent by anybody with both parties' consents.
    pub fn withdraw(
        &self,
        channel: ChannelId,
        withdrawal: &Withdrawal,
        (participant, counterparty): (Bytes, Bytes),
    ) -> Call {
        let withdrawal = IVipe::Withdrawal {
            state: IVipe::StateClaim {
                nonce: u56(withdrawal.nonce.get()),
                version: u56(withdrawal.version.get()),
                balance: u112(withdrawal.balance),
            },
            toParticipant: u112(withdrawal.paid.participant),
            toVip: u112(withdrawal.paid.vip),
            deadline: withdrawal.deadline,
        };
        let call = IVipe::withdrawCall {
            channelId: u56(channel.get()),
            withdrawal,
            participantSignature: participant,
            counterpartySignature: counterparty,
        };
        build(self.address, &call)
    }

    /// Ends a channel, or announces the end of its dispute; sent by anybody with both parties' consents.
    pub fn close(
        &self,
        channel: ChannelId,
        closing: &Closing,
        (participant, counterparty): (Bytes, Bytes),
    ) -> Call {
        let call = IVipe::closeCall {
            channelId: u56(channel.get()),
            closing: IVipe::Closing {
                epoch: closing.epoch,
                toParticipant: u112(closing.paid.participant),
                toVip: u112(closing.paid.vip),
                deadline: closing.deadline,
            },
            participantSignature: participant,
            counterpartySignature: counterparty,
        };
        build(self.address, &call)
    }

    /// Opens a dispute for the party that signed `order`; sent by whom it authorised, who brings `value`: at least the fee
    /// and the bond of the claim, in wei, which return to the sender.
    pub fn dispute_for(
        &self,
        channel: ChannelId,
        state: StateClaim,
        (order, value): (&ExitOrder, U256),
        dispute_key: B256,
        (signatures, proof): (&SessionSignatures, Bytes),
    ) -> Call {
        let call = IVipe::disputeForCall {
            channelId: u56(channel.get()),
            state: super::state_claim(state),
            order: IVipe::ExitOrder {
                party: order.party,
                cap: u112(order.cap),
                payer: order.payer.unwrap_or(Address::ZERO),
                deadline: order.deadline,
                signature: order.signature.clone(),
            },
            disputeKey: dispute_key,
            signatures: session_signatures(signatures),
            proof,
        };
        Call { value, ..build(self.address, &call) }
    }
}

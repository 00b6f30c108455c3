//! Consents that accounts give by EIP-712: as digests, and in words for a signer elsewhere.

use alloy_primitives::{
    Address, B256,
    aliases::{U56, U96, U112},
    keccak256,
};
use alloy_sol_types::{SolStruct as _, SolValue as _};
use protocol::{
    ids::{Amount, ChannelId, Nonce},
    session::SessionDomain,
    vipe::{Closing, Withdrawal},
};

use crate::{
    account::{Typed, account_word, number, word},
    bindings::{Accept, Close, Exit, Withdraw},
    calls::ExitOrder,
    events::ChannelOpened,
};

/// The two accounts of a channel; every consent of both names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parties {
    /// The channel.
    pub channel: ChannelId,
    /// The participant's account.
    pub participant: Address,
    /// The counterparty's account.
    pub counterparty: Address,
}

/// What both parties sign to take money out, as consent number `seq` of the channel.
pub fn withdraw_consent(
    domain: &SessionDomain,
    parties: &Parties,
    seq: u64,
    withdrawal: &Withdrawal,
) -> Typed {
    let consent = Withdraw {
        channelId: U56::saturating_from(parties.channel.get()),
        participant: parties.participant,
        counterparty: parties.counterparty,
        seq,
        nonce: U56::saturating_from(withdrawal.nonce.get()),
        version: U56::saturating_from(withdrawal.version.get()),
        balance: U112::saturating_from(withdrawal.balance.get()),
        toParticipant: U112::saturating_from(withdrawal.paid.participant.get()),
        toVip: U112::saturating_from(withdrawal.paid.vip.get()),
        deadline: withdrawal.deadline,
    };
    let values = vec![
        number(consent.channelId),
        account_word(consent.participant),
        account_word(consent.counterparty),
        number(consent.seq),
        number(consent.nonce),
        number(consent.version),
        number(consent.balance),
        number(consent.toParticipant),
        number(consent.toVip),
        number(consent.deadline),
    ];
    Typed::new(&consent, &domain.eip712(), values)
}

/// The digest of [`withdraw_consent`].
pub fn withdraw_digest(
    domain: &SessionDomain,
    parties: &Parties,
    seq: u64,
    withdrawal: &Withdrawal,
) -> B256 {
    withdraw_consent(domain, parties, seq, withdrawal).digest()
}

/// What both parties sign to end a channel, as consent number `seq` of the channel.
pub fn close_consent(
    domain: &SessionDomain,
    parties: &Parties,
    seq: u64,
    closing: &Closing,
) -> Typed {
    let consent = Close {
        channelId: U56::saturating_from(parties.channel.get()),
        participant: parties.participant,
        counterparty: parties.counterparty,
        seq,
        disputeEpoch: closing.epoch,
        toParticipant: U112::saturating_from(closing.paid.participant.get()),
        toVip: U112::saturating_from(closing.paid.vip.get()),
        deadline: closing.deadline,
    };
    let values = vec![
        number(consent.channelId),
        account_word(consent.participant),
        account_word(consent.counterparty),
        number(consent.seq),
        number(consent.disputeEpoch),
        number(consent.toParticipant),
        number(consent.toVip),
        number(consent.deadline),
    ];
    Typed::new(&consent, &domain.eip712(), values)
}

/// The digest of [`close_consent`].
pub fn close_digest(
    domain: &SessionDomain,
    parties: &Parties,
    seq: u64,
    closing: &Closing,
) -> B256 {
    close_consent(domain, parties, seq, closing).digest()
}

/// What a party signs so that somebody else opens a dispute for it with the state of `nonce`. The order's own signature
/// is not read. Whoever signs it signs no state of the channel again.
pub fn exit_digest(
    domain: &SessionDomain,
    channel: ChannelId,
    nonce: Nonce,
    order: &ExitOrder,
) -> B256 {
    let order = Exit {
        channelId: U56::saturating_from(channel.get()),
        party: order.party,
        nonce: U56::saturating_from(nonce.get()),
        cap: U112::saturating_from(order.cap.get()),
        payer: order.payer.unwrap_or(Address::ZERO),
        deadline: order.deadline,
    };
    order.eip712_signing_hash(&domain.eip712())
}

/// What the counterparty signs to accept `opened` with this allocation, until `deadline` (seconds, inclusive). It repeats
/// all of the participant's request, so nothing can be exchanged between consent and acceptance; whoever signs it has
/// checked the request, recomputed its keys digest, and holds the dispute key durably.
pub fn accept_consent(
    domain: &SessionDomain,
    opened: &ChannelOpened,
    allocation: Amount,
    deadline: u64,
) -> Typed {
    let consent = Accept {
        channelId: U56::saturating_from(opened.channel.get()),
        participant: opened.participant,
        counterparty: opened.counterparty,
        vip: opened.vip,
        asset: opened.asset,
        keysDigest: opened.keys_digest,
        channelKeysHash: channel_keys_hash(&opened.participant_key, &opened.counterparty_key),
        participantSession: opened.participant_session,
        counterpartySession: opened.counterparty_session,
        disputeHash: opened.dispute_hash,
        salt: opened.salt,
        rate: U96::saturating_from(opened.rate),
        deposit: U112::saturating_from(opened.deposit.get()),
        allocation: U112::saturating_from(allocation.get()),
        acceptBy: opened.accept_by,
        deadline,
    };
    let values = vec![
        number(consent.channelId),
        account_word(consent.participant),
        account_word(consent.counterparty),
        account_word(consent.vip),
        account_word(consent.asset),
        word(&consent.keysDigest),
        word(&consent.channelKeysHash),
        account_word(consent.participantSession),
        account_word(consent.counterpartySession),
        word(&consent.disputeHash),
        word(&consent.salt),
        number(consent.rate),
        number(consent.deposit),
        number(consent.allocation),
        number(consent.acceptBy),
        number(consent.deadline),
    ];
    Typed::new(&consent, &domain.eip712(), values)
}

/// The digest of [`accept_consent`].
pub fn accept_digest(
    domain: &SessionDomain,
    opened: &ChannelOpened,
    allocation: Amount,
    deadline: u64,
) -> B256 {
    accept_consent(domain, opened, allocation, deadline).digest()
}

/// Keccak-256 of both keys as ten 32-byte words, the participant's first.
fn channel_keys_hash(participant: &[u64; 5], counterparty: &[u64; 5]) -> B256 {
    keccak256((*participant, *counterparty).abi_encode_params())
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;

    use super::*;

    #[test]
    fn the_types_are_the_ones_that_the_vault_hashes() {
        // Copied from the vault's source, where a test reads it too.
        let text = include_str!("../contracts/src/libraries/Consent.sol");
        for ours in [
            Accept::eip712_encode_type(),
            Withdraw::eip712_encode_type(),
            Close::eip712_encode_type(),
            Exit::eip712_encode_type(),
        ] {
            assert!(text.contains(&format!("\"{ours}\"")), "{ours}");
        }
    }

    #[test]
    fn channel_keys_are_hashed_as_ten_words() {
        let mut words = Vec::new();
        for element in [1_u64, 2, 3, 4, 5, 6, 7, 8, 9, 10] {
            words.extend_from_slice(&U256::from(element).to_be_bytes::<32>());
        }
        assert_eq!(channel_keys_hash(&[1, 2, 3, 4, 5], &[6, 7, 8, 9, 10]), keccak256(words));
    }
}

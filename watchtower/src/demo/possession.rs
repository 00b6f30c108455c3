//! Before anybody pays in: each side shows that it has its channel key's secret, and each proves, once, that signatures of both
//! keys can be proven. A signature that verifies and cannot be proven would be worth nothing in a dispute.

use std::time::Instant;

use protocol::schnorr::keys_digest;
use protocol::zksc::possession;
use protocol::{Address, Role};
use prover::zksc::{LiveState, PartyWitness};

use super::channel::Parties;
use super::node::fresh;
use super::proof::Prover;
use super::timeline::{Fact, Timeline};

/// Exchanges and checks the proofs of possession; both sides prove the pair.
pub(super) async fn prove_keys(
    parties: &Parties,
    prover: &Prover,
    timeline: &Timeline,
) -> eyre::Result<()> {
    let key = |role| match role {
        Role::Participant => parties.participant.channel_key(),
        Role::Counterparty => parties.counterparty.channel_key(),
    };
    let digest =
        keys_digest(key(Role::Participant).public_key(), key(Role::Counterparty).public_key())?;
    for checker in Role::BOTH {
        let began = Instant::now();
        let witness = |role| {
            let signature = possession::prove(role, key(role), &digest, &fresh());
            PartyWitness { key: *key(role).public_key(), signature }
        };
        let (participant, counterparty) = (witness(Role::Participant), witness(Role::Counterparty));
        let other = if checker == Role::Participant { &counterparty } else { &participant };
        possession::verify(checker.other(), &other.key, &digest, &other.signature)?;
        let live = LiveState {
            state: possession::state(&digest).elements(),
            participant,
            counterparty,
            beneficiary: protocol::ids::address_limbs(&Address::ZERO),
        };
        prover.prove_live(live).await?;
        timeline.step(
            &checker.to_string(),
            "proves once that the other's signatures can be proven",
            &[Fact::took("time", began.elapsed())],
        )?;
    }
    Ok(())
}

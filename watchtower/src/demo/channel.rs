//! Opening and funding a channel, each side checking everything itself.

use std::time::Duration;

use alloy_primitives::B256;
use chain::calls::OpenRequest;
use chain::consent::accept_digest;
use chain::events::{ChannelOpened, Event, decode};
use chain::provider::{At, Receipt};
use eyre::{bail, ensure, eyre};
use protocol::backup::DisputeKey;
use protocol::schnorr::{PublicKey, keys_digest};
use protocol::seed::Seed;
use protocol::vipe::{Ledger, Rate};
use protocol::zksc::{Channel, ChannelTerms, PartyTerms, Signer};
use protocol::{Amount, Role};

use super::node::fresh;
use super::plan::{RATE, SIDE_TOKENS, TOKEN};
use super::rpc::LOOK_EVERY;
use super::timeline::{Fact, Timeline, decimal};
use super::world::World;

/// Both parties before there is a channel.
#[derive(Debug)]
pub(super) struct Parties {
    pub(super) participant: Signer,
    pub(super) counterparty: Signer,
}

/// A live channel, as both sides and the chain agree on it.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) channel: Channel,
    pub(super) ledger: Ledger,
    pub(super) dispute_key: DisputeKey,
}

/// How long the chain may take to make a block final.
const FINAL_WITHIN: Duration = Duration::from_secs(120);
/// How long the participant leaves the counterparty to accept, in seconds.
const ACCEPT_WITHIN_S: u64 = 3_600;

impl Parties {
    /// Two new seeds and the keys they give.
    pub(super) fn new() -> Self {
        let signer = |role| {
            let seed = Seed::generate(&mut rand::rngs::OsRng);
            Signer::new(role, seed.channel_key(), seed.session_key())
        };
        Self { participant: signer(Role::Participant), counterparty: signer(Role::Counterparty) }
    }
}

/// Opens, accepts and funds a channel, and waits until that is final.
pub(super) async fn open(
    world: &World,
    parties: &Parties,
    timeline: &Timeline,
) -> eyre::Result<Live> {
    let (chain, accounts) = (&world.chain, &world.accounts);
    let side = Amount::try_from(SIDE_TOKENS * TOKEN)?;
    let request = request(world, parties, side, chain.now().await? + ACCEPT_WITHIN_S)?;
    let receipt = chain
        .send(&accounts.participant, &world.vipe.open(&request)?, "opening the channel")
        .await?;
    let opened = opened(world, &receipt).await?;
    timeline.step(
        "participant",
        &format!("opens channel {} and deposits", opened.channel),
        &[
            tokens("deposit", side),
            Fact::count("block", receipt.block.number),
            Fact::count("gas", receipt.gas_used),
        ],
    )?;

    // The counterparty reads the chain, not the participant's word, and holds the dispute key before it consents.
    let channel = Channel::try_from(terms(world, &opened)?)?;
    let key = DisputeKey::of(&channel, Role::Counterparty, parties.counterparty.channel_key())?;
    ensure!(key.matches(&channel), "the channel's dispute hash is not that of the shared key");
    let consent = accounts.counterparty.sign_digest(&accept_digest(
        &channel.session_domain(),
        &opened,
        side,
        opened.accept_by,
    ))?;
    let call = world.pool.accept(opened.channel, side, opened.accept_by, consent);
    let receipt = chain.send(&accounts.counterparty, &call, "accepting the channel").await?;
    timeline.step(
        "counterparty",
        "checks keys and dispute hash, consents, and its pool allocates",
        &[
            tokens("allocation", side),
            Fact::count("block", receipt.block.number),
            Fact::count("gas", receipt.gas_used),
        ],
    )?;
    until_final(world, receipt.block.number).await?;
    let mut ledger = Ledger::new();
    ledger.deposit(side)?;
    ledger.allocate(side)?;
    let (p, h) = world.vipe.ledger(&chain.rpc, opened.channel, ledger.last(), At::Latest).await?;
    ensure!(
        p == h && p == i128::try_from(side.get())?,
        "the chain's ledger is ({p}, {h}), not what both sides paid in"
    );
    timeline.step(
        "chain",
        "the channel is live and final",
        &[tokens("escrow", Amount::try_from(2 * side.get())?)],
    )?;
    Ok(Live { channel, ledger, dispute_key: key })
}

fn request(
    world: &World,
    parties: &Parties,
    deposit: Amount,
    accept_by: u64,
) -> eyre::Result<OpenRequest> {
    let (ours, theirs) = (public(&parties.participant), public(&parties.counterparty));
    let salt = B256::new(fresh());
    let key = DisputeKey::derive(parties.participant.channel_key(), &theirs, &salt)?;
    Ok(OpenRequest {
        counterparty: world.accounts.counterparty.address(),
        vip: world.pool.address,
        asset: world.token.address,
        participant_key: ours.to_integers(),
        counterparty_key: theirs.to_integers(),
        keys_digest: B256::new(keys_digest(&ours, &theirs)?.to_bytes()),
        participant_session: parties.participant.session_address(),
        counterparty_session: parties.counterparty.session_address(),
        dispute_hash: key.hash(),
        salt,
        rate: RATE,
        deposit,
        accept_by,
    })
}

/// The event of the opening, read back from the chain.
async fn opened(world: &World, receipt: &Receipt) -> eyre::Result<ChannelOpened> {
    for log in world.chain.rpc.logs_of_block(world.vipe.address, receipt.block.hash).await? {
        if log.transaction == receipt.hash
            && let Event::ChannelOpened(opened) = decode(world.vipe.address, &log)?.event
        {
            return Ok(*opened);
        }
    }
    Err(eyre!("transaction {} opened no channel", receipt.hash))
}

fn terms(world: &World, opened: &ChannelOpened) -> eyre::Result<ChannelTerms> {
    let party = |account, key, session| PartyTerms { account, key, session };
    Ok(ChannelTerms {
        chain_id: world.chain.chain_id,
        vipe: world.vipe.address,
        channel_id: opened.channel,
        participant: party(opened.participant, opened.participant_key, opened.participant_session),
        counterparty: party(
            opened.counterparty,
            opened.counterparty_key,
            opened.counterparty_session,
        ),
        keys_digest: opened.keys_digest,
        asset: opened.asset,
        rate: Rate::try_from(u128::try_from(opened.rate)?)?,
        dispute_hash: opened.dispute_hash,
        salt: opened.salt,
    })
}

/// Waits until the block with this number is final: nobody signs on less.
pub(super) async fn until_final(world: &World, number: u64) -> eyre::Result<()> {
    let deadline = tokio::time::Instant::now() + FINAL_WITHIN;
    loop {
        let known = world.chain.rpc.header(At::Finalized).await?;
        if known.is_some_and(|header| header.id.number >= number) {
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            bail!("block {number} is not final after {} s", FINAL_WITHIN.as_secs());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn public(signer: &Signer) -> PublicKey {
    *signer.channel_key().public_key()
}

/// An amount of the demo's token.
pub(super) fn tokens(name: &'static str, amount: Amount) -> Fact {
    Fact::amount(
        name,
        format!("{} DEMO", decimal(amount.get(), super::plan::TOKEN_DECIMALS, 2)),
        &amount.get(),
    )
}

//! What parties, attackers and friends do on chain in the demo, each as one step of the timeline.

use alloy_primitives::{Address, B256, Bytes, U256};
use chain::account::Account;
use chain::calls::{Call, DisputeView, SessionSignatures, StateClaim, Status};
use chain::provider::{At, Receipt};
use chain::sender::SendError;
use eyre::{WrapErr as _, bail, eyre};
use protocol::zksc::{Channel, FinalState};
use protocol::{Amount, Role};

use super::channel::{Live, tokens};
use super::proof::Prover;
use super::timeline::{Fact, Timeline, decimal};
use super::world::World;

/// Everything that an action needs.
pub(super) struct Stage<'a> {
    pub(super) world: &'a World,
    pub(super) live: &'a Live,
    pub(super) prover: &'a Prover,
    pub(super) timeline: &'a Timeline,
}

/// The part of a state that the chain reads.
pub(super) fn claim_of(state: &FinalState) -> StateClaim {
    let state = state.state();
    StateClaim { nonce: state.nonce, version: state.version, balance: state.balance }
}

/// The second lock: both session signatures.
pub(super) fn session_signatures(state: &FinalState) -> SessionSignatures {
    let bytes = |role| state.signatures(role).session.to_bytes();
    SessionSignatures {
        participant: bytes(Role::Participant),
        counterparty: bytes(Role::Counterparty),
    }
}

/// Wei as ether; as gwei where six decimals would show next to nothing.
pub(super) fn ether(name: &'static str, wei: U256) -> Fact {
    /// 0.0001 ETH.
    const SMALL: u128 = 100_000_000_000_000;
    let text = match u128::try_from(wei) {
        Ok(wei) if (1..SMALL).contains(&wei) => format!("{} gwei", decimal(wei, 9, 0)),
        Ok(wei) => format!("{} ETH", decimal(wei, 18, 6)),
        Err(_wide) => format!("{wei} wei"),
    };
    Fact::amount(name, text, &wei)
}

impl Stage<'_> {
    fn channel(&self) -> &Channel {
        &self.live.channel
    }

    /// What a state would pay a role now.
    pub(super) async fn pay(&self, state: &FinalState, role: Role) -> eyre::Result<Amount> {
        let claim = claim_of(state);
        let (participant, vip) = self
            .world
            .vipe
            .payout(
                &self.world.chain.rpc,
                self.channel().id(),
                (claim.version, claim.balance),
                At::Latest,
            )
            .await?;
        Ok(match role {
            Role::Participant => participant,
            Role::Counterparty => vip,
        })
    }

    /// The dispute as the chain has it.
    pub(super) async fn dispute_view(&self) -> eyre::Result<DisputeView> {
        Ok(self
            .world
            .vipe
            .dispute_of(&self.world.chain.rpc, self.channel().id(), At::Latest)
            .await?)
    }

    /// The channel's status on chain.
    pub(super) async fn status(&self) -> eyre::Result<Status> {
        Ok(self
            .world
            .vipe
            .channel(&self.world.chain.rpc, self.channel().id(), At::Latest)
            .await?
            .status)
    }

    async fn bond(&self, claim: Amount) -> eyre::Result<U256> {
        Ok(self.world.vipe.bond(&self.world.chain.rpc, self.channel().id(), claim).await?)
    }

    /// Opens a dispute with `state`, claiming all that it pays.
    pub(super) async fn open_dispute(
        &self,
        role: Role,
        state: &FinalState,
        what: &str,
    ) -> eyre::Result<Opening> {
        let account = match role {
            Role::Participant => &self.world.accounts.participant,
            Role::Counterparty => &self.world.accounts.counterparty,
        };
        let proof = self.prover.prove(state, self.channel(), account.address()).await?;
        let claim = self.pay(state, role).await?;
        let (fee, bond) =
            (self.world.vipe.opening_fee(&self.world.chain.rpc).await?, self.bond(claim).await?);
        let key = B256::new(*self.live.dispute_key.reveal());
        // The fee follows the base fee; what is too much is credited back.
        let value = fee + fee / U256::from(2) + bond;
        let call = self.world.vipe.dispute(
            self.channel().id(),
            claim_of(state),
            (claim, value),
            key,
            (&session_signatures(state), proof.bytes.clone()),
        );
        let receipt = self.world.chain.send(account, &call, "opening the dispute").await?;
        let view = self.dispute_view().await?;
        self.timeline.step(
            &role.to_string(),
            what,
            &[
                Fact::count("nonce", state.state().nonce.get()),
                tokens("claim", claim),
                ether("bond", bond),
                ether("fee", view.fee),
                Fact::took("proof", proof.took),
                Fact::count("proof bytes", proof.bytes.len() as u64),
                Fact::count("block", receipt.block.number),
                Fact::count("gas", receipt.gas_used),
            ],
        )?;
        Ok(Opening { claim, bond, fee: view.fee, sent: value, block: receipt.block.hash })
    }

    /// The call that puts `state` in the place of what stands.
    pub(super) async fn override_call(
        &self,
        state: &FinalState,
        beneficiary: Address,
        value: U256,
    ) -> eyre::Result<Call> {
        let proof = self.prover.prove(state, self.channel(), beneficiary).await?;
        Ok(self.override_with(state, beneficiary, proof.bytes, value))
    }

    fn override_with(
        &self,
        state: &FinalState,
        beneficiary: Address,
        proof: Bytes,
        value: U256,
    ) -> Call {
        self.world.vipe.override_state(
            self.channel().id(),
            claim_of(state),
            beneficiary,
            (&session_signatures(state), proof),
            value,
        )
    }

    /// Overrides with `state` for `beneficiary`.
    pub(super) async fn override_with_state(
        &self,
        actor: &str,
        from: &Account,
        state: &FinalState,
        beneficiary: Address,
        what: &str,
    ) -> eyre::Result<Receipt> {
        let before = self.dispute_view().await?;
        let role = if before.by_participant { Role::Participant } else { Role::Counterparty };
        let pay = self.pay(state, role).await?;
        let value = self.bond(pay).await?.saturating_sub(self.bond(before.claim).await?);
        let call = self.override_call(state, beneficiary, value).await?;
        let receipt = self.world.chain.send(from, &call, what).await?;
        self.timeline.step(
            actor,
            what,
            &[
                Fact::count("nonce", state.state().nonce.get()),
                tokens("claim before", before.claim),
                tokens("claim after", pay),
                Fact::count("block", receipt.block.number),
                Fact::count("gas", receipt.gas_used),
            ],
        )?;
        Ok(receipt)
    }

    /// An override that must be refused; the contract's reason.
    pub(super) async fn refused_override(
        &self,
        from: &Account,
        state: &FinalState,
    ) -> eyre::Result<String> {
        let call = self.override_call(state, from.address(), U256::ZERO).await?;
        match self.world.chain.sender(from).send(&call).await {
            Err(SendError::Refused(refusal)) => Ok(refusal.to_string()),
            Ok(receipt) => bail!(
                "the override was mined in block {}, after the deadline",
                receipt.block.number
            ),
            Err(error) => Err(error.into()),
        }
    }

    /// Turns the clock to the deadline.
    pub(super) async fn pass_window(&self) -> eyre::Result<()> {
        let view = self.dispute_view().await?;
        let left = view.deadline.saturating_sub(self.world.chain.now().await?);
        self.world.chain.pass(left).await?;
        self.timeline.step(
            "chain",
            "time passes: the dispute window closes",
            &[Fact::count("seconds", left)],
        )?;
        Ok(())
    }

    /// Settles, if nobody has.
    pub(super) async fn settle(&self, actor: &str, from: &Account) -> eyre::Result<()> {
        if self.status().await? == Status::Settled {
            return Ok(());
        }
        match self.world.chain.sender(from).send(&self.world.vipe.settle(self.channel().id())).await
        {
            Ok(receipt) => self.timeline.step(
                actor,
                "settles",
                &[Fact::count("block", receipt.block.number), Fact::count("gas", receipt.gas_used)],
            )?,
            // Somebody else was first.
            Err(_) if self.status().await? == Status::Settled => {}
            Err(error) => return Err(error).wrap_err("settling"),
        }
        Ok(())
    }

    /// Both parties take home what the settlement credited them.
    pub(super) async fn collect(&self) -> eyre::Result<()> {
        let (world, accounts) = (self.world, &self.world.accounts);
        let rpc = &world.chain.rpc;
        let participant = accounts.participant.address();
        let owed =
            world.vipe.asset_credit(rpc, participant, world.token.address, At::Latest).await?;
        if !owed.is_zero() {
            let call = world.vipe.claim_asset(world.token.address, participant);
            world.chain.send(&accounts.participant, &call, "the participant collects").await?;
            let owed = Amount::try_from(
                u128::try_from(owed).map_err(|_wide| eyre!("a credit beyond all money"))?,
            )?;
            self.timeline.step(
                "participant",
                "comes back and collects",
                &[tokens("collected", owed)],
            )?;
        }
        if !world
            .vipe
            .asset_credit(rpc, world.pool.address, world.token.address, At::Latest)
            .await?
            .is_zero()
        {
            world
                .chain
                .send(&accounts.counterparty, &world.pool.collect(), "the pool collects")
                .await?;
        }
        for account in [&accounts.participant, &accounts.counterparty, &accounts.friend] {
            if !world.vipe.ether_credit(rpc, account.address(), At::Latest).await?.is_zero() {
                world
                    .chain
                    .send(account, &world.vipe.claim_ether(account.address()), "collecting ether")
                    .await?;
            }
        }
        Ok(())
    }
}

/// What a dispute was opened with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening {
    pub(super) claim: Amount,
    pub(super) bond: U256,
    pub(super) fee: U256,
    /// What was sent along: fee, bond, and room for a risen fee, which is credited back.
    pub(super) sent: U256,
    /// The hash of its block.
    pub(super) block: B256,
}

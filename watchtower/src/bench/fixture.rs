//! A channel and two nodes in memory: what the benchmarks sign with. The keys are made for the occasion.

use alloy_primitives::{Address, B256};
use eyre::eyre;
use protocol::backup::DisputeKey;
use protocol::hash::Digest;
use protocol::schnorr::keys_digest;
use protocol::seed::Seed;
use protocol::vipe::{Ledger, Rate};
use protocol::zksc::handshake::{
    Config, Counterparty, Effect, Event, Message, Participant, Record,
};
use protocol::zksc::{
    Change, Channel, ChannelTerms, FinalState, PartyTerms, PaymentId, Salt, Signer, Transition,
};
use protocol::{Amount, ChannelId, Role};

/// The randomness of signatures here. A constant: repeated runs then measure the same work.
pub(super) const HEDGE: [u8; 32] = [0x5a; 32];

/// What each side puts in, in base units.
const SIDE: u128 = 1_000_000_000;

/// Two nodes of one channel.
pub(super) struct Fixture {
    pub(super) channel: Channel,
    pub(super) dispute_key: DisputeKey,
    signers: [Signer; 2],
    participant: Participant,
    counterparty: Counterparty,
    ledger: Ledger,
    latest: Option<FinalState>,
    count: u64,
}

impl Fixture {
    pub(super) fn new() -> eyre::Result<Self> {
        Self::of(ChannelId::MIN)
    }

    /// The same, with this id.
    pub(super) fn of(channel_id: ChannelId) -> eyre::Result<Self> {
        let signer = |role| {
            let seed = Seed::generate(&mut rand::rngs::OsRng);
            Signer::new(role, seed.channel_key(), seed.session_key())
        };
        let signers = [signer(Role::Participant), signer(Role::Counterparty)];
        let [ours, theirs] =
            [&signers[0], &signers[1]].map(|signer| *signer.channel_key().public_key());
        let salt = B256::repeat_byte(1);
        let dispute_key = DisputeKey::derive(signers[0].channel_key(), &theirs, &salt)?;
        let party = |account: u8, signer: &Signer| PartyTerms {
            account: Address::repeat_byte(account),
            key: signer.channel_key().public_key().to_integers(),
            session: signer.session_address(),
        };
        let channel = Channel::try_from(ChannelTerms {
            chain_id: 31_337,
            vipe: Address::repeat_byte(0xaa),
            channel_id,
            participant: party(1, &signers[0]),
            counterparty: party(2, &signers[1]),
            keys_digest: B256::new(keys_digest(&ours, &theirs)?.to_bytes()),
            asset: Address::repeat_byte(0xbb),
            rate: Rate::try_from(1 << 64)?,
            dispute_hash: dispute_key.hash(),
            salt,
        })?;
        let mut ledger = Ledger::new();
        ledger.deposit(Amount::try_from(SIDE)?)?;
        ledger.allocate(Amount::try_from(SIDE)?)?;
        let config =
            |role| -> eyre::Result<Config> { Ok(Config::new(role, Amount::try_from(2 * SIDE)?)) };
        let (participant, _) = Participant::resume(
            channel,
            signers[0].clone(),
            config(Role::Participant)?,
            ledger.clone(),
            Record::new(Role::Participant, &channel),
            0,
        )?;
        let (counterparty, _) = Counterparty::resume(
            channel,
            signers[1].clone(),
            config(Role::Counterparty)?,
            ledger.clone(),
            Record::new(Role::Counterparty, &channel),
            0,
        )?;
        Ok(Self {
            channel,
            dispute_key,
            signers,
            participant,
            counterparty,
            ledger,
            latest: None,
            count: 0,
        })
    }

    pub(super) const fn signer(&self, role: Role) -> &Signer {
        match role {
            Role::Participant => &self.signers[0],
            Role::Counterparty => &self.signers[1],
        }
    }

    pub(super) fn latest(&self) -> eyre::Result<&FinalState> {
        self.latest.as_ref().ok_or_else(|| eyre!("nothing was signed"))
    }

    /// One update to its end: every message is encoded and decoded; nothing touches a disk.
    pub(super) fn update(&mut self) -> eyre::Result<()> {
        self.update_with(&mut |_role, record| {
            std::hint::black_box(record.to_bytes());
            Ok(())
        })
    }

    /// The same; each record is made durable by `persist`.
    pub(super) fn update_with(
        &mut self,
        persist: &mut dyn FnMut(Role, &Record) -> eyre::Result<()>,
    ) -> eyre::Result<()> {
        self.count += 1;
        let (amount, payment) = (Amount::try_from(1u128)?, PaymentId([0x33; 32]));
        let change = if self.count % 2 == 1 {
            Change::Debit(amount, payment)
        } else {
            Change::Credit(amount, payment)
        };
        let version = self.ledger.last();
        let transition =
            Transition { change, version, salt: Salt::new([0x44; 32]), content: Digest::default() };
        let mut events = vec![(Role::Participant, Event::Update(transition))];
        while let Some((to, event)) = events.pop() {
            let effects = match to {
                Role::Participant => self.participant.handle(event, 0, &HEDGE)?,
                Role::Counterparty => self.counterparty.handle(event, 0, &HEDGE)?,
            };
            for effect in effects {
                match effect {
                    Effect::Persist { number, record } => {
                        persist(to, &record)?;
                        events.push((to, Event::Persisted(number)));
                    }
                    Effect::Send(message) => events.push((
                        to.other(),
                        Event::Message(Message::from_bytes(&message.to_bytes())?),
                    )),
                    Effect::Finalized(state) => self.latest = Some(*state),
                    Effect::Report(_) => {}
                }
            }
        }
        Ok(())
    }
}

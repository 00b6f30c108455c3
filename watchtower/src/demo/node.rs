//! A party's node in the demo: the pure handshake machine, its store, and the states it holds.
//!
//! ```text
//!   bytes from the other party --> machine --> effects, in order: persist (redb, before anything leaves), send, finalized
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::Instant;

use alloy_primitives::{B256, Bytes};
use eyre::{WrapErr as _, eyre};
use protocol::Role;
use protocol::vipe::Ledger;
use protocol::zksc::handshake::{
    Config, Counterparty, Effect, Event, Message, Participant, Pending, Record, Refusal,
};
use protocol::zksc::{Channel, FinalState, Signer};
use protocol::{Amount, Nonce};
use rand::RngCore as _;
use store::{Facts, SignedRow, Store};

enum Machine {
    Participant(Participant),
    Counterparty(Counterparty),
}

impl Machine {
    fn handle(&mut self, event: Event, now: u64, hedge: &[u8; 32]) -> Result<Vec<Effect>, Refusal> {
        match self {
            Self::Participant(machine) => machine.handle(event, now, hedge),
            Self::Counterparty(machine) => machine.handle(event, now, hedge),
        }
    }
}

/// One end of the channel.
pub(super) struct Node {
    pub(super) channel: Channel,
    pub(super) signer: Signer,
    machine: Machine,
    store: Store,
    began: Instant,
    /// The nonce that the store has a row for.
    recorded: Option<Nonce>,
    /// Every final state: what an attacker keeps, and an honest node need not.
    pub(super) finals: BTreeMap<u64, FinalState>,
}

impl Node {
    /// A new node of a live channel whose escrow is `ledger`.
    pub(super) fn start(
        folder: &Path,
        channel: Channel,
        signer: Signer,
        ledger: Ledger,
        max_update: Amount,
    ) -> eyre::Result<Self> {
        std::fs::create_dir_all(folder)
            .wrap_err_with(|| format!("cannot make the folder {}", folder.display()))?;
        let role = signer.role();
        let terms = channel.terms();
        let facts = Facts {
            chain_id: terms.chain_id,
            vipe: terms.vipe,
            account: channel.party(role).account,
        };
        let store = Store::open(folder.join("node.redb"), facts)?;
        let (config, record) = (Config::new(role, max_update), Record::new(role, &channel));
        let machine = match role {
            Role::Participant => Machine::Participant(
                Participant::resume(channel, signer.clone(), config, ledger, record, 0)?.0,
            ),
            Role::Counterparty => Machine::Counterparty(
                Counterparty::resume(channel, signer.clone(), config, ledger, record, 0)?.0,
            ),
        };
        Ok(Self {
            channel,
            signer,
            machine,
            store,
            began: Instant::now(),
            recorded: None,
            finals: BTreeMap::new(),
        })
    }

    /// The newest final state.
    pub(super) fn latest(&self) -> eyre::Result<&FinalState> {
        self.finals.values().next_back().ok_or_else(|| eyre!("nothing has been signed"))
    }

    /// The final state with this nonce.
    pub(super) fn at(&self, nonce: u64) -> eyre::Result<&FinalState> {
        self.finals.get(&nonce).ok_or_else(|| eyre!("there is no final state with nonce {nonce}"))
    }

    /// Takes a message of the other party.
    pub(super) async fn receive(&mut self, bytes: &[u8]) -> eyre::Result<Vec<Vec<u8>>> {
        let message = Message::from_bytes(bytes)?;
        self.take(Event::Message(message)).await
    }

    /// Takes one event and everything that follows from it; returns what is to be sent, only after what it needs is on disk.
    pub(super) async fn take(&mut self, event: Event) -> eyre::Result<Vec<Vec<u8>>> {
        let (mut events, mut outbound) = (VecDeque::from([event]), Vec::new());
        while let Some(event) = events.pop_front() {
            let now = u64::try_from(self.began.elapsed().as_millis())?;
            let effects = self.machine.handle(event, now, &fresh())?;
            for effect in effects {
                match effect {
                    Effect::Persist { number, record } => {
                        self.persist(&record).await?;
                        events.push_back(Event::Persisted(number));
                    }
                    Effect::Send(message) => outbound.push(message.to_bytes()),
                    Effect::Finalized(state) => {
                        self.finals.insert(state.state().nonce.get(), *state);
                    }
                    Effect::Report(report) => tracing::warn!(?report, "handshake"),
                }
            }
        }
        Ok(outbound)
    }

    /// The write-ahead of a signature. The store refuses a second state at one nonce.
    async fn persist(&mut self, record: &Record) -> eyre::Result<()> {
        let state = match record.pending() {
            Pending::Proposed(proposal) => proposal.state,
            Pending::Outstanding(_, partial) => *partial.state(),
            _ => *record.base(),
        };
        let row = SignedRow {
            nonce: state.nonce,
            digest: B256::new(state.digest().to_bytes()),
            payload: Bytes::from(record.to_bytes()),
        };
        let id = self.channel.id();
        if self.recorded == Some(state.nonce) {
            self.store.amend_signature(id, row).await?;
        } else {
            self.store.record_signature(id, row).await?;
            self.recorded = Some(state.nonce);
        }
        Ok(())
    }
}

/// 32 random bytes.
pub(super) fn fresh() -> [u8; 32] {
    let mut bytes = [0; 32];
    rand::rngs::OsRng.fill_bytes(&mut bytes);
    bytes
}

//! The participant's node on the towers' network: finds the towers, hands its backup to those that keep the shard, and counts
//! their receipts until all hold it (`docs/spec/network.md`, section 9).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256};
use eyre::{bail, ensure};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use gossip::{Config, Handle, Identity, Network, Peer, Place, Submitted, TakesNothing};
use protocol::Domain;
use protocol::backup::Envelope;
use protocol::network::placement::{Directory, Standing};
use protocol::network::replicate::{self, Effect, Event, Now, Outcome, Replicator, Status};
use protocol::network::wire::{BackupRequest, BackupResponse, NodeKey};
use protocol::zksc::Channel;
use rand::Rng as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::rpc::LOOK_EVERY;

/// How long the towers have to be found, and to give their receipts.
const WITHIN: Duration = Duration::from_secs(120);

/// A node that is connected to towers; it leaves when it is dropped.
pub(super) struct Submitter {
    handle: Handle,
    domain: Domain,
    directory: Directory,
    _network: JoinSet<()>,
    _stop: tokio_util::sync::DropGuard,
}

impl Submitter {
    /// Joins the network at these places and waits until `count` towers are met and listed.
    pub(super) async fn join(
        domain: Domain,
        places: &[String],
        count: usize,
    ) -> eyre::Result<Self> {
        let mut config = Config::new(domain);
        config.bootstrap =
            places.iter().map(|place| place.parse::<Place>()).collect::<Result<_, _>>()?;
        let (handle, network) =
            Network::open(config, &Identity::ephemeral(), Arc::new(TakesNothing))?;
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(network.run(stop.clone()));
        let mut submitter = Self {
            handle,
            domain,
            directory: Directory::new(domain),
            _network: tasks,
            _stop: stop.drop_guard(),
        };
        let deadline = Instant::now() + WITHIN;
        while submitter.reachable().len() < count {
            ensure!(
                Instant::now() < deadline,
                "only {} of {count} towers were found",
                submitter.reachable().len()
            );
            tokio::time::sleep(LOOK_EVERY).await;
            submitter.ask_around().await;
        }
        Ok(submitter)
    }

    /// The listed towers that are connected, by their accounts.
    fn reachable(&self) -> BTreeMap<Address, Peer> {
        let node = |peer: Peer| Some((NodeKey::from_peer_id(&peer.to_bytes())?, peer));
        let met: BTreeMap<NodeKey, Peer> =
            self.handle.towers().into_iter().filter_map(node).collect();
        let of = |tower: Address| Some((tower, *met.get(&self.directory.node(&tower)?)?));
        self.directory.accounts().filter_map(of).collect()
    }

    /// Asks every tower that is met for the first page of its directory; a demo has no more.
    async fn ask_around(&mut self) {
        let request = BackupRequest::Towers { domain: self.domain, after: Address::ZERO };
        for peer in self.handle.towers() {
            let Ok(BackupResponse::Towers(page)) = self.handle.backup(peer, &request).await else {
                continue;
            };
            for entry in page {
                let verified = entry
                    .verify(|key, message, signature| gossip::verify(&key.0, message, signature));
                if let Ok(signed) = verified {
                    self.directory.offer(signed, Standing::Unknown, crate::clock::now_s());
                }
            }
        }
    }

    /// Hands the envelope to all towers of its shard and waits until each has given a receipt. `told` hears each count.
    pub(super) async fn replicate(
        &self,
        envelope: &Envelope,
        channel: &Channel,
        mut told: impl FnMut(&Status) -> eyre::Result<()>,
    ) -> eyre::Result<Status> {
        let towers = self.directory.towers_of(channel.id());
        let wanted = towers.len();
        let config = replicate::Config { target: wanted, ..replicate::Config::default() };
        let mut replicator = Replicator::new(envelope.header().slot(), config);
        let began = Instant::now();
        let mut answers = FuturesUnordered::new();
        let mut events = vec![Event::Towers(towers), Event::Publish(Box::new(envelope.clone()))];
        let reachable = self.reachable();
        loop {
            let mut wake = LOOK_EVERY;
            for event in std::mem::take(&mut events) {
                for effect in replicator.handle(event, now(began)) {
                    match effect {
                        Effect::Submit { tower, id, .. } => {
                            let peer = reachable.get(&tower).copied();
                            answers.push(self.submit(tower, peer, (id, envelope)));
                        }
                        Effect::WakeAt(at) => {
                            wake = Duration::from_millis(at.saturating_sub(now(began).ms).max(1));
                        }
                        Effect::Status(status) => told(&status)?,
                        Effect::Alarm(alarm) => bail!("{alarm}"),
                    }
                }
            }
            if let Some(status) = replicator.status(now(began))
                && status.is_protected()
            {
                return Ok(status);
            }
            ensure!(began.elapsed() < WITHIN, "not all towers gave a receipt");
            tokio::select! {
                Some(answer) = answers.next() => events.push(answer),
                () = tokio::time::sleep(wake) => events.push(Event::Tick),
            }
        }
    }

    async fn submit(
        &self,
        tower: Address,
        peer: Option<Peer>,
        (id, envelope): (B256, &Envelope),
    ) -> Event {
        let outcome = match peer {
            None => Outcome::Unreachable,
            Some(peer) => match self.handle.submit(peer, envelope, 0).await {
                Ok(Submitted::Receipt(receipt)) => {
                    receipt.verify().map_or(Outcome::Unreachable, Outcome::Receipt)
                }
                Ok(Submitted::Refused(refusal)) => Outcome::Refused(refusal),
                Err(_no_answer) => Outcome::Unreachable,
            },
        };
        Event::Answer { tower, id, outcome: Box::new(outcome) }
    }
}

fn now(began: Instant) -> Now {
    Now {
        ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        unix_s: crate::clock::now_s(),
        chance: rand::thread_rng().r#gen(),
    }
}

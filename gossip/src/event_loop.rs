//! The one task that owns the swarm.
//!
//! ```text
//!   stop > what the desk has done > own alerts > commands > the clock > what the network brings
//! ```
//!
//! In that order: work that is nearly finished comes before new work, ours before that of strangers. Everything here is
//! quick; whatever takes time is the desk's. What comes in is turned away when the desk is full, never waited for.

mod discovery;
mod gossip;
mod requests;

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::StreamExt as _;
use libp2p::swarm::{ListenError, SwarmEvent};
use libp2p::{PeerId, Swarm};
use protocol::network::wire::Topic;
use tokio::sync::{mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::behaviour::{Behaviour, BehaviourEvent};
use crate::conduct::{Conduct, Fault};
use crate::config::Config;
use crate::counters::Counters;
use crate::desk::{Desk, Done};
use crate::figures::Figures;
use crate::handle::{Command, PeerInfo, Status};
use crate::intake::Intake;
use crate::names::{Peer, Place};
use crate::peers::AddressBook;
use discovery::Discovery;
use requests::Open;

/// The clock of everything periodic here.
const TICK: Duration = Duration::from_secs(1);

/// Ticks between two savings of the address book.
const SAVE_EVERY: u64 = 60;

/// What is known of a connected peer.
#[derive(Debug, Default)]
struct Connected {
    agent: String,
    tower: bool,
}

/// The network's task.
pub(crate) struct EventLoop<N> {
    swarm: Swarm<Behaviour>,
    desk: Desk<N>,
    commands: mpsc::Receiver<Command>,
    alerts: mpsc::Receiver<(Topic, Vec<u8>)>,
    counters: Arc<Counters>,
    config: Config,
    connected: HashMap<PeerId, Connected>,
    conduct: Conduct,
    book: AddressBook,
    discovery: Discovery,
    open: Open,
    /// Own alerts that nobody has heard yet.
    unheard: VecDeque<(Topic, Vec<u8>)>,
    towers: watch::Sender<Vec<Peer>>,
    ticks: u64,
    saving: Option<tokio::task::JoinHandle<()>>,
    figures: Figures,
}

/// What the event loop is made of.
pub(crate) struct Parts<N> {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) intake: Arc<N>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) alerts: mpsc::Receiver<(Topic, Vec<u8>)>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) config: Config,
    pub(crate) book: AddressBook,
    pub(crate) towers: watch::Sender<Vec<Peer>>,
    pub(crate) figures: Figures,
}

pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

impl<N: Intake> EventLoop<N> {
    pub(crate) fn new(parts: Parts<N>) -> Self {
        let Parts { mut swarm, intake, commands, alerts, counters, config, book, towers, figures } =
            parts;
        for peer in book.banned() {
            swarm.behaviour_mut().bans.block_peer(*peer);
        }
        let discovery = Discovery::new(&config);
        Self {
            desk: Desk::new(intake, &config.limits),
            swarm,
            commands,
            alerts,
            counters,
            config,
            connected: HashMap::new(),
            conduct: Conduct::default(),
            book,
            discovery,
            open: Open::default(),
            unheard: VecDeque::new(),
            towers,
            ticks: 0,
            saving: None,
            figures,
        }
    }

    /// Runs until told to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut clock = clock();
        self.begin();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some((peer, done)) = self.desk.done() => self.on_done(peer, done),
                Some((topic, bytes)) = self.alerts.recv() => self.publish_alert(topic, bytes),
                Some(command) = self.commands.recv() => self.on_command(command),
                _ = clock.tick() => self.on_tick(),
                event = self.swarm.select_next_some() => self.on_event(event),
            }
        }
        self.save_book();
        if let Some(saving) = self.saving.take() {
            let _ = saving.await;
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Ask { peer, kind, bytes, answer } => self.ask(peer, kind, bytes, answer),
            Command::Publish { topic, bytes } => self.publish(&topic, bytes),
            Command::Dial(place) => self.dial_place(&place),
            Command::Ban(peer) => self.ban(peer.0),
            // Whoever asked may be gone.
            Command::Peers(answer) => drop(answer.send(self.peers())),
            Command::Status(answer) => drop(answer.send(self.status())),
        }
    }

    fn on_done(&mut self, peer: PeerId, done: Done) {
        match done {
            Done::Judged { id, verdict, late } => self.judged(peer, &id, verdict, late),
            Done::Backup { channel, reply } => {
                let response = self.replied(peer, reply);
                let sent = self.swarm.behaviour_mut().backup.send_response(channel, response);
                self.count_answer(sent.is_ok());
            }
            Done::Sync { channel, reply } => {
                let response = self.replied(peer, reply);
                let sent = self.swarm.behaviour_mut().sync.send_response(channel, response);
                self.count_answer(sent.is_ok());
            }
            Done::Abandoned => self.counters.requests_abandoned.one(),
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        self.figures.record(&event);
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(event)) => self.on_gossip(event),
            SwarmEvent::Behaviour(BehaviourEvent::Backup(event)) => self.on_backup(event),
            SwarmEvent::Behaviour(BehaviourEvent::Sync(event)) => self.on_sync(event),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(event)) => self.on_identify(event),
            SwarmEvent::Behaviour(BehaviourEvent::Mdns(event)) => self.on_mdns(event),
            SwarmEvent::Behaviour(_) => {}
            SwarmEvent::ConnectionEstablished { peer_id, endpoint, .. } => {
                self.on_connected(peer_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
                self.connected.remove(&peer_id);
                self.show_towers();
                self.counters.requests_abandoned.add(self.desk.abandon(&peer_id));
            }
            SwarmEvent::IncomingConnectionError {
                error: ListenError::Denied { cause }, ..
            } => {
                tracing::debug!(%cause, "connection refused");
                self.counters.connections_refused.one();
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), error, .. } => {
                tracing::debug!(%peer, %error, "cannot connect");
                self.discovery.failed(peer, tokio::time::Instant::now());
            }
            SwarmEvent::NewListenAddr { address, .. } => self.on_listening(&address),
            SwarmEvent::ExternalAddrConfirmed { address } => {
                tracing::info!(%address, "the tower is reachable from outside");
            }
            SwarmEvent::ListenerClosed { listener_id, .. } => {
                self.discovery.relay_closed(listener_id);
            }
            _ => {}
        }
    }

    fn on_tick(&mut self) {
        self.ticks = self.ticks.wrapping_add(1);
        for (peer, score) in self.conduct.tick() {
            self.swarm.behaviour_mut().gossip.set_application_score(&peer, score);
        }
        self.retry_alerts();
        self.discover();
        if self.ticks.is_multiple_of(SAVE_EVERY) {
            for peer in self.book.tidy(now_s()) {
                self.swarm.behaviour_mut().bans.unblock_peer(peer);
            }
            self.save_book();
        }
    }

    /// Records a fault, and bans whoever has too many.
    fn blame(&mut self, peer: PeerId, fault: Fault) {
        tracing::debug!(%peer, ?fault, "a peer's fault");
        if self.conduct.record(peer, fault) {
            self.ban(peer);
        } else {
            let score = self.conduct.score(&peer);
            self.swarm.behaviour_mut().gossip.set_application_score(&peer, score);
        }
    }

    fn ban(&mut self, peer: PeerId) {
        tracing::warn!(%peer, "peer banned");
        self.counters.bans.one();
        self.book.ban(peer, now_s().saturating_add(self.config.limits.ban.as_secs()));
        // Closes its connections as well.
        self.swarm.behaviour_mut().bans.block_peer(peer);
    }

    /// Shows the handles which towers are connected.
    fn show_towers(&self) {
        let towers = self.connected.iter().filter(|(_, known)| known.tower);
        let mut towers: Vec<_> = towers.map(|(peer, _)| Peer(*peer)).collect();
        towers.sort_unstable();
        self.towers.send_if_modified(|shown| {
            let changed = *shown != towers;
            *shown = towers;
            changed
        });
    }

    fn peers(&self) -> Vec<PeerInfo> {
        let router = &self.swarm.behaviour().gossip;
        self.connected
            .iter()
            .map(|(peer, known)| PeerInfo {
                peer: Peer(*peer),
                score: router.peer_score(peer).unwrap_or_else(|| self.conduct.score(peer)),
                tower: known.tower,
                agent: known.agent.clone(),
            })
            .collect()
    }

    fn status(&self) -> Status {
        let router = &self.swarm.behaviour().gossip;
        let mesh = router.topics().map(|topic| router.mesh_peers(topic).count());
        Status {
            peer: Peer(*self.swarm.local_peer_id()),
            listening: self.swarm.listeners().cloned().map(Place).collect(),
            reachable_at: self.swarm.external_addresses().cloned().map(Place).collect(),
            peers: self.connected.len(),
            towers: self.connected.values().filter(|known| known.tower).count(),
            mesh_min: mesh.min().unwrap_or(0),
            load: self.desk.load(),
        }
    }

    /// Saves the address book on a thread for blocking work, one saving at a time.
    fn save_book(&mut self) {
        let Some(path) = self.config.book.clone() else { return };
        if self.saving.as_ref().is_some_and(|saving| !saving.is_finished()) {
            return;
        }
        let text = self.book.to_text();
        self.saving = Some(tokio::task::spawn_blocking(move || save(&path, &text)));
    }
}

fn save(path: &Path, text: &str) {
    if let Err(error) = crate::peers::save(path, text) {
        tracing::warn!(%error, path = %path.display(), "the address book is not saved");
    }
}

fn clock() -> Interval {
    let mut clock = tokio::time::interval(TICK);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    clock
}

//! The network between towers, over libp2p.
//!
//! What it promises about delivery: *a request* is answered or fails within a bounded time. *Gossip* is best effort: fast
//! when things are well, and nobody is told when it is lost. *Reconciliation* is what makes replicas equal: whatever one
//! tower holds, every other one gets, at the latest with the next round. *Alerts* overtake everything, on the way in and
//! on the way out.
//!
//! ```text
//!   tower --Handle (bounded)--> event loop (owns the swarm) <--QUIC, TCP--> other towers, nodes
//!   tower <--Intake-- desk (fair queues, tasks) <--'
//! ```
//!
//! **Invariant:** whatever a peer does, the tower behind [`Intake`] does a bounded amount of work for it, and the node
//! behind [`Handle`] never waits.
//! **Invariant:** nothing is forwarded that the tower has not accepted.
//!
//! Trade-offs and known gaps: gossip is anonymous, so who published first is not known; the router offers no peer
//! exchange, so discovery rests on bootstrap peers, the address book and Kademlia; identities cost nothing, so limits are
//! by IP address, and who has many addresses has many places.

mod behaviour;
mod codec;
mod conduct;
mod config;
mod counters;
mod desk;
mod error;
mod event_loop;
mod fair;
mod figures;
mod fresh_port;
mod handle;
mod identity;
mod intake;
mod limits;
pub mod link;
mod names;
mod peers;
mod scoring;
mod swarm;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use config::{Carrier, Config, Limits, Reachable};
pub use counters::{Counter, Counters};
pub use error::{PublishError, RequestError, StartError};
pub use handle::{Handle, PeerInfo, Status, Submitted};
pub use identity::{Identity, IdentityError, verify};
pub use intake::{Intake, Reply, TakesNothing, Verdict};
pub use names::{NameError, Peer, Place};

use event_loop::{EventLoop, Parts};
use figures::{Figures, Page};
use peers::AddressBook;

/// A network that is set up and listens, and does nothing until it is run.
pub struct Network<N> {
    event_loop: EventLoop<N>,
}

impl<N> std::fmt::Debug for Network<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Network")
    }
}

impl<N: Intake> Network<N> {
    /// Sets a network up. Must be called inside a runtime.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn open(
        config: Config,
        identity: &Identity,
        intake: Arc<N>,
    ) -> Result<(Handle, Self), StartError> {
        let book = open_book(&config)?;
        let mut registry = libp2p::metrics::Registry::default();
        let figures = Figures::new(&mut registry);
        let swarm = swarm::build(&config, identity, &mut registry)?;
        let page = Page::new(registry);
        let (commands, to_run) = mpsc::channel(handle::COMMANDS_MAX);
        let (alerts, to_tell) = mpsc::channel(handle::ALERTS_MAX);
        let counters = Arc::new(Counters::default());
        let (show, towers) = watch::channel(Vec::new());
        let me = identity.peer();
        let handle = Handle { me, commands, alerts, counters: Arc::clone(&counters), towers, page };
        let parts = Parts {
            swarm,
            intake,
            commands: to_run,
            alerts: to_tell,
            counters,
            config,
            book,
            towers: show,
            figures,
        };
        Ok((handle, Self { event_loop: EventLoop::new(parts) }))
    }

    /// Runs it until told to stop. Every handle's requests fail with [`RequestError::Stopped`] afterwards.
    pub async fn run(self, stop: CancellationToken) {
        Box::pin(self.event_loop.run(stop)).await;
    }
}

fn open_book(config: &Config) -> Result<AddressBook, StartError> {
    let Some(path) = &config.book else { return Ok(AddressBook::default()) };
    let now_s = event_loop::now_s();
    let (book, dropped) = AddressBook::load(path, now_s)
        .map_err(|source| StartError::Book { path: path.clone(), source })?;
    if dropped > 0 {
        tracing::warn!(dropped, path = %path.display(), "lines of the address book were dropped");
    }
    Ok(book)
}

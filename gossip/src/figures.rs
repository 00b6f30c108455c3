//! libp2p's own metrics, in its own format.
//!
//! **Invariant:** labels are topics of the vault, protocol names that this program knows, and closed enums: nothing that a
//! peer chooses.

use std::sync::Arc;

use libp2p::metrics::{Metrics, Recorder as _, Registry};
use libp2p::swarm::SwarmEvent;

use crate::behaviour::BehaviourEvent;

/// What is written down of the swarm's events.
pub(crate) struct Figures(Metrics);

/// Where the figures come out; the router writes its own there.
#[derive(Debug, Clone)]
pub(crate) struct Page(Arc<Registry>);

impl Figures {
    /// Registers everything but the router's own figures.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        Self(Metrics::new(registry))
    }

    /// An event of the swarm.
    pub(crate) fn record(&self, event: &SwarmEvent<BehaviourEvent>) {
        self.0.record(event);
        if let SwarmEvent::Behaviour(event) = event {
            match event {
                BehaviourEvent::Gossip(event) => self.0.record(event),
                BehaviourEvent::Identify(event) => self.0.record(event),
                BehaviourEvent::Kad(event) => self.0.record(event),
                BehaviourEvent::Ping(event) => self.0.record(event),
                BehaviourEvent::RelayServer(event) => self.0.record(event),
                BehaviourEvent::Dcutr(event) => self.0.record(event),
                _ => {}
            }
        }
    }
}

impl Page {
    pub(crate) fn new(registry: Registry) -> Self {
        Self(Arc::new(registry))
    }

    /// `OpenMetrics` text; empty if it cannot be written.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.0) {
            Ok(()) => text,
            Err(_unwritable) => String::new(),
        }
    }
}

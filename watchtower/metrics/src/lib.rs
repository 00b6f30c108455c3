//! What a tower tells Prometheus.
//!
//! One struct a component; the doc comment of a field is the help text of its metric. Labels are closed enums, and every
//! series of a closed enum is there from the start, with zero: a panel is never empty because nothing has happened yet.
//!
//! ```text
//!   hooks (node, submitter, store, http) --observe, inc--> families --+
//!   health (follower, submitter, store) --set, once a scrape--------->+--> Metrics::page --> GET /metrics
//! ```
//!
//! **Invariant:** a metric's name is `watchtower_<component>_<thing>_<unit>`, with `_total` for counters; [`Metrics::catalog`]
//! has each with type, unit and help, and dashboards and alerts are tested against it.
//! **Invariant:** no label value comes from a peer, a client or a channel: the number of series is bounded by this crate.

mod builder;
#[macro_use]
mod components;
mod family;
mod foreign;
mod label;
mod node;
mod race;
mod runbooks;

pub use builder::{Entry, MetricsError, Type, Unit};
pub use components::{
    Account, Admission, Build, Chain, Dispute, Endpoints, Http, Intake, Monitor, Network, Prover,
    Queues, Race, Storage, Submit, Tasks,
};
pub use family::{By, By2, Counter, Gauge, Histogram, Total, Vector};
pub use foreign::translate;
pub use label::{
    Alarm, AlertEvent, ChannelState, Endpoint, Judgement, Label, Level, Life, NetworkEvent, Offer,
    OrderState, Outcome, Phase, ProofEnd, Purpose, Queue, Release, Route, Standing, Status, Step,
    StoreEnd, SyncEvent, Table, Task, Waiting,
};
pub use node::Node;
pub use race::{DISPUTES_MAX, RaceClock};
pub use runbooks::RUNBOOKS;

use prometheus::{Registry, TextEncoder};

use builder::Builder;

/// The media type of [`Metrics::page`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of one tower.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    catalog: Vec<Entry>,
    /// What runs.
    pub build: Build,
    /// The chain as the follower sees it.
    pub chain: Chain,
    /// Each node of the chain.
    pub endpoints: Endpoints,
    /// Disputes.
    pub dispute: Dispute,
    /// How long the phases of an answer take.
    pub race: Race,
    /// Proofs.
    pub prover: Prover,
    /// Transactions.
    pub submit: Submit,
    /// The account's ether.
    pub account: Account,
    /// The store.
    pub storage: Storage,
    /// Backups that clients bring.
    pub intake: Intake,
    /// What decides about envelopes.
    pub admission: Admission,
    /// The network between towers.
    pub network: Network,
    /// The HTTP server.
    pub http: Http,
    /// Queues against their bounds.
    pub queues: Queues,
    /// The tasks.
    pub tasks: Tasks,
}

impl Metrics {
    /// Registers everything, with zero in every series of a closed label.
    ///
    /// # Errors
    /// When two metrics have one name or a name is none: a bug that this crate's tests find.
    pub fn new() -> Result<Self, MetricsError> {
        let mut builder = Builder::default();
        let metrics = Self {
            build: Build::register(&mut builder)?,
            chain: Chain::register(&mut builder)?,
            endpoints: Endpoints::register(&mut builder)?,
            dispute: Dispute::register(&mut builder)?,
            race: Race::register(&mut builder)?,
            prover: Prover::register(&mut builder)?,
            submit: Submit::register(&mut builder)?,
            account: Account::register(&mut builder)?,
            storage: Storage::register(&mut builder)?,
            intake: Intake::register(&mut builder)?,
            admission: Admission::register(&mut builder)?,
            network: Network::register(&mut builder)?,
            http: Http::register(&mut builder)?,
            queues: Queues::register(&mut builder)?,
            tasks: Tasks::register(&mut builder)?,
            registry: builder.registry.clone(),
            catalog: Vec::new(),
        };
        builder.process()?;
        Ok(Self { catalog: builder.catalog, ..metrics })
    }

    /// Every metric that [`Metrics::page`] can have, in order of registration.
    #[must_use]
    pub fn catalog(&self) -> &[Entry] {
        &self.catalog
    }

    /// The page that Prometheus reads: text format 0.0.4.
    ///
    /// # Errors
    /// When a family cannot be written: a bug.
    pub fn page(&self) -> Result<String, MetricsError> {
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }
}

/// All metrics of a monitor.
#[derive(Debug)]
pub struct MonitorMetrics {
    registry: Registry,
    catalog: Vec<Entry>,
    /// The chain as the follower sees it.
    pub chain: Chain,
    /// What it watches.
    pub monitor: Monitor,
}

impl MonitorMetrics {
    /// As [`Metrics::new`].
    ///
    /// # Errors
    /// As [`Metrics::new`].
    pub fn new() -> Result<Self, MetricsError> {
        let mut builder = Builder::default();
        let chain = Chain::register(&mut builder)?;
        let monitor = Monitor::register(&mut builder)?;
        builder.process()?;
        Ok(Self { registry: builder.registry, catalog: builder.catalog, chain, monitor })
    }

    /// As [`Metrics::catalog`].
    #[must_use]
    pub fn catalog(&self) -> &[Entry] {
        &self.catalog
    }

    /// As [`Metrics::page`].
    ///
    /// # Errors
    /// As [`Metrics::page`].
    pub fn page(&self) -> Result<String, MetricsError> {
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }
}

/// All metrics of a node or a hub.
#[derive(Debug)]
pub struct NodeMetrics {
    registry: Registry,
    catalog: Vec<Entry>,
    /// The node.
    pub node: Node,
}

impl NodeMetrics {
    /// As [`Metrics::new`].
    ///
    /// # Errors
    /// As [`Metrics::new`].
    pub fn new() -> Result<Self, MetricsError> {
        let mut builder = Builder::default();
        let node = Node::register(&mut builder)?;
        builder.process()?;
        Ok(Self { registry: builder.registry, catalog: builder.catalog, node })
    }

    /// As [`Metrics::catalog`].
    #[must_use]
    pub fn catalog(&self) -> &[Entry] {
        &self.catalog
    }

    /// As [`Metrics::page`].
    ///
    /// # Errors
    /// As [`Metrics::page`].
    pub fn page(&self) -> Result<String, MetricsError> {
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }
}

#[cfg(test)]
mod tests;

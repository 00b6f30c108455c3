//! What takes backups: admission, the index of what is held, and the network between towers where one is wanted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use chain::account::Account;
use chain::calls::Vipe;
use chain::follower::{Follower, Health};
use chain::provider::Rpc;
use chain::submitter::{SubmitHealth, Submitter};
use protocol::network::ShardSet;
use protocol::network::placement::Selection;
use store::{JumpLimit, Store};
use tokio::sync::{Notify, mpsc, watch};

use super::StartError;
use crate::admission::{self, Admission};
use crate::config::Config;
use crate::driver::foresight::Desk;
use crate::driver::notices::Notices;
use crate::http::{Counters, Shared};
use crate::network::{self, Link, Note, Replica};
use crate::observe::Recorder;
use crate::tasks::{Stage, Tasks};

/// What the intake knows of the tower around it.
pub(super) struct World {
    pub(super) store: Store,
    pub(super) rpc: Rpc,
    pub(super) vipe: Vipe,
    pub(super) follower: watch::Receiver<Health>,
}

/// What the tower around it knows of the intake.
pub(super) struct Started {
    pub(super) admission: Arc<Admission>,
    pub(super) replica: Arc<Replica>,
    /// The network, where there is one.
    pub(super) link: Option<Link>,
    /// Tells the network of disputes, where there is one.
    pub(super) notes: Option<mpsc::Sender<Note>>,
    /// Makes the follower look now.
    pub(super) nudge: Arc<Notify>,
}

/// Reads what is held, and starts to take more.
pub(super) fn start(
    config: &Config,
    account: &Account,
    world: World,
    notices: Notices,
    tasks: &mut Tasks,
) -> Result<Started, StartError> {
    let World { store, rpc, vipe, follower } = world;
    // Alone everything is kept, and so is what is placed while nobody else is known.
    let kept = match config.network.selection()? {
        Selection::These(shards) if config.network.is_wanted() => shards,
        _ => ShardSet::ALL,
    };
    let replica = Arc::new(Replica::load(&store, kept)?);
    let (admission, desk) = Admission::new(admission::Parts {
        store: store.clone(),
        account: account.clone(),
        jump: JumpLimit { per_hour: config.intake.jump_per_hour },
        receipt_validity: config.intake.receipt_validity,
        follower: follower.clone(),
        notices,
        replica: Arc::clone(&replica),
    });
    tasks.spawn(Stage::Watch, "admission", |stop| desk.run(stop));
    let (notes, to_tell) = mpsc::channel(network::NOTES_MAX);
    let nudge = Arc::new(Notify::new());
    let parts = network::Parts {
        store,
        account: account.clone(),
        admission: Arc::clone(&admission),
        replica: Arc::clone(&replica),
        follower,
        nudge: Arc::clone(&nudge),
        rpc,
        vipe,
        notes: to_tell,
    };
    let link = network::start(&config.network, &config.data_dir, parts, tasks)?;
    let notes = link.is_some().then_some(notes);
    Ok(Started { admission, replica, link, notes, nudge })
}

/// How the parts fare that answer for a tower's readiness.
pub(super) struct Healths {
    follower: watch::Receiver<Health>,
    submitter: watch::Receiver<SubmitHealth>,
    prover_ready: watch::Receiver<bool>,
    foresight: Arc<Desk>,
    ended: watch::Receiver<BTreeSet<&'static str>>,
}

impl Healths {
    pub(super) fn new(
        follower: &Follower,
        submitter: &Submitter,
        prover_ready: watch::Receiver<bool>,
        foresight: &Arc<Desk>,
        tasks: &Tasks,
    ) -> Self {
        let (follower, submitter) = (follower.health(), submitter.health());
        let (foresight, ended) = (Arc::clone(foresight), tasks.ended());
        Self { follower, submitter, prover_ready, foresight, ended }
    }
}

impl Started {
    /// What the pages of the HTTP server are made from.
    pub(super) fn shared(
        &self,
        config: &Config,
        store: &Store,
        recorder: &Recorder,
        healths: Healths,
    ) -> Arc<Shared> {
        let Healths { follower, submitter, prover_ready, foresight, ended } = healths;
        Arc::new(Shared {
            store: store.clone(),
            admission: Arc::clone(&self.admission),
            replica: Arc::clone(&self.replica),
            network: self.link.clone(),
            follower,
            submitter,
            prover_ready,
            ended,
            foresight,
            counters: Counters::default(),
            started: Instant::now(),
            store_path: config.store_path(),
            peers_min: config.network.peers_min,
            recorder: recorder.clone(),
        })
    }
}

//! Named tasks, and one way to stop.
//!
//! Nothing in the tower is spawned but through [`Tasks`]. A task belongs to a [`Stage`]; the first task to end, for
//! whatever reason, stops the service, and so does a signal. Only tasks that were spawned apart may end by themselves: the
//! service is of use without them. Stages stop in their order, each waiting for the one before,
//! so that nobody's work is taken away while it is still needed: no new requests, then no new events, then the node
//! finishes what it has, then the prover, the submitter, and last the store.
//!
//! **Invariant:** after [`Tasks::run`] returns no task is running.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// When a task stops, first to last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Takes requests.
    Http,
    /// Talks to other towers.
    Network,
    /// Reads the chain, and stores what was taken.
    Watch,
    /// Decides and drives.
    Node,
    /// Proves.
    Prover,
    /// Sends transactions.
    Submitter,
    /// Writes to disk.
    Store,
}

impl Stage {
    /// The order of stopping.
    pub const ORDER: [Self; 7] = [
        Self::Http,
        Self::Network,
        Self::Watch,
        Self::Node,
        Self::Prover,
        Self::Submitter,
        Self::Store,
    ];
}

/// What a task says when it ends badly.
pub type TaskFailure = Box<dyn std::error::Error + Send + Sync>;

/// Why a service stopped, other than being told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// A task ended although it should run until it is told to stop.
    #[error("task {0} ended by itself")]
    Ended(&'static str),
    /// A task failed.
    #[error("task {name} failed")]
    Failed {
        /// The task.
        name: &'static str,
        /// Why.
        source: TaskFailure,
    },
    /// A task panicked: a bug.
    #[error("task {name} panicked; this is a bug, please report it with the log")]
    Panicked {
        /// The task.
        name: &'static str,
    },
    /// Tasks that did not stop in time, or a second signal.
    #[error("{} did not stop and were aborted", names.join(", "))]
    Aborted {
        /// The tasks.
        names: Vec<&'static str>,
    },
}

/// The tasks of one service.
#[derive(Debug, Default)]
pub struct Tasks {
    stops: HashMap<Stage, CancellationToken>,
    names: HashMap<Id, (Stage, &'static str)>,
    /// Tasks whose end stops nobody else.
    apart: HashSet<Id>,
    /// Those of them that ended by themselves.
    ended: watch::Sender<BTreeSet<&'static str>>,
    handles: Vec<(&'static str, AbortHandle)>,
    running: JoinSet<Result<(), TaskFailure>>,
}

impl Tasks {
    /// Starts a task that must run until it is told to stop.
    pub fn spawn<F>(
        &mut self,
        stage: Stage,
        name: &'static str,
        task: impl FnOnce(CancellationToken) -> F,
    ) where
        F: Future<Output = Result<(), TaskFailure>> + Send + 'static,
    {
        let stop = self.stop_token(stage);
        self.start(stage, name, task(stop));
    }

    fn start(
        &mut self,
        stage: Stage,
        name: &'static str,
        task: impl Future<Output = Result<(), TaskFailure>> + Send + 'static,
    ) -> Id {
        let handle = self.running.spawn(task.instrument(tracing::info_span!("task", name)));
        let id = handle.id();
        self.handles.push((name, handle));
        self.names.insert(id, (stage, name));
        id
    }

    /// Ends the task with this name at once, as a bug in it would: for drills of what the service says and does then.
    #[must_use]
    pub fn abort_handle(&self, name: &str) -> Option<AbortHandle> {
        self.handles.iter().find(|(of, _)| *of == name).map(|(_, handle)| handle.clone())
    }

    /// The names of the tasks that the service goes on without, because they ended by themselves.
    #[must_use]
    pub fn ended(&self) -> watch::Receiver<BTreeSet<&'static str>> {
        self.ended.subscribe()
    }

    /// The names of the tasks that were started.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.names.values().map(|(_, name)| *name)
    }

    /// Starts a task that the service can do without: when it ends or panics, that is said, and the others go on.
    pub fn spawn_apart<F>(
        &mut self,
        stage: Stage,
        name: &'static str,
        task: impl FnOnce(CancellationToken) -> F,
    ) where
        F: Future<Output = Result<(), TaskFailure>> + Send + 'static,
    {
        let stop = self.stop_token(stage);
        let id = self.start(stage, name, task(stop));
        self.apart.insert(id);
    }

    /// The token that tells a stage to stop.
    pub fn stop_token(&mut self, stage: Stage) -> CancellationToken {
        self.stops.entry(stage).or_default().clone()
    }

    /// Waits for a signal or for the first task to end, then stops stage after stage within `grace` in all. A second
    /// signal aborts at once.
    ///
    /// # Errors
    /// The first task's end when it was not asked for, or the tasks that had to be aborted.
    pub async fn run(
        mut self,
        signals: &mut mpsc::Receiver<()>,
        grace: Duration,
    ) -> Result<(), TaskError> {
        let outcome = loop {
            tokio::select! {
                Some(()) = signals.recv() => {
                    tracing::info!("stopping");
                    break Ok(());
                }
                Some(ended) = self.running.join_next_with_id() => {
                    let apart = self.apart.remove(&id_of(&ended));
                    let name = self.name_of(&ended);
                    let error = self.read_end(ended);
                    if apart {
                        self.ended.send_modify(|names| {
                            names.insert(name);
                        });
                        tracing::error!(%error, "going on without it; restart to have it again");
                        continue;
                    }
                    tracing::error!(%error, "stopping");
                    break Err(error);
                }
            }
        };
        let deadline = Instant::now() + grace;
        for stage in Stage::ORDER {
            if let Some(stop) = self.stops.get(&stage) {
                stop.cancel();
            }
            tokio::select! {
                () = drain(&mut self.running, &mut self.names, stage) => {}
                () = tokio::time::sleep_until(deadline) => {}
                Some(()) = signals.recv() => break,
            }
        }
        let names: Vec<_> = self.names.values().map(|(_, name)| *name).collect();
        if names.is_empty() {
            return outcome;
        }
        self.running.shutdown().await;
        outcome.and(Err(TaskError::Aborted { names }))
    }

    /// [`Tasks::run`] until a token says so, with nothing that aborts before the grace is over.
    ///
    /// # Errors
    /// As [`Tasks::run`].
    pub async fn run_until(
        self,
        stop: &CancellationToken,
        grace: Duration,
    ) -> Result<(), TaskError> {
        let (tell, mut signals) = mpsc::channel(1);
        let relay = async {
            stop.cancelled().await;
            let _ = tell.send(()).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            outcome = self.run(&mut signals, grace) => outcome,
            () = relay => Ok(()),
        }
    }

    fn name_of(&self, ended: &Result<(Id, Result<(), TaskFailure>), JoinError>) -> &'static str {
        self.names.get(&id_of(ended)).map_or("unnamed", |(_, name)| *name)
    }

    fn read_end(&mut self, ended: Result<(Id, Result<(), TaskFailure>), JoinError>) -> TaskError {
        let name = self.name_of(&ended);
        self.names.remove(&id_of(&ended));
        match ended {
            Ok((_, Ok(()))) => TaskError::Ended(name),
            Ok((_, Err(source))) => TaskError::Failed { name, source },
            Err(_panic) => TaskError::Panicked { name },
        }
    }
}

fn id_of(ended: &Result<(Id, Result<(), TaskFailure>), JoinError>) -> Id {
    match ended {
        Ok((id, _)) => *id,
        Err(error) => error.id(),
    }
}

/// Waits until no task of `stage` is left. Cancel-safe.
async fn drain(
    running: &mut JoinSet<Result<(), TaskFailure>>,
    names: &mut HashMap<Id, (Stage, &'static str)>,
    stage: Stage,
) {
    while names.values().any(|(of, _)| *of == stage) {
        let Some(ended) = running.join_next_with_id().await else { return };
        let (id, failure) = match ended {
            Ok((id, outcome)) => (id, outcome.err().map(|error| error.to_string())),
            Err(error) => (error.id(), Some(error.to_string())),
        };
        let name = names.remove(&id).map_or("unnamed", |(_, name)| name);
        match failure {
            None => tracing::debug!(task = name, "stopped"),
            Some(error) => tracing::warn!(task = name, error, "failed while stopping"),
        }
    }
}

/// Sends a message for each interrupt or termination signal.
///
/// # Errors
/// When the operating system refuses to register a handler.
pub fn signals(tasks: &mut JoinSet<()>) -> std::io::Result<mpsc::Receiver<()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // Two: the first one stops, the second one aborts; more say nothing new and wait.
    let (sender, receiver) = mpsc::channel(2);
    tasks.spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if sender.send(()).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    const GRACE: Duration = Duration::from_secs(5);

    fn no_signals() -> (mpsc::Sender<()>, mpsc::Receiver<()>) {
        mpsc::channel(2)
    }

    #[tokio::test]
    async fn a_task_that_ends_early_stops_the_service() {
        let mut tasks = Tasks::default();
        tasks.spawn(Stage::Node, "short", |_stop| async { Ok(()) });
        tasks.spawn(Stage::Http, "long", |stop| async move {
            stop.cancelled().await;
            Ok(())
        });
        let (_keep, mut signals) = no_signals();
        let outcome = tasks.run(&mut signals, GRACE).await;
        assert!(matches!(outcome, Err(TaskError::Ended("short"))), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_task_apart_may_end_and_panic_and_the_others_go_on() {
        let mut tasks = Tasks::default();
        tasks.spawn_apart(Stage::Network, "buggy", |_stop| async { panic!("a bug") });
        tasks.spawn_apart(Stage::Network, "short", |_stop| async { Ok(()) });
        tasks.spawn_apart(Stage::Network, "sound", |stop| async move {
            stop.cancelled().await;
            Ok(())
        });
        let ended = tasks.ended();
        assert!(ended.borrow().is_empty());
        let (sender, mut signals) = no_signals();
        tasks.spawn(Stage::Node, "long", |stop| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            sender.send(()).await?;
            stop.cancelled().await;
            Ok(())
        });
        tasks.run(&mut signals, GRACE).await.unwrap();
        assert_eq!(*ended.borrow(), BTreeSet::from(["buggy", "short"]), "and it is said which");
    }

    #[tokio::test]
    async fn stages_stop_in_their_order() {
        let stopped = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Tasks::default();
        for (stage, name) in [
            (Stage::Store, "store"),
            (Stage::Http, "http"),
            (Stage::Node, "node"),
            (Stage::Watch, "watch"),
        ] {
            let stopped = Arc::clone(&stopped);
            tasks.spawn(stage, name, |stop| async move {
                stop.cancelled().await;
                stopped.lock().unwrap().push(name);
                Ok(())
            });
        }
        let (sender, mut signals) = no_signals();
        sender.send(()).await.unwrap();
        tasks.run(&mut signals, GRACE).await.unwrap();
        assert_eq!(*stopped.lock().unwrap(), ["http", "watch", "node", "store"]);
    }

    #[tokio::test]
    async fn a_task_that_will_not_stop_is_aborted_after_the_grace() {
        let mut tasks = Tasks::default();
        tasks.spawn(Stage::Node, "stubborn", |_stop| std::future::pending());
        let (sender, mut signals) = no_signals();
        sender.send(()).await.unwrap();
        let outcome = tasks.run(&mut signals, Duration::from_millis(50)).await;
        assert!(
            matches!(&outcome, Err(TaskError::Aborted { names }) if names == &["stubborn"]),
            "{outcome:?}"
        );
    }

    #[tokio::test]
    async fn a_second_signal_aborts_at_once() {
        let mut tasks = Tasks::default();
        tasks.spawn(Stage::Http, "stubborn", |_stop| std::future::pending());
        let (sender, mut signals) = no_signals();
        sender.send(()).await.unwrap();
        sender.send(()).await.unwrap();
        let outcome = tasks.run(&mut signals, Duration::from_secs(3_600)).await;
        assert!(matches!(outcome, Err(TaskError::Aborted { .. })), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_panic_is_reported_with_the_task_s_name() {
        let mut tasks = Tasks::default();
        tasks.spawn(Stage::Node, "buggy", |_stop| async { panic!("a bug") });
        let (_keep, mut signals) = no_signals();
        let outcome = tasks.run(&mut signals, GRACE).await;
        assert!(matches!(outcome, Err(TaskError::Panicked { name: "buggy" })), "{outcome:?}");
    }
}

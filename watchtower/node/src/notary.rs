//! What must be asked outside before something is signed or sent: a signer elsewhere for the account's consents, and the chain
//! whether the other party's account stands behind its consent, where that is a contract.
//!
//! Both take time, and behind a signer may be a person; so it is a task. The two do not wait for each other.
//!
//! **Invariant:** a signature that comes back was checked against what was asked for (`chain::account`).

use alloy_primitives::{Address, B256, Bytes};
use chain::account::{Account, Typed};
use chain::provider::Rpc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::driver::CheckJob;

/// Questions of each kind that may wait; more are asked again later.
pub(crate) const JOBS_MAX: usize = 64;

/// What became of a question.
#[derive(Debug)]
pub(crate) enum Told {
    /// A consent that was to be signed, by its digest: the signature, or why there is none.
    Signed { digest: B256, outcome: Result<Bytes, String> },
    /// Whether an account stands behind a consent; none while the chain gives no answer.
    Checked { job: CheckJob, stands: Option<bool> },
}

/// The task.
#[derive(Debug)]
pub struct Notary {
    pub(crate) account: Account,
    pub(crate) rpc: Rpc,
    pub(crate) to_sign: mpsc::Receiver<Typed>,
    pub(crate) vault: Address,
    pub(crate) to_check: mpsc::Receiver<CheckJob>,
    pub(crate) told: mpsc::Sender<Told>,
}

impl Notary {
    /// Asks until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let Self { account, rpc, vault, to_sign, to_check, told } = self;
        let chain = (rpc, vault);
        tokio::select! {
            () = stop.cancelled() => {}
            _ = async { tokio::join!(sign(account, to_sign, &told), check(chain, to_check, &told)) } => {}
        }
    }
}

/// One after the other: a person reads them one after the other, too.
async fn sign(account: Account, mut jobs: mpsc::Receiver<Typed>, told: &mpsc::Sender<Told>) {
    while let Some(typed) = jobs.recv().await {
        let outcome = account.sign_typed(&typed).await.map_err(|error| error.to_string());
        // A node that is gone wants no signatures.
        let _ = told.send(Told::Signed { digest: typed.digest(), outcome }).await;
    }
}

async fn check(
    (rpc, vault): (Rpc, Address),
    mut jobs: mpsc::Receiver<CheckJob>,
    told: &mpsc::Sender<Told>,
) {
    while let Some(job) = jobs.recv().await {
        let stands = match job.1.stands(&rpc, vault).await {
            Ok(stands) => Some(stands),
            Err(error) => {
                tracing::warn!(%error, account = %job.1.account, "no word about a consent: asking again");
                None
            }
        };
        let _ = told.send(Told::Checked { job, stands }).await;
    }
}

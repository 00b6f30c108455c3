//! What must be asked outside before something is signed or paid in: a signer elsewhere for the account's consents, and the chain
//! whether an account is a contract.
//!
//! Both take time, and behind a signer may be a person; so it is a task. The two do not wait for each other.
//!
//! **Invariant:** a signature that comes back was checked against what was asked for (`chain::account`).

use alloy_primitives::{Address, B256, Bytes};
use chain::account::{Account, Typed};
use chain::provider::Rpc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Questions of each kind that may wait; more are asked again later.
pub(crate) const JOBS_MAX: usize = 64;
/// What an account's code begins with that merely points to code (EIP-7702): its key signs as before.
const POINTER: [u8; 3] = [0xef, 0x01, 0x00];

/// What became of a question.
#[derive(Debug)]
pub(crate) enum Told {
    /// A consent that was to be signed, by its digest: the signature, or why there is none.
    Signed { digest: B256, outcome: Result<Bytes, String> },
    /// Whether an account is a contract; none while the chain gives no answer.
    Looked { account: Address, is_contract: Option<bool> },
}

/// The task.
#[derive(Debug)]
pub struct Notary {
    pub(crate) account: Account,
    pub(crate) rpc: Rpc,
    pub(crate) to_sign: mpsc::Receiver<Typed>,
    pub(crate) to_look: mpsc::Receiver<Address>,
    pub(crate) told: mpsc::Sender<Told>,
}

impl Notary {
    /// Asks until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let Self { account, rpc, to_sign, to_look, told } = self;
        tokio::select! {
            () = stop.cancelled() => {}
            _ = async { tokio::join!(sign(account, to_sign, &told), look(rpc, to_look, &told)) } => {}
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

async fn look(rpc: Rpc, mut jobs: mpsc::Receiver<Address>, told: &mpsc::Sender<Told>) {
    while let Some(account) = jobs.recv().await {
        let is_contract = match rpc.code(account).await {
            Ok(code) => Some(!code.is_empty() && !code.starts_with(&POINTER)),
            Err(error) => {
                tracing::warn!(%error, %account, "no word about an account: asking again");
                None
            }
        };
        let _ = told.send(Told::Looked { account, is_contract }).await;
    }
}

//! Signing: at once where the key is here; where it is elsewhere, once for each transaction, and with pauses while its signer does
//! not sign.
//!
//! A signer elsewhere may ask a person, and may sign the same transaction differently each time. So its bytes are kept until
//! they are of no use, and bytes that are not those whose hash is on record are never sent: the next, higher bid is.
//!
//! **Invariant:** a signer that is away, slow or unwilling ends no obligation and holds up no look at the chain for longer than
//! its patience.

use alloy_primitives::{B256, Bytes};

use super::{Submitter, ask::now_ms, record::ObligationId};
use crate::account::{AccountError, Transaction};

/// The pause after a signer elsewhere has not signed, in milliseconds; it doubles each time.
const PAUSE_FIRST_MS: u64 = 1_000;
/// The longest such pause.
const PAUSE_MOST_MS: u64 = 60_000;
/// Signed transactions that are kept; at the bound the oldest name goes, and its transaction is signed again.
const KEPT_MAX: usize = super::OBLIGATIONS_MAX;

/// What is known of a signer elsewhere.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    kept: std::collections::BTreeMap<ObligationId, (Transaction, B256, Bytes)>,
    rest_until_ms: u64,
    pause_ms: u64,
}

impl Submitter {
    /// The transaction's hash and bytes; none while a signer elsewhere does not sign it. One that is on record must come out as
    /// it was, a `fresh` one may come out in any way.
    pub(super) async fn signed(
        &mut self,
        (id, transaction): (ObligationId, Transaction),
        fresh: bool,
    ) -> Result<Option<(B256, Bytes)>, AccountError> {
        if !self.account.is_elsewhere() {
            return self.account.sign(self.config.chain_id, transaction).await.map(Some);
        }
        if let Some((of, hash, bytes)) = self.elsewhere.kept.get(&id)
            && *of == transaction
        {
            return Ok(Some((*hash, bytes.clone())));
        }
        let now = now_ms();
        if now < self.elsewhere.rest_until_ms {
            return Ok(None);
        }
        let answer = self.account.sign(self.config.chain_id, transaction.clone()).await;
        let (hash, bytes) = match answer {
            Ok(signed) => signed,
            Err(error) if error.is_passing() => {
                self.rest(&error);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        self.elsewhere.pause_ms = 0;
        if !fresh && !self.core.has_attempt(id, &hash) {
            tracing::warn!(%id, %hash, "the signer signs the same transaction differently each time: waiting for the next bid");
            return Ok(None);
        }
        let (kept, core) = (&mut self.elsewhere.kept, &self.core);
        kept.retain(|id, _| core.knows(*id));
        if kept.len() >= KEPT_MAX && !kept.contains_key(&id) {
            kept.pop_first();
        }
        kept.insert(id, (transaction, hash, bytes.clone()));
        Ok(Some((hash, bytes)))
    }

    fn rest(&mut self, error: &AccountError) {
        let elsewhere = &mut self.elsewhere;
        elsewhere.pause_ms =
            elsewhere.pause_ms.saturating_mul(2).clamp(PAUSE_FIRST_MS, PAUSE_MOST_MS);
        elsewhere.rest_until_ms = now_ms().saturating_add(elsewhere.pause_ms);
        tracing::error!(%error, pause_ms = elsewhere.pause_ms, "a transaction waits for its signer; it stays wanted");
    }
}

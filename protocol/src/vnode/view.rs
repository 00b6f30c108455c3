//! Whether the node's view of the chain may be signed on.
//!
//! **Invariant:** the view is good only while the chain moves, and while all endpoints agree on what is final.

use crate::zksc::handshake::Millis;

/// Why nothing may be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// No block was seen yet.
    #[error("no block of the chain was seen yet")]
    Nothing,
    /// No new block came for too long.
    #[error("the chain was last seen moving {ago} ms ago")]
    Stale {
        /// Since when, in milliseconds.
        ago: Millis,
    },
    /// What was final has changed, or two endpoints differ: a person must look.
    #[error("the endpoints disagree about block {number}, which is final")]
    Contradiction {
        /// The block's number.
        number: u64,
    },
}

/// A finalized block as one endpoint shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finalized {
    /// The number.
    pub number: u64,
    /// The hash.
    pub hash: crate::B256,
}

/// The node's view of the chain.
#[derive(Debug, Clone)]
pub struct ChainView {
    age_max: Millis,
    head: Option<(u64, Millis)>,
    finalized: Option<Finalized>,
    contradiction: Option<u64>,
}

impl ChainView {
    /// A view that is good for `age_max` after each new block.
    #[must_use]
    pub const fn new(age_max: Millis) -> Self {
        Self { age_max, head: None, finalized: None, contradiction: None }
    }

    /// An endpoint shows a head and the newest final block. A head that does not move refreshes nothing.
    pub fn see(&mut self, head: u64, finalized: Finalized, now: Millis) {
        if self.head.is_none_or(|(old, _)| head > old) {
            self.head = Some((head, now));
        }
        match self.finalized {
            Some(old) if old.number == finalized.number && old.hash != finalized.hash => {
                self.contradiction = Some(finalized.number);
            }
            Some(old) if old.number >= finalized.number => {}
            _ => self.finalized = Some(finalized),
        }
    }

    /// Until when may be signed, for the machines that sign.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn good_until(&self, now: Millis) -> Result<Millis, ViewError> {
        if let Some(number) = self.contradiction {
            return Err(ViewError::Contradiction { number });
        }
        let (_, seen) = self.head.ok_or(ViewError::Nothing)?;
        let until = seen.saturating_add(self.age_max);
        if now > until {
            Err(ViewError::Stale { ago: now.saturating_sub(seen) })
        } else {
            Ok(until)
        }
    }
}

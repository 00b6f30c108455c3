//! Whether the node's view of the chain may be signed on.
//!
//! That a head moves says nothing of how old it is: a node that is catching up, or an endpoint hours behind, moves as well. So its
//! time is compared with the machine's clock, which also runs on while the machine sleeps.
//!
//! **Invariant:** the view is good only while the chain moves, while its newest block's time is about that of the machine's clock,
//! and while all endpoints agree on what is final.

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
    /// The newest block's time is far from the machine's clock.
    #[error(
        "the newest block's time and this machine's clock are {off_s} seconds apart: the chain's node is behind, or one of the clocks is wrong"
    )]
    Clock {
        /// How far apart they are, in seconds.
        off_s: u64,
    },
    /// What was final has changed, or two endpoints differ: a person must look.
    #[error("the endpoints disagree about block {number}, which is final")]
    Contradiction {
        /// The block's number.
        number: u64,
    },
}

/// The newest block that one endpoint shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The number.
    pub number: u64,
    /// Its time, in seconds since 1970.
    pub time_s: u64,
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
    off_max_s: Option<u64>,
    head: Option<(Head, Millis)>,
    finalized: Option<Finalized>,
    contradiction: Option<u64>,
}

impl ChainView {
    /// A view that is good for `age_max` after each new block whose time is within `off_max_s` of the machine's clock, before or
    /// after it; none for a chain whose clock is made up.
    #[must_use]
    pub const fn new(age_max: Millis, off_max_s: Option<u64>) -> Self {
        Self { age_max, off_max_s, head: None, finalized: None, contradiction: None }
    }

    /// An endpoint shows a head and the newest final block. A head that does not move refreshes nothing.
    pub fn see(&mut self, head: Head, finalized: Finalized, now: Millis) {
        if self.head.is_none_or(|(old, _)| head.number > old.number) {
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

    /// Whether the newest block that was seen is of about now. `wall_s` is the machine's clock, in seconds since 1970.
    ///
    /// # Errors
    /// [`ViewError::Nothing`] and [`ViewError::Clock`].
    pub fn check_clock(&self, wall_s: u64) -> Result<(), ViewError> {
        let (head, _) = self.head.ok_or(ViewError::Nothing)?;
        let off_s = head.time_s.abs_diff(wall_s);
        if self.off_max_s.is_some_and(|most| off_s > most) {
            return Err(ViewError::Clock { off_s });
        }
        Ok(())
    }

    /// Until when may be signed, for the machines that sign. `wall_s` is the machine's clock, in seconds since 1970.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn good_until(&self, now: Millis, wall_s: u64) -> Result<Millis, ViewError> {
        if let Some(number) = self.contradiction {
            return Err(ViewError::Contradiction { number });
        }
        self.check_clock(wall_s)?;
        let (_, seen) = self.head.ok_or(ViewError::Nothing)?;
        let until = seen.saturating_add(self.age_max);
        if now > until {
            Err(ViewError::Stale { ago: now.saturating_sub(seen) })
        } else {
            Ok(until)
        }
    }
}

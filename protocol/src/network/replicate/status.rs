//! How many towers hold what.

use core::fmt;

use crate::ids::Nonce;

/// How the newest nonce of a slot stands. Prints as "7 of 10 towers hold nonce 4711".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// The newest nonce.
    pub nonce: Nonce,
    /// Towers whose valid receipt for it is at hand.
    pub held: usize,
    /// Towers that keep the shard.
    pub of: usize,
    /// How many must hold it.
    pub target: usize,
}

impl Status {
    /// Whether as many towers as wanted hold it.
    #[must_use]
    pub const fn is_protected(&self) -> bool {
        self.held >= self.target
    }
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { nonce, held, of, target } = self;
        write!(out, "{held} of {of} towers hold nonce {nonce}")?;
        if self.is_protected() { Ok(()) } else { write!(out, "; {target} are wanted") }
    }
}

//! Where everything stands in the memory of the generated contracts.
//!
//! ```text
//! verifier   scratch | challenges of FRI, tables, buffers | block handed to the parts
//! part       scratch and accumulators | block
//! block      betas, gammas, alphas, zeta, public-input hash | powers of the alphas | openings, two words each
//! ```
//!
//! **Invariant:** regions of one contract do not overlap: they come out of one counter.

use crate::encoding::ProofShape;

/// Bytes of a word.
pub(super) const WORD: usize = 32;

/// Bytes of an element of the extension in memory.
pub(super) const CELL: usize = 2 * WORD;

/// Bytes of the three alphas' powers with one exponent.
pub(super) const POWERS: usize = 3 * WORD;

/// Hands out regions of memory, one after another.
#[derive(Debug)]
pub(super) struct Regions {
    next: usize,
}

impl Regions {
    pub(super) fn from(start: usize) -> Self {
        Self { next: start }
    }

    pub(super) fn take(&mut self, bytes: usize) -> usize {
        let at = self.next;
        self.next += bytes.next_multiple_of(WORD);
        at
    }
}

/// The block that the parts are given, at an address.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) start: usize,
    pub(super) alpha_powers: usize,
    pub(super) alpha_powers_end: usize,
    pub(super) cells: usize,
    pub(super) end: usize,
    shape: ProofShape,
}

impl Block {
    /// The block at `start` for circuits whose gates have at most `max_constraints` constraints.
    pub(super) fn at(start: usize, shape: &ProofShape, max_constraints: usize) -> Self {
        let terms = shape.challenges * (2 + shape.partial_products) + max_constraints;
        let alpha_powers = start + 15 * WORD;
        let alpha_powers_end = alpha_powers + terms * POWERS;
        let end = alpha_powers_end + (shape.openings() + shape.openings_next()) * CELL;
        Self {
            start,
            alpha_powers,
            alpha_powers_end,
            cells: alpha_powers_end,
            end,
            shape: shape.clone(),
        }
    }

    pub(super) fn betas(&self) -> usize {
        self.start
    }

    pub(super) fn gammas(&self) -> usize {
        self.start + 3 * WORD
    }

    pub(super) fn alphas(&self) -> usize {
        self.start + 6 * WORD
    }

    pub(super) fn zeta(&self) -> usize {
        self.start + 9 * WORD
    }

    pub(super) fn pi_hash(&self) -> usize {
        self.start + 11 * WORD
    }

    pub(super) fn bytes(&self) -> usize {
        self.end - self.start
    }

    /// Powers of alpha from the permutation argument's first partial product on.
    pub(super) fn product_powers(&self) -> usize {
        self.alpha_powers + self.shape.challenges * POWERS
    }

    /// Powers of alpha from the gates' first constraint on.
    pub(super) fn gate_powers(&self) -> usize {
        self.product_powers() + self.shape.challenges * (1 + self.shape.partial_products) * POWERS
    }

    pub(super) fn constant(&self, index: usize) -> usize {
        self.cells + index * CELL
    }

    pub(super) fn sigmas(&self) -> usize {
        self.cells + self.shape.constants * CELL
    }

    pub(super) fn wires(&self) -> usize {
        self.sigmas() + self.shape.routed_wires * CELL
    }

    pub(super) fn wire(&self, index: usize) -> usize {
        self.wires() + index * CELL
    }

    pub(super) fn zs(&self) -> usize {
        self.wire(self.shape.wires)
    }

    pub(super) fn partials(&self) -> usize {
        self.zs() + self.shape.challenges * CELL
    }

    pub(super) fn quotients(&self) -> usize {
        self.partials() + self.shape.challenges * self.shape.partial_products * CELL
    }

    pub(super) fn zs_next(&self) -> usize {
        self.quotients() + self.shape.challenges * self.shape.quotient_factor * CELL
    }
}

//! Rows of random values, so that what a proof opens says nothing about the rows that mean something.
//!
//! A circuit of 2^7 rows has wire polynomials of 128 coefficients. A proof shows each of them at ten points of the commitment's
//! domain and at zeta (twelve equations in the base field), and each permutation polynomial at zeta and its neighbour as well
//! (fourteen). Most wires of a signature's rows are bits: without masking, twelve equations of 64 bits determine them, and a
//! lattice reduction finds the signatures in a proof that is seen in the mempool. Whoever has them can prove for itself.
//!
//! Plonky2's own zero-knowledge mode masks with separate rows for wires and pairs of rows for the permutation; that would double the
//! rows. Here the same rows do both, and they are rows that would otherwise be empty:
//!
//! - every wire of a blinding row is random, at least twelve independent values in each column: masks the wires;
//! - in each chunk of `CHUNK` routed wires (one factor of the permutation argument) three wires are copied to the next row, alternately
//!   two groups of three: the running and the partial products between the rows are random, for all three challenges.
//!
//! **Invariant:** a blinding row takes part in no statement: its gate has no constraint, and its copies meet only their like.
//!
//! This is masking by counting equations, as upstream does it; it is not proven zero knowledge (the quotient polynomials are masked
//! through the wires only). docs/adr/0003 says what is claimed.

use plonky2::field::types::Sample;
use plonky2::gates::noop::NoopGate;
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};

use crate::config::{Builder, F};

/// Blinding rows. Twelve independent values in every column need twice as many rows, since a copied value counts once for two.
pub const ROWS: usize = 24;

/// Routed wires in one factor of the permutation argument: the quotient's degree factor.
const CHUNK: usize = 8;
/// Wires that are copied to the next row in each chunk: one for each challenge of the permutation argument.
const COPIED: usize = 3;

/// The random values of a circuit's blinding rows; copies are not listed twice.
#[derive(Clone, Debug)]
pub struct Blinding {
    values: Vec<Target>,
}

impl Blinding {
    /// Adds the rows.
    pub(crate) fn add(builder: &mut Builder) -> Self {
        let (wires, routed) = (builder.config.num_wires, builder.config.num_routed_wires);
        let rows: Vec<usize> = (0..ROWS).map(|_| builder.add_gate(NoopGate, Vec::new())).collect();
        let mut values = Vec::with_capacity(ROWS * wires);
        for (index, row) in rows.iter().enumerate() {
            let copied_here = |wire: usize| {
                index.checked_sub(1).is_some_and(|before| wire < routed && is_copied(before, wire))
            };
            values.extend(
                (0..wires).filter(|wire| !copied_here(*wire)).map(|wire| Target::wire(*row, wire)),
            );
            if let Some(next) = rows.get(index + 1) {
                for wire in (0..routed).filter(|wire| is_copied(index, *wire)) {
                    builder.connect(Target::wire(*row, wire), Target::wire(*next, wire));
                }
            }
        }
        Self { values }
    }

    /// Draws every value anew, from the operating system's generator by way of Plonky2's.
    ///
    /// # Errors
    /// When a value was set before, which only a program error does.
    pub(crate) fn fill(&self, witness: &mut PartialWitness<F>) -> anyhow::Result<()> {
        self.values.iter().try_for_each(|target| witness.set_target(*target, F::rand()))
    }
}

/// Whether this wire of the blinding row `index` is copied to the row after it. No wire is copied twice in a row.
fn is_copied(index: usize, wire: usize) -> bool {
    let group = if index.is_multiple_of(2) { 0..COPIED } else { COPIED..2 * COPIED };
    group.contains(&(wire % CHUNK))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::circuit_config;

    #[test]
    fn every_column_has_as_many_random_values_as_a_proof_shows_of_it() {
        let config = circuit_config();
        let shown = config.fri_config.num_query_rounds + 2;
        let mut builder = Builder::new(config.clone());
        let blinding = Blinding::add(&mut builder);
        for column in 0..config.num_wires {
            let values = blinding
                .values
                .iter()
                .filter(|target| matches!(target, Target::Wire(wire) if wire.column == column))
                .count();
            assert!(
                values >= shown,
                "column {column} has {values} random values and shows {shown}"
            );
        }
    }

    #[test]
    fn enough_products_are_random_for_what_a_proof_shows_of_them() {
        let config = circuit_config();
        // Each boundary between two blinding rows masks one value of each product and challenge.
        assert!(ROWS > config.fri_config.num_query_rounds + 4);
        assert_eq!(config.num_challenges, COPIED);
        assert_eq!(config.num_routed_wires % CHUNK, 0);
        assert_eq!(config.max_quotient_degree_factor, CHUNK);
    }

    #[test]
    fn two_proofs_of_one_statement_share_no_random_value() {
        let mut builder = Builder::new(circuit_config());
        let blinding = Blinding::add(&mut builder);
        let draw = || {
            let mut witness = PartialWitness::new();
            blinding.fill(&mut witness).unwrap();
            let values: Vec<F> =
                blinding.values.iter().map(|target| witness.target_values[target]).collect();
            values
        };
        let (first, second) = (draw(), draw());
        assert!(first.iter().zip(&second).all(|(a, b)| a != b));
    }
}

//! All range checks of a circuit, packed into as few rows as possible.

use plonky2::iop::target::Target;

use crate::config::Builder;
use crate::gates::formula::FormulaGate;
use crate::gates::range::{Range, VALUES};

/// Values of 56 bits in a row; one of 48 bits follows them.
const WIDE: usize = VALUES - 1;

/// Constrains each of `wide` to be below 2^56 and each of `narrow` to be below 2^48.
pub fn range_check(builder: &mut Builder, wide: &[Target], narrow: &[Target]) {
    let zero = builder.zero();
    let rows = wide.len().div_ceil(WIDE).max(narrow.len());
    for row in 0..rows {
        let gate = builder.add_gate(FormulaGate::<Range>::new(), Vec::new());
        let values = (0..WIDE).map(|k| wide.get(WIDE * row + k)).chain([narrow.get(row)]);
        for (wire, value) in values.enumerate() {
            // What is left over in the last rows checks zero.
            builder.connect(*value.unwrap_or(&zero), Target::wire(gate, wire));
        }
    }
}

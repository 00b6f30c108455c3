//! Verbs on the builder: what a circuit says in a word, in rows of [`crate::gates`].

pub mod blinding;
pub mod range;
pub mod signature;

use plonky2::iop::target::Target;

use crate::config::{Builder, F};

/// Poseidon over `tag` and `inputs`: Plonky2's `hash_n_to_hash_no_pad`, as `protocol::hash::poseidon`.
pub(crate) fn poseidon(
    builder: &mut Builder,
    tag: protocol::tags::PoseidonTag,
    inputs: &[Target],
) -> [Target; 4] {
    use plonky2::field::types::Field;
    use plonky2::hash::poseidon::PoseidonHash;

    let tag = builder.constant(F::from_canonical_u64(tag.get()));
    let message = [&[tag], inputs].concat();
    builder.hash_n_to_hash_no_pad::<PoseidonHash>(message).elements
}

/// The wires from `start` on in a row.
pub(crate) fn wires<const N: usize>(row: usize, start: usize) -> [Target; N] {
    core::array::from_fn(|k| Target::wire(row, start + k))
}

/// Connects pairs of targets.
pub(crate) fn connect(builder: &mut Builder, left: &[Target], right: &[Target]) {
    assert_eq!(
        left.len(),
        right.len(),
        "only as many targets as there are others can be connected"
    );
    left.iter().zip(right).for_each(|(left, right)| builder.connect(*left, *right));
}

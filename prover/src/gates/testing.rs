//! What the tests of all gates share: degrees by calculation, agreement of the evaluations, and rows with one wire changed.

use plonky2::field::types::{Field, Sample};
use plonky2::gates::gate::Gate;
use plonky2::hash::hash_types::HashOut;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use plonky2::plonk::circuit_data::CircuitConfig;
use plonky2::plonk::config::PoseidonGoldilocksConfig;
use plonky2::plonk::vars::{EvaluationTargets, EvaluationVars, EvaluationVarsBaseBatch};

use super::arithmetic::{Arithmetic, Native};
use super::formula::{Formula, FormulaGate, NoSuchRow, Row};
use crate::config::{Builder, Ext, F};

/// A value is its degree.
struct Degrees;

impl Arithmetic for Degrees {
    type Value = usize;

    fn constant(&mut self, _value: F) -> usize {
        0
    }

    fn add(&mut self, a: usize, b: usize) -> usize {
        a.max(b)
    }

    fn sub(&mut self, a: usize, b: usize) -> usize {
        a.max(b)
    }

    fn mul(&mut self, a: usize, b: usize) -> usize {
        a + b
    }

    fn scale(&mut self, _factor: F, a: usize) -> usize {
        a
    }
}

/// The declared shape of a gate is what its constraints have.
pub(crate) fn assert_shape<G: Formula>() {
    let degrees = G::constraints(&mut Degrees, &vec![1; G::WIRES], &vec![1; G::CONSTANTS]);
    assert_eq!(degrees.len(), G::CONSTRAINTS);
    assert_eq!(degrees.iter().max(), Some(&G::DEGREE));
}

/// Base field, extension and circuit evaluate the gate alike. The circuit is one with Plonky2's own configuration.
pub(crate) fn assert_evaluations_agree<G: Formula>() {
    let gate = FormulaGate::<G>::new();
    let hash = HashOut::rand();
    let (wires, constants) = (F::rand_vec(G::WIRES), F::rand_vec(G::CONSTANTS));
    let lift = |values: &[F]| values.iter().map(|value| Ext::from(*value)).collect::<Vec<_>>();
    let base =
        gate.eval_unfiltered_base_batch(EvaluationVarsBaseBatch::new(1, &constants, &wires, &hash));
    let (wires, constants) = (lift(&wires), lift(&constants));
    let vars = EvaluationVars {
        local_constants: &constants,
        local_wires: &wires,
        public_inputs_hash: &hash,
    };
    assert_eq!(gate.eval_unfiltered(vars), lift(&base));

    let (wires, constants) = (Ext::rand_vec(G::WIRES), Ext::rand_vec(G::CONSTANTS));
    let vars = EvaluationVars {
        local_constants: &constants,
        local_wires: &wires,
        public_inputs_hash: &hash,
    };
    let expected = gate.eval_unfiltered(vars);
    let mut builder = Builder::new(CircuitConfig::standard_recursion_config());
    let mut witness = PartialWitness::new();
    let local_wires = builder.add_virtual_extension_targets(G::WIRES);
    let local_constants = builder.add_virtual_extension_targets(G::CONSTANTS);
    let hash_target = builder.add_virtual_hash();
    let vars = EvaluationTargets {
        local_constants: &local_constants,
        local_wires: &local_wires,
        public_inputs_hash: &hash_target,
    };
    let evaluated = gate.eval_unfiltered_circuit(&mut builder, vars);
    witness.set_extension_targets(&local_wires, &wires).unwrap();
    witness.set_extension_targets(&local_constants, &constants).unwrap();
    witness.set_hash_target(hash_target, hash).unwrap();
    witness.set_extension_targets(&evaluated, &expected).unwrap();
    let data = builder.build::<PoseidonGoldilocksConfig>();
    let proof = data.prove(witness).unwrap();
    data.verify(proof).unwrap();
}

/// The constraints (counted from 1) that a row violates.
pub(crate) fn violated<G: Formula>(wires: &[F], constants: &[F]) -> Vec<usize> {
    let values = G::constraints(&mut Native::<F>::default(), wires, constants);
    (1..).zip(values).filter(|(_, value)| value.is_nonzero()).map(|(number, _)| number).collect()
}

/// A row with these inputs, completed.
pub(crate) fn completed<G: Formula>(inputs: &[(usize, F)]) -> Result<Vec<F>, NoSuchRow> {
    let mut row = Row { wires: vec![F::ZERO; G::WIRES] };
    inputs.iter().for_each(|(wire, value)| row.wires[*wire] = *value);
    G::stages().into_iter().try_for_each(|stage| (stage.complete)(&mut row))?;
    Ok(row.wires)
}

/// Every wire of a satisfied row matters: changing any one of them, but for `free`, violates a constraint.
pub(crate) fn assert_every_wire_is_constrained<G: Formula>(
    wires: &[F],
    constants: &[F],
    free: &[usize],
) {
    assert_eq!(violated::<G>(wires, constants), []);
    for wire in (0..G::WIRES).filter(|wire| !free.contains(wire)) {
        let mut changed = wires.to_vec();
        changed[wire] += F::ONE;
        assert!(
            !violated::<G>(&changed, constants).is_empty(),
            "wire {wire} of {} is not constrained",
            G::NAME
        );
    }
}

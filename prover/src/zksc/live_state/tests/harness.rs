//! The circuit at a low rate, and a check of a witness that names what it violates.

use core::cell::OnceCell;

use plonky2::field::extension::quadratic::QuadraticExtension;
use plonky2::field::types::{Field, PrimeField64};
use plonky2::hash::poseidon::PoseidonHash;
use plonky2::iop::generator::{
    ConstantGenerator, SimpleGenerator, WitnessGeneratorRef, generate_partial_witness,
};
use plonky2::iop::witness::{PartialWitness, Witness};
use plonky2::plonk::circuit_data::CircuitData;
use plonky2::plonk::config::Hasher;
use plonky2::plonk::vars::EvaluationVars;

use super::super::{LiveStateTargets, build};
use crate::config::{D, EvmConfig, F, circuit_config};
use crate::zksc::LiveState;

/// Selector value of rows whose gate is in another group.
const UNUSED_SELECTOR: u64 = u32::MAX as u64;

/// The circuit at a low rate.
pub(super) struct Harness {
    pub(super) targets: LiveStateTargets,
    pub(super) data: CircuitData<F, EvmConfig, D>,
}

/// A violated constraint: the gate's name and the constraint's number in it, from 1.
pub(super) type Violation = (String, usize);

impl Harness {
    pub(super) fn new() -> Self {
        let mut config = circuit_config();
        config.security_bits = 0;
        config.fri_config.rate_bits = 3;
        config.fri_config.proof_of_work_bits = 1;
        let (targets, data) = build(config);
        Self { targets, data }
    }

    pub(super) fn witness(&self, live: &LiveState) -> PartialWitness<F> {
        let mut witness = PartialWitness::new();
        self.targets.fill(&mut witness, live).unwrap();
        witness
    }

    /// The constraints that a witness violates; an error if it cannot even be completed.
    pub(super) fn violations(&self, witness: PartialWitness<F>) -> anyhow::Result<Vec<Violation>> {
        let (prover, common) = (&self.data.prover_only, &self.data.common);
        let partition = generate_partial_witness(witness, prover, common)?;
        let inputs = partition.get_targets(&prover.public_inputs);
        let public_inputs_hash = PoseidonHash::hash_no_pad(&inputs);
        let matrix = partition.full_witness();
        let columns: Vec<_> = prover.constants_sigmas_commitment.polynomials
            [..common.num_constants]
            .iter()
            .map(|polynomial| polynomial.clone().fft().values)
            .collect();
        let selectors = common.selectors_info.num_selectors();
        let mut violations = Vec::new();
        for row in 0..common.degree() {
            let constants: Vec<F> = columns.iter().map(|column| column[row]).collect();
            let index = constants[..selectors]
                .iter()
                .map(F::to_canonical_u64)
                .find(|index| *index != UNUSED_SELECTOR);
            let gate = &common.gates[index.unwrap() as usize].0;
            let lift = |values: &[F]| {
                values.iter().map(|value| QuadraticExtension::from(*value)).collect::<Vec<_>>()
            };
            let wires: Vec<F> =
                (0..common.config.num_wires).map(|column| matrix.get_wire(row, column)).collect();
            let values = gate.eval_unfiltered(EvaluationVars {
                local_constants: &lift(&constants[selectors..]),
                local_wires: &lift(&wires),
                public_inputs_hash: &public_inputs_hash,
            });
            let violated = (1..).zip(values).filter(|(_, value)| value.is_nonzero());
            violations.extend(violated.map(|(number, _)| (gate.id(), number)));
        }
        Ok(violations)
    }

    /// Takes away the generator with this name that comes first, so that a test can set its wires itself.
    pub(super) fn without_generator(mut self, id: &str) -> Self {
        let generators = &mut self.data.prover_only.generators;
        let first = generators.iter().position(|generator| generator.0.id() == id).unwrap();
        // The last row is a no-op, of which no wire matters.
        let (row, spare) = (self.data.common.degree() - 1, self.data.common.config.num_wires - 1);
        let idle =
            ConstantGenerator { row, constant_index: 0, wire_index: spare, constant: F::ZERO };
        generators[first] = WitnessGeneratorRef::new(SimpleGenerator::<F, D>::adapter(idle));
        self
    }

    pub(super) fn provable(&self, live: &LiveState) -> bool {
        self.violations(self.witness(live)).is_ok_and(|violations| violations.is_empty())
    }
}

thread_local! {
    static HARNESS: OnceCell<Harness> = const { OnceCell::new() };
}

pub(super) fn with_harness<T>(run: impl FnOnce(&Harness) -> T) -> T {
    HARNESS.with(|harness| run(harness.get_or_init(Harness::new)))
}

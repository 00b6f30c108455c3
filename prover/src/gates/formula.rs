//! From a formula to a Plonky2 gate.
//!
//! ```text
//! Formula (layout, constraints, how to complete a row)  ->  FormulaGate<G>: plonky2's Gate
//!                                                       ->  RowGenerator<G>: plonky2's witness generator
//! ```
//!
//! **Invariant:** a gate has no parameters: its formula is its identity, so a serialized gate is its tag alone.

use core::fmt::Debug;
use core::marker::PhantomData;

use plonky2::gates::gate::Gate;
use plonky2::gates::util::StridedConstraintConsumer;
use plonky2::iop::ext_target::ExtensionTarget;
use plonky2::iop::generator::{GeneratedValues, SimpleGenerator, WitnessGeneratorRef};
use plonky2::iop::target::Target;
use plonky2::iop::witness::{PartitionWitness, Witness, WitnessWrite};
use plonky2::plonk::circuit_data::CommonCircuitData;
use plonky2::plonk::vars::{EvaluationTargets, EvaluationVars, EvaluationVarsBase};
use plonky2::util::serialization::{Buffer, IoResult, Read, Write};

use super::arithmetic::{Arithmetic, InCircuit, Native};
use crate::config::{Builder, D, Ext, F};

/// What a gate is: the layout of its row and the constraints on it.
pub trait Formula: Debug + Default + Clone + Copy + Send + Sync + 'static {
    /// The gate's name; gates of one circuit differ in it.
    const NAME: &'static str;
    /// Wires that the row uses, from wire 0 on.
    const WIRES: usize;
    /// Constants of the row that the constraints use.
    const CONSTANTS: usize;
    /// The highest degree of a constraint, as a polynomial in wires and constants.
    const DEGREE: usize;
    /// How many constraints there are.
    const CONSTRAINTS: usize;

    /// The constraints, in order; each must be zero.
    fn constraints<A: Arithmetic>(
        on: &mut A,
        wires: &[A::Value],
        constants: &[A::Value],
    ) -> Vec<A::Value>;

    /// How a prover calculates the row from what is routed into it, in order. A stage may use what earlier ones calculated.
    fn stages() -> Vec<Stage>;

    /// Routed wires that carry a constant of the row, as (constant, wire): Plonky2 places the circuit's constants there.
    fn constant_wires() -> Vec<(usize, usize)> {
        Vec::new()
    }
}

/// One part of the calculation of a row: it can run as soon as its inputs are known.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The wires that must be known.
    pub inputs: Vec<usize>,
    /// The wires that are calculated.
    pub outputs: Vec<usize>,
    /// Calculates the outputs. Given inputs that satisfy no row, it calculates something that violates a constraint, or
    /// refuses with [`NoSuchRow`] when a value does not exist, such as the inverse of zero.
    pub complete: fn(&mut Row) -> Result<(), NoSuchRow>,
}

/// The inputs of a row have no completion: a denominator is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no row of {gate} has these inputs: a denominator is zero")]
pub struct NoSuchRow {
    /// The gate's name.
    pub gate: &'static str,
}

/// The wires of one row while they are calculated.
#[derive(Debug)]
pub struct Row {
    /// By wire.
    pub wires: Vec<F>,
}

impl Row {
    /// Writes `values` to the wires from `start` on.
    pub fn set(&mut self, start: usize, values: &[F]) {
        self.wires[start..start + values.len()].copy_from_slice(values);
    }
}

/// The Plonky2 gate of a formula.
#[derive(Clone, Copy, Debug, Default)]
pub struct FormulaGate<G>(PhantomData<G>);

impl<G> FormulaGate<G> {
    /// The gate.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<G: Formula> Gate<F, D> for FormulaGate<G> {
    fn id(&self) -> String {
        G::NAME.to_owned()
    }

    fn serialize(&self, _to: &mut Vec<u8>, _common: &CommonCircuitData<F, D>) -> IoResult<()> {
        Ok(())
    }

    fn deserialize(_from: &mut Buffer<'_>, _common: &CommonCircuitData<F, D>) -> IoResult<Self> {
        Ok(Self::new())
    }

    fn eval_unfiltered(&self, vars: EvaluationVars<'_, F, D>) -> Vec<Ext> {
        G::constraints(&mut Native::<Ext>::default(), vars.local_wires, vars.local_constants)
    }

    fn eval_unfiltered_base_one(
        &self,
        vars: EvaluationVarsBase<'_, F>,
        mut constraints: StridedConstraintConsumer<'_, F>,
    ) {
        let wires: Vec<F> = vars.local_wires.iter().copied().collect();
        let constants: Vec<F> = vars.local_constants.iter().copied().collect();
        constraints.many(G::constraints(&mut Native::<F>::default(), &wires, &constants));
    }

    fn eval_unfiltered_circuit(
        &self,
        builder: &mut Builder,
        vars: EvaluationTargets<'_, D>,
    ) -> Vec<ExtensionTarget<D>> {
        G::constraints(&mut InCircuit(builder), vars.local_wires, vars.local_constants)
    }

    fn generators(&self, row: usize, _constants: &[F]) -> Vec<WitnessGeneratorRef<F, D>> {
        (0..G::stages().len())
            .map(|stage| {
                WitnessGeneratorRef::new(
                    RowGenerator::<G> { row, stage, formula: PhantomData }.adapter(),
                )
            })
            .collect()
    }

    fn num_wires(&self) -> usize {
        G::WIRES
    }

    fn num_constants(&self) -> usize {
        G::CONSTANTS
    }

    fn degree(&self) -> usize {
        G::DEGREE
    }

    fn num_constraints(&self) -> usize {
        G::CONSTRAINTS
    }

    fn extra_constant_wires(&self) -> Vec<(usize, usize)> {
        G::constant_wires()
    }
}

/// Runs one stage of one row.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowGenerator<G> {
    row: usize,
    stage: usize,
    formula: PhantomData<G>,
}

impl<G: Formula> SimpleGenerator<F, D> for RowGenerator<G> {
    fn id(&self) -> String {
        format!("{}Generator", G::NAME)
    }

    fn dependencies(&self) -> Vec<Target> {
        let stage = G::stages().into_iter().nth(self.stage);
        let inputs = stage.map(|stage| stage.inputs).unwrap_or_default();
        inputs.into_iter().map(|wire| Target::wire(self.row, wire)).collect()
    }

    fn run_once(
        &self,
        witness: &PartitionWitness<'_, F>,
        out: &mut GeneratedValues<F>,
    ) -> anyhow::Result<()> {
        let Some(stage) = G::stages().into_iter().nth(self.stage) else {
            anyhow::bail!("{} has no stage {}", G::NAME, self.stage);
        };
        let mut row = Row { wires: vec![F::default(); G::WIRES] };
        for wire in stage.inputs {
            row.wires[wire] = witness.get_target(Target::wire(self.row, wire));
        }
        (stage.complete)(&mut row)?;
        stage
            .outputs
            .into_iter()
            .try_for_each(|wire| out.set_target(Target::wire(self.row, wire), row.wires[wire]))
    }

    fn serialize(&self, to: &mut Vec<u8>, _common: &CommonCircuitData<F, D>) -> IoResult<()> {
        to.write_usize(self.row)?;
        to.write_usize(self.stage)
    }

    fn deserialize(from: &mut Buffer<'_>, _common: &CommonCircuitData<F, D>) -> IoResult<Self> {
        Ok(Self { row: from.read_usize()?, stage: from.read_usize()?, formula: PhantomData })
    }
}

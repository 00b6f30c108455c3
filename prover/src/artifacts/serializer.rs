//! Gates and generators as tags: Plonky2 leaves it to us to name the ones that we use.
//!
//! **Invariant:** a tag is a position in a list; lists only grow at their end, or [`super::FORMAT_VERSION`] changes.

use plonky2::gates::gate::{Gate, GateRef};
use plonky2::gates::noop::NoopGate;
use plonky2::gates::poseidon::{PoseidonGate, PoseidonGenerator};
use plonky2::gates::public_input::PublicInputGate;
use plonky2::iop::generator::{
    ConstantGenerator, RandomValueGenerator, SimpleGenerator, WitnessGeneratorRef,
};
use plonky2::plonk::circuit_data::CommonCircuitData;
use plonky2::util::serialization::{
    Buffer, GateSerializer, IoError, IoResult, Read, WitnessGeneratorSerializer, Write,
};

use crate::config::{D, F};
use crate::gates::endpoint::Endpoint;
use crate::gates::formula::{FormulaGate, RowGenerator};
use crate::gates::range::Range;
use crate::gates::scalar::ScalarRange;
use crate::gates::window::Window;

type Common = CommonCircuitData<F, D>;

/// A gate that can be stored: how to recognize it and how to read it.
struct GateKind {
    is: fn(&GateRef<F, D>) -> bool,
    read: fn(&mut Buffer<'_>, &Common) -> IoResult<GateRef<F, D>>,
}

const fn gate<G: Gate<F, D>>() -> GateKind {
    GateKind {
        is: |gate| gate.0.as_any().is::<G>(),
        read: |buffer, common| G::deserialize(buffer, common).map(GateRef::new),
    }
}

const GATES: [GateKind; 7] = [
    gate::<NoopGate>(),
    gate::<PublicInputGate>(),
    gate::<PoseidonGate<F, D>>(),
    gate::<FormulaGate<Window>>(),
    gate::<FormulaGate<Endpoint>>(),
    gate::<FormulaGate<ScalarRange>>(),
    gate::<FormulaGate<Range>>(),
];

/// A generator that can be stored: its name and how to read it.
struct GeneratorKind {
    id: fn() -> String,
    read: fn(&mut Buffer<'_>, &Common) -> IoResult<WitnessGeneratorRef<F, D>>,
}

const fn generator<G: SimpleGenerator<F, D> + Default>() -> GeneratorKind {
    GeneratorKind {
        id: || G::default().id(),
        read: |buffer, common| {
            G::deserialize(buffer, common)
                .map(|generator| WitnessGeneratorRef::new(generator.adapter()))
        },
    }
}

const GENERATORS: [GeneratorKind; 7] = [
    generator::<ConstantGenerator<F>>(),
    generator::<RandomValueGenerator>(),
    generator::<PoseidonGenerator<F, D>>(),
    generator::<RowGenerator<Window>>(),
    generator::<RowGenerator<Endpoint>>(),
    generator::<RowGenerator<ScalarRange>>(),
    generator::<RowGenerator<Range>>(),
];

/// The gates and generators of our circuits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kinds;

impl GateSerializer<F, D> for Kinds {
    fn read_gate(&self, buffer: &mut Buffer<'_>, common: &Common) -> IoResult<GateRef<F, D>> {
        let tag = buffer.read_usize()?;
        let kind = GATES.get(tag).ok_or(IoError)?;
        (kind.read)(buffer, common)
    }

    fn write_gate(
        &self,
        buffer: &mut Vec<u8>,
        gate: &GateRef<F, D>,
        common: &Common,
    ) -> IoResult<()> {
        let tag = GATES.iter().position(|kind| (kind.is)(gate)).ok_or(IoError)?;
        buffer.write_usize(tag)?;
        gate.0.serialize(buffer, common)
    }
}

impl WitnessGeneratorSerializer<F, D> for Kinds {
    fn read_generator(
        &self,
        buffer: &mut Buffer<'_>,
        common: &Common,
    ) -> IoResult<WitnessGeneratorRef<F, D>> {
        let tag = buffer.read_usize()?;
        let kind = GENERATORS.get(tag).ok_or(IoError)?;
        (kind.read)(buffer, common)
    }

    fn write_generator(
        &self,
        buffer: &mut Vec<u8>,
        generator: &WitnessGeneratorRef<F, D>,
        common: &Common,
    ) -> IoResult<()> {
        let id = generator.0.id();
        let tag = GENERATORS.iter().position(|kind| (kind.id)() == id).ok_or(IoError)?;
        buffer.write_usize(tag)?;
        generator.0.serialize(buffer, common)
    }
}

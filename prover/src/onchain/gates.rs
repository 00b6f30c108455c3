//! Which gates a circuit has, and the Yul that evaluates each one's constraints.

use plonky2::{
    gates::{
        arithmetic_base::ArithmeticGate, base_sum::BaseSumGate, constant::ConstantGate,
        gate::GateRef, noop::NoopGate, poseidon::PoseidonGate, public_input::PublicInputGate,
        random_access::RandomAccessGate,
    },
    plonk::circuit_data::CommonCircuitData,
};

use super::{
    GenerateError, formula,
    memory::{Block, CELL, POWERS, WORD},
    template::{Code, Values},
};
use crate::{
    config::{D, F},
    gates::{
        endpoint::Endpoint,
        formula::{Formula, FormulaGate},
        range::{self, Range, VALUE_BITS},
        scalar::ScalarRange,
        window::Window,
    },
};

/// Plonky2's selectors: consecutive gates share one, and each gate's rows have its number there.
#[derive(Debug)]
pub(super) struct Selectors {
    groups: Vec<core::ops::Range<usize>>,
}

/// The value of a selector in rows whose gate belongs to another selector, if there are several.
const UNUSED_SELECTOR: u64 = u32::MAX as u64;

impl Selectors {
    /// Plonky2 keeps the groups to itself, but it prints them.
    pub(super) fn of(common: &CommonCircuitData<F, D>) -> Result<Self, GenerateError> {
        let printed = format!("{:?}", common.selectors_info);
        let list = printed.split_once("groups: [").and_then(|(_, rest)| rest.split_once(']'));
        let group = |text: &str| {
            let (start, end) = text.trim().split_once("..")?;
            Some(start.parse().ok()?..end.parse().ok()?)
        };
        let groups: Option<Vec<core::ops::Range<usize>>> =
            list.and_then(|(list, _)| list.split(',').map(group).collect());
        let groups = groups.ok_or(GenerateError::Unsupported("selectors printed like this"))?;
        // They are a partition of the gates, in order, or they were not what is printed.
        let mut next = 0;
        let in_order =
            groups.iter().all(|group| core::mem::replace(&mut next, group.end) == group.start);
        let complete = next == common.gates.len();
        if in_order && complete && groups.len() == common.selectors_info.num_selectors() {
            Ok(Self { groups })
        } else {
            Err(GenerateError::Unsupported("selectors that are no partition of the gates"))
        }
    }

    /// Selector polynomials; the gates' own constants come after them.
    pub(super) fn count(&self) -> usize {
        self.groups.len()
    }

    /// What a filter starts from: (unused - s) where there are several selectors.
    pub(super) fn set_unused(&self, values: &mut Values) {
        if self.groups.len() > 1 {
            values
                .set("UNUSED_RE", format_args!("add({UNUSED_SELECTOR}, s0)"))
                .set("UNUSED_IM", "s1");
        } else {
            values.set("UNUSED_RE", 1).set("UNUSED_IM", 0);
        }
    }

    /// The statements that add the accumulated constraints of the gate in `row`, filtered.
    pub(super) fn flush(&self, row: usize, block: &Block) -> Result<String, GenerateError> {
        let missing = || GenerateError::Unsupported("a gate without a selector");
        let groups = self.groups.iter().enumerate();
        let (index, group) =
            groups.into_iter().find(|(_, group)| group.contains(&row)).ok_or_else(missing)?;
        let selector = block.constant(index);
        Ok(format!(
            "{{\n    let f0, f1 := filter({selector}, {row}, {}, {})\n    flush(f0, f1)\n}}",
            group.start, group.end
        ))
    }
}

/// Where a gate's code goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// No constraints.
    Nowhere,
    /// The contract with the permutation argument and the small gates.
    Gates,
    /// The contract with the arithmetic of the quintic extension.
    Curve,
    /// The contract with Poseidon's tables.
    Poseidon,
}

/// The contract that a gate is evaluated in.
pub(super) fn home(gate: &GateRef<F, D>) -> Home {
    let any = gate.0.as_any();
    if any.is::<NoopGate>() {
        Home::Nowhere
    } else if any.is::<PoseidonGate<F, D>>() {
        Home::Poseidon
    } else if any.is::<FormulaGate<Window>>() || any.is::<FormulaGate<Endpoint>>() {
        Home::Curve
    } else {
        Home::Gates
    }
}

/// The gate's name, without the noise of its type parameters.
fn name(gate: &GateRef<F, D>) -> String {
    let id = gate.0.id();
    id.split([' ', '(']).next().unwrap_or_default().to_owned()
}

/// The functions of the gate in `row`, of which `gate<row>()` accumulates its constraints, for a contract whose block and accumulators `values` describe.
pub(super) fn code(
    gate: &GateRef<F, D>,
    row: usize,
    (block, selectors): (&Block, usize),
    values: &Values,
) -> Result<String, GenerateError> {
    let any = gate.0.as_any();
    if any.is::<FormulaGate<Window>>() {
        return Ok(formula::gate::<Window>(row, block, selectors));
    }
    if any.is::<FormulaGate<Endpoint>>() {
        return Ok(formula::gate::<Endpoint>(row, block, selectors));
    }
    if any.is::<FormulaGate<ScalarRange>>() {
        return Ok(formula::gate::<ScalarRange>(row, block, selectors));
    }
    let filled = |template: &str, more: &dyn Fn(&mut Values)| {
        let values = values.with(|values| {
            values.set("ROW", row).set("GATE", name(gate));
            more(values);
        });
        values.fill(template)
    };
    if any.is::<FormulaGate<Range>>() {
        let more = |values: &mut Values| set_range(block, selectors, values);
        return filled(include_str!("yul/gate_range.yul"), &more);
    }
    if any.is::<PublicInputGate>() {
        return filled(include_str!("yul/gate_public_input.yul"), &|_| {});
    }
    if any.is::<ConstantGate>() {
        let count = gate.0.num_constraints();
        let more = |values: &mut Values| _ = values.set("COUNT", count);
        return filled(include_str!("yul/gate_constant.yul"), &more);
    }
    if let Some(gate) = any.downcast_ref::<BaseSumGate<2>>() {
        let limbs = gate.num_limbs;
        let more = |values: &mut Values| {
            values.set("LIMBS", limbs).set("LIMBS_POWER_BYTES", limbs * POWERS);
        };
        return filled(include_str!("yul/gate_base_sum.yul"), &more);
    }
    if let Some(gate) = any.downcast_ref::<ArithmeticGate>() {
        let end = block.wire(4 * gate.num_ops);
        let more = |values: &mut Values| _ = values.set("OPS_END", end);
        return filled(include_str!("yul/gate_arithmetic.yul"), &more);
    }
    if let Some(gate) = any.downcast_ref::<RandomAccessGate<F, D>>() {
        let more = |values: &mut Values| set_random_access(gate, block, values);
        return filled(include_str!("yul/gate_random_access.yul"), &more);
    }
    if any.is::<PoseidonGate<F, D>>() {
        let more = |values: &mut Values| {
            values.set("SBOX_WIRES", block.wire(29)).set("OUTPUT_WIRES", block.wire(12));
        };
        return filled(include_str!("yul/gate_poseidon.yul"), &more);
    }
    Err(GenerateError::UnsupportedGate(gate.0.id()))
}

fn set_random_access(gate: &RandomAccessGate<F, D>, block: &Block, values: &mut Values) {
    let list = 1 << gate.bits;
    let extra = (2 + list) * gate.num_copies;
    let bits = extra + gate.num_extra_constants;
    values
        .set("COPIES", gate.num_copies)
        .set("COPY_BYTES", (2 + list) * CELL)
        .set("BITS", gate.bits)
        .set("BITS_AT", block.wire(bits))
        .set("BITS_BYTES", gate.bits * CELL)
        .set("BITS_POWER_BYTES", gate.bits * POWERS)
        .set("HALF_LIST", list / 2)
        .set("EXTRA_AT", block.wire(extra))
        .set("EXTRA_END", block.wire(bits));
}

/// The range gate has too many constraints to write each one down.
fn set_range(block: &Block, selectors: usize, values: &mut Values) {
    let mut digits = range::WIRES_CONSTANTS + Range::CONSTANTS;
    values.set("DIGITS_AT", block.wire(digits));
    let mut sums = Code::new(16);
    for (value, bits) in VALUE_BITS.into_iter().enumerate() {
        let (from, end) = (block.wire(digits), block.wire(digits + bits / 2));
        sums.line(format_args!("digitSum$ROW$(power, {}, {from}, {end})", block.wire(value)));
        sums.line("power := add(power, 96)");
        digits += bits / 2;
    }
    let mut constants = Code::new(16);
    for (constant, wire) in Range::constant_wires() {
        let (from, to) = (block.constant(selectors + constant), block.wire(wire));
        let minus = |at: usize| format!("sub({:#x}, mload({at:#x}))", super::field::ORDER);
        let (re, im) = (minus(to), minus(to + WORD));
        constants.line(format_args!(
            "acc(power, add(mload({from:#x}), {re}), add(mload({:#x}), {im}))",
            from + WORD
        ));
        constants.line("power := add(power, 96)");
    }
    let sums = sums.finish().replace("$ROW$", values.get("ROW"));
    values
        .set("DIGITS_END", block.wire(digits))
        .set("VALUES", sums)
        .set("CONSTANT_WIRES", constants.finish());
}

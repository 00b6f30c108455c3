//! Gates that are stated as a [`Formula`], written as Yul by evaluating the formula over [`Writer`].
//!
//! A value is a linear form over cells of memory (wires, constants and what was calculated before). Additions and scalings
//! only change the form; a multiplication brings its operands into cells and writes a call. Elements of the quintic extension
//! occupy five cells in a row and are handled by loops and by functions of their own.
//!
//! **Invariant:** every cell holds reduced elements, so sums of a few hundred terms fit a word.

use std::collections::BTreeMap;

use plonky2_field::types::{Field, PrimeField64};

use super::{
    field::ORDER,
    form::{Form, element},
    memory::{Block, CELL, POWERS, Regions, WORD},
    quintic::QUINTIC,
    template::Code,
};
use crate::{
    config::F,
    gates::{
        arithmetic::{Arithmetic, Quintic},
        formula::Formula,
    },
};

/// Terms beyond which a quintic operand is brought into cells instead of being carried along.
const CARRIED_TERMS: usize = 4;

/// Writes the calculation of a formula's constraints.
pub(super) struct Writer {
    code: Code,
    regions: Regions,
    forms: Vec<Form>,
    numbers: BTreeMap<Form, usize>,
    cells: BTreeMap<usize, usize>,
    quintics: BTreeMap<[usize; 5], usize>,
    constants: BTreeMap<[u64; 5], usize>,
}

/// The number of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value(usize);

/// The function `gate<row>()` that accumulates the constraints of `G`. Its memory is what follows the block.
pub(super) fn gate<G: Formula>(row: usize, block: &Block, selectors: usize) -> String {
    let mut on = Writer {
        code: Code::new(16),
        regions: Regions::from(block.end),
        forms: Vec::new(),
        numbers: BTreeMap::new(),
        cells: BTreeMap::new(),
        quintics: BTreeMap::new(),
        constants: BTreeMap::new(),
    };
    let wires: Vec<Value> =
        (0..G::WIRES).map(|wire| on.number(Form::cell(block.wire(wire)))).collect();
    let constants: Vec<Value> = (0..G::CONSTANTS)
        .map(|constant| on.number(Form::cell(block.constant(selectors + constant))))
        .collect();
    let constraints = G::constraints(&mut on, &wires, &constants);
    on.accumulate(&constraints, block.gate_powers());
    let mut code = Code::new(12);
    code.line(format_args!("// {}", G::NAME));
    code.line(format_args!("function gate{row}() {{"));
    // Zero, which the compiler does not see: it would make a copy of a function for each call with literal operands.
    code.line("    let zero := shr(255, calldatasize())");
    let mut text = code.finish() + &on.code.finish();
    text.push_str("            }\n");
    text
}

impl Writer {
    fn number(&mut self, form: Form) -> Value {
        let next = self.forms.len();
        let number = *self.numbers.entry(form.clone()).or_insert(next);
        if number == next {
            self.forms.push(form);
        }
        Value(number)
    }

    fn form(&self, value: Value) -> &Form {
        &self.forms[value.0]
    }

    /// Writes `count` reduced elements from `to` on, whose forms are that of `first` moved on, but for their constants.
    fn write(&mut self, to: usize, first: &Form, constants: &[u64]) {
        let bytes = constants.len() * CELL;
        let sum = first.expression("o");
        self.code.line(format_args!(
            "for {{ let o := 0 }} lt(o, {bytes}) {{ o := add(o, 32) }} {{ mstore(add({to:#x}, o), mod({sum}, {ORDER:#x})) }}"
        ));
        for (index, &constant) in
            constants.iter().enumerate().filter(|(_, constant)| **constant != 0)
        {
            let at = to + index * CELL;
            self.code.line(format_args!(
                "mstore({at:#x}, addmod(mload({at:#x}), {constant:#x}, {ORDER:#x}))"
            ));
        }
    }

    /// The cell that holds the value.
    fn in_cell(&mut self, value: Value) -> usize {
        let form = self.form(value).clone();
        if let Some(address) = form.as_cell().or_else(|| self.cells.get(&value.0).copied()) {
            return address;
        }
        let to = self.regions.take(CELL);
        self.write(to, &form, &[form.constant]);
        self.cells.insert(value.0, to);
        to
    }

    /// The first of the five cells in a row that hold the value.
    fn in_cells(&mut self, value: &Quintic<Value>) -> usize {
        let forms = value.map(|value| self.form(value).clone());
        let alike = forms.iter().enumerate().all(|(k, form)| form.follows(&forms[0], k));
        if let (true, Some(address)) = (alike, forms[0].as_cell())
            && forms.iter().all(|form| form.constant == 0)
        {
            return address;
        }
        let key = value.map(|value| value.0);
        if let Some(&address) = self.quintics.get(&key) {
            return address;
        }
        let to = self.regions.take(QUINTIC);
        if alike {
            self.write(to, &forms[0], &forms.each_ref().map(|form| form.constant));
        } else {
            for (k, form) in forms.iter().enumerate() {
                self.write(to + k * CELL, form, &[form.constant]);
            }
        }
        self.quintics.insert(key, to);
        to
    }

    fn five_cells(&mut self, first: usize) -> Quintic<Value> {
        core::array::from_fn(|k| self.number(Form::cell(first + k * CELL)))
    }

    /// The same value, in cells if its forms are long.
    fn carried(&mut self, value: &Quintic<Value>) -> Quintic<Value> {
        if value.iter().any(|value| self.form(*value).terms.len() > CARRIED_TERMS) {
            let first = self.in_cells(value);
            self.five_cells(first)
        } else {
            *value
        }
    }

    /// Calls a function that writes a quintic value.
    fn quintic_call(&mut self, function: &str, operands: &[usize]) -> Quintic<Value> {
        let to = self.regions.take(QUINTIC);
        let operands: String =
            operands.iter().map(|operand| format!(", add(zero, {operand:#x})")).collect();
        self.code.line(format_args!("{function}(add(zero, {to:#x}){operands})"));
        self.five_cells(to)
    }

    /// Adds the constraints, each times its powers of alpha. Neighbours with like forms share a loop.
    fn accumulate(&mut self, constraints: &[Value], powers: usize) {
        let mut done = 0;
        while let Some(first) = constraints.get(done) {
            let first = self.form(*first).clone();
            let like = |(cells, value): (usize, &Value)| self.form(*value).follows(&first, cells);
            let count =
                constraints[done..].iter().enumerate().take_while(|pair| like(*pair)).count();
            let constants: Vec<u64> = constraints[done..done + count]
                .iter()
                .map(|value| self.form(*value).constant)
                .collect();
            let from = match first.terms.as_slice() {
                [(address, 1)] if constants.iter().all(|constant| *constant == 0) => *address,
                _ => {
                    let to = self.regions.take(count * CELL);
                    self.write(to, &first, &constants);
                    to
                }
            };
            let (power, end) = (powers + done * POWERS, from + count * CELL);
            self.code.line(format_args!(
                "accumulate(add(zero, {power:#x}), add(zero, {from:#x}), add(zero, {end:#x}))"
            ));
            done += count;
        }
    }
}

impl Arithmetic for Writer {
    type Value = Value;

    fn constant(&mut self, value: F) -> Value {
        self.number(Form { terms: Vec::new(), constant: value.to_canonical_u64() })
    }

    fn add(&mut self, a: Value, b: Value) -> Value {
        let sum = self.form(a).plus(F::ONE, self.form(b));
        self.number(sum)
    }

    fn sub(&mut self, a: Value, b: Value) -> Value {
        let difference = self.form(a).plus(F::NEG_ONE, self.form(b));
        self.number(difference)
    }

    fn mul(&mut self, a: Value, b: Value) -> Value {
        for (constant, other) in [(a, b), (b, a)] {
            if self.form(constant).terms.is_empty() {
                return self.scale(element(self.form(constant).constant), other);
            }
        }
        // a (b + c) = a b + c a for constants c: so b + c need not be brought into a cell of its own.
        for (whole, sum) in [(a, b), (b, a)] {
            let mut rest = self.form(sum).clone();
            let constant = core::mem::take(&mut rest.constant);
            if constant != 0 {
                let rest = self.number(rest);
                let product = self.mul(whole, rest);
                let scaled = self.scale(element(constant), whole);
                return self.add(product, scaled);
            }
        }
        let (a, b) = (self.in_cell(a), self.in_cell(b));
        let to = self.regions.take(CELL);
        self.code.line(format_args!(
            "product(add(zero, {to:#x}), add(zero, {a:#x}), add(zero, {b:#x}))"
        ));
        self.number(Form::cell(to))
    }

    fn scale(&mut self, factor: F, a: Value) -> Value {
        let scaled = Form::default().plus(factor, self.form(a));
        self.number(scaled)
    }

    fn quintic_constant(&mut self, value: [F; 5]) -> Quintic<Value> {
        let value = value.map(|coefficient| coefficient.to_canonical_u64());
        let first = if let Some(&first) = self.constants.get(&value) {
            first
        } else {
            let first = self.regions.take(QUINTIC);
            for (k, coefficient) in value.into_iter().enumerate() {
                let at = first + k * CELL;
                self.code.line(format_args!("mstore({at:#x}, {coefficient:#x})"));
                // Another gate's values may be there.
                self.code.line(format_args!("mstore({:#x}, 0)", at + WORD));
            }
            self.constants.insert(value, first);
            first
        };
        self.five_cells(first)
    }

    fn quintic_mul(&mut self, a: &Quintic<Value>, b: &Quintic<Value>) -> Quintic<Value> {
        let (a, b) = (self.in_cells(a), self.in_cells(b));
        if a == b {
            self.quintic_call("quinticSquare", &[a])
        } else {
            self.quintic_call("quinticMul", &[a, b])
        }
    }

    fn quintic_times(&mut self, factor: Value, a: &Quintic<Value>) -> Quintic<Value> {
        let (factor, a) = (self.in_cell(factor), self.in_cells(a));
        self.quintic_call("quinticTimes", &[factor, a])
    }

    fn quintic_add(&mut self, a: &Quintic<Value>, b: &Quintic<Value>) -> Quintic<Value> {
        let (a, b) = (self.carried(a), self.carried(b));
        core::array::from_fn(|k| self.add(a[k], b[k]))
    }

    fn quintic_sub(&mut self, a: &Quintic<Value>, b: &Quintic<Value>) -> Quintic<Value> {
        let (a, b) = (self.carried(a), self.carried(b));
        core::array::from_fn(|k| self.sub(a[k], b[k]))
    }
}

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
    memory::{Block, CELL, POWERS, Regions, WORD},
    template::Code,
};
use crate::{
    config::F,
    gates::{
        arithmetic::{Arithmetic, QUINTIC_W, Quintic},
        formula::Formula,
    },
};

/// Bytes of an element of the quintic extension.
pub(super) const QUINTIC: usize = 5 * CELL;

/// Terms beyond which a quintic operand is brought into cells instead of being carried along.
const CARRIED_TERMS: usize = 4;

/// A linear form: terms by rising address, each with its factor, and a constant.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Form {
    terms: Vec<(usize, u64)>,
    constant: u64,
}

impl Form {
    fn cell(address: usize) -> Self {
        Self { terms: vec![(address, 1)], constant: 0 }
    }

    /// The address, if the form is one cell and nothing else.
    fn as_cell(&self) -> Option<usize> {
        match self.terms.as_slice() {
            [(address, 1)] if self.constant == 0 => Some(*address),
            _ => None,
        }
    }

    /// self + factor * other.
    fn plus(&self, factor: F, other: &Self) -> Self {
        let mut terms: BTreeMap<usize, F> =
            self.terms.iter().map(|t| (t.0, element(t.1))).collect();
        for &(address, by) in &other.terms {
            *terms.entry(address).or_default() += factor * element(by);
        }
        let constant = element(self.constant) + factor * element(other.constant);
        let terms = terms.into_iter().filter(|(_, by)| *by != F::ZERO);
        Self {
            terms: terms.map(|(address, by)| (address, by.to_canonical_u64())).collect(),
            constant: constant.to_canonical_u64(),
        }
    }

    /// Whether the terms are those of `first`, `cells` cells further on.
    fn follows(&self, first: &Self, cells: usize) -> bool {
        self.terms.len() == first.terms.len()
            && self
                .terms
                .iter()
                .zip(&first.terms)
                .all(|(term, first)| term.1 == first.1 && term.0 == first.0 + cells * CELL)
    }

    /// The terms' sum as an expression, not reduced; `offset` is added to every address.
    fn expression(&self, offset: &str) -> String {
        let term = |address: usize, by: u64| {
            let load = format!("mload(add({address:#x}, {offset}))");
            if by == 1 { load } else { format!("mul({by:#x}, {load})") }
        };
        let add = |sum: Option<String>, term: String| match sum {
            Some(sum) => Some(format!("add({term}, {sum})")),
            None => Some(term),
        };
        let (mut positive, mut negative, mut multiple) = (None, None, 0_u128);
        for &(address, by) in &self.terms {
            let minus = ORDER - by;
            if minus <= LARGEST_NEGATIVE {
                // What is subtracted is below this multiple of the order.
                multiple += u128::from(minus) * u128::from(ORDER);
                negative = add(negative, term(address, minus));
            } else {
                positive = add(positive, term(address, by));
            }
        }
        match (positive, negative) {
            (sum, None) => sum.unwrap_or_else(|| "0".to_owned()),
            (None, Some(negative)) => format!("sub({multiple:#x}, {negative})"),
            (Some(sum), Some(negative)) => format!("sub(add({multiple:#x}, {sum}), {negative})"),
        }
    }
}

/// Factors from -1 down to this are subtracted; others are multiplied with as they are.
const LARGEST_NEGATIVE: u64 = 1 << 16;

fn element(value: u64) -> F {
    F::from_canonical_u64(value)
}

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

/// The Yul functions for the product of two cells and for adding constraints; operands are addresses.
pub(super) fn product() -> String {
    let mut code = Code::new(12);
    code.line("function product(to, a, b) {");
    code.line("    let a0 := mload(a)");
    code.line("    let a1 := mload(add(a, 32))");
    code.line("    let b0 := mload(b)");
    code.line("    let b1 := mload(add(b, 32))");
    code.line("    mstore(to, mulRe(a0, a1, b0, b1))");
    code.line("    mstore(add(to, 32), mulIm(a0, a1, b0, b1))");
    code.line("}");
    code.line("// Adds the constraints in the cells [from, end).");
    code.line("function accumulate(power, from, end) {");
    code.line("    for {} lt(from, end) { from := add(from, 64) } {");
    code.line("        acc(power, mload(from), mload(add(from, 32)))");
    code.line("        power := add(power, 96)");
    code.line("    }");
    code.line("}");
    code.finish()
}

/// Yul functions that formulas call; operands are addresses. `left` and `right` are five cells each.
pub(super) fn functions(left: usize, right: usize) -> String {
    let mut code = Code::new(12);
    code.line("// Products of cells: of two; of one and five; of five and five, in GF(p^5) = F[z] / (z^5 - 3).");
    code.line("function quinticTimes(to, a, b) {");
    code.line(format_args!(
        "    for {{ let end := add(to, {QUINTIC}) }} lt(to, end) {{ to := add(to, 64) }} {{"
    ));
    code.line("        product(to, a, b)");
    code.line("        b := add(b, 64)");
    code.line("    }");
    code.line("}");
    for (name, parameters, right) in
        [("quinticMul", "to, a, b", right), ("quinticSquare", "to, a", left)]
    {
        code.line(format_args!("function {name}({parameters}) {{"));
        code.line(format_args!("    mcopy({left:#x}, a, {QUINTIC})"));
        if right != left {
            code.line(format_args!("    mcopy({right:#x}, b, {QUINTIC})"));
        }
        for k in 0..5 {
            for im in [false, true] {
                let at = k * CELL + if im { WORD } else { 0 };
                let sum = quintic_coefficient(left, right, k, im);
                code.line(format_args!("    mstore(add(to, {at}), mod({sum}, {ORDER:#x}))"));
            }
        }
        code.line("}");
    }
    product() + &code.finish()
}

/// Coefficient `k` of the product of two quintic elements, as an expression that is not reduced.
fn quintic_coefficient(left: usize, right: usize, k: usize, im: bool) -> String {
    // The sum of the products of component `a` of the left and component `b` of the right, with z^5 = 3.
    let components = |a: usize, b: usize| {
        let product = |i: usize, j: usize| {
            let (a, b) = (left + i * CELL + a * WORD, right + j * CELL + b * WORD);
            format!("mul(mload({a:#x}), mload({b:#x}))")
        };
        let sum = |terms: Vec<String>| {
            terms.into_iter().reduce(|sum, term| format!("add({term}, {sum})"))
        };
        let low = sum((0..=k).map(|i| product(i, k - i)).collect()).unwrap_or_default();
        match sum((k + 1..5).map(|i| product(i, k + 5 - i)).collect()) {
            Some(high) => format!("add(mul({QUINTIC_W}, {high}), {low})"),
            None => low,
        }
    };
    if im {
        format!("add({}, {})", components(0, 1), components(1, 0))
    } else {
        format!("add({}, mul(7, {}))", components(0, 0), components(1, 1))
    }
}

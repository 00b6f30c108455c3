//! The Yul functions that formulas call: products of cells, also of five at a time, and the sum of constraints.

use super::{
    field::ORDER,
    memory::{CELL, WORD},
    template::Code,
};
use crate::gates::arithmetic::QUINTIC_W;

/// Bytes of an element of the quintic extension.
pub(super) const QUINTIC: usize = 5 * CELL;

/// Bytes of an operand of a product: an element, then the sums of each coefficient's two parts.
pub(super) const OPERAND: usize = QUINTIC + 5 * WORD;

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
    code.line("function quinticMul(to, a, b) {");
    for (operand, at) in [("a", left), ("b", right)] {
        code.line(format_args!("    mcopy({at:#x}, {operand}, {QUINTIC})"));
        for i in 0..5 {
            let (re, im) = (at + i * CELL, at + i * CELL + WORD);
            let to = at + QUINTIC + i * WORD;
            code.line(format_args!("    mstore({to:#x}, add(mload({re:#x}), mload({im:#x})))"));
        }
    }
    for k in 0..5 {
        let sum = |left: usize, right: usize, stride: usize| {
            coefficient(k, |i, j| {
                let (left, right) = (left + i * stride, right + j * stride);
                format!("mul(mload({left:#x}), mload({right:#x}))")
            })
        };
        let (p, q) = (sum(left, right, CELL), sum(left + WORD, right + WORD, CELL));
        let r = sum(left + QUINTIC, right + QUINTIC, WORD);
        let (re, im) = (k * CELL, k * CELL + WORD);
        // (a0 + a1 u)(b0 + b1 u): its real part and, by Karatsuba, the coefficient of u.
        code.line("    {");
        code.line(format_args!("        let p := {p}"));
        code.line(format_args!("        let q := {q}"));
        code.line(format_args!("        let r := {r}"));
        code.line(format_args!(
            "        mstore(add(to, {re}), mod(add(p, mul(7, q)), {ORDER:#x}))"
        ));
        code.line(format_args!(
            "        mstore(add(to, {im}), mod(sub(r, add(p, q)), {ORDER:#x}))"
        ));
        code.line("    }");
    }
    code.line("}");
    product() + &code.finish() + &square(left)
}

/// The function `quinticSquare`.
fn square(left: usize) -> String {
    let mut code = Code::new(12);
    code.line("function quinticSquare(to, a) {");
    code.line(format_args!("    mcopy({left:#x}, a, {QUINTIC})"));
    for k in 0..5 {
        let component = |a: usize, b: usize, i: usize, j: usize| {
            let (a, b) = (left + i * CELL + a * WORD, left + j * CELL + b * WORD);
            format!("mul(mload({a:#x}), mload({b:#x}))")
        };
        let re = square_coefficient(k, |i, j| {
            format!("add({}, mul(7, {}))", component(0, 0, i, j), component(1, 1, i, j))
        });
        let im = square_coefficient(k, |i, j| {
            if i == j {
                format!("shl(1, {})", component(0, 1, i, i))
            } else {
                format!("add({}, {})", component(0, 1, i, j), component(1, 0, i, j))
            }
        });
        let (to_re, to_im) = (k * CELL, k * CELL + WORD);
        code.line(format_args!("    mstore(add(to, {to_re}), mod({re}, {ORDER:#x}))"));
        code.line(format_args!("    mstore(add(to, {to_im}), mod({im}, {ORDER:#x}))"));
    }
    code.line("}");
    code.finish()
}

fn add(terms: impl Iterator<Item = String>) -> Option<String> {
    terms.reduce(|sum, term| format!("add({term}, {sum})"))
}

/// low + 3 high, since z^5 = 3.
fn reduced(low: Option<String>, high: Option<String>) -> String {
    match (low, high) {
        (Some(low), Some(high)) => format!("add(mul({QUINTIC_W}, {high}), {low})"),
        (low, high) => low.or(high).unwrap_or_default(),
    }
}

/// Coefficient `k` of a product: the sum of `product(i, j)` over i + j = k, and 3 times that over i + j = k + 5.
fn coefficient(k: usize, product: impl Fn(usize, usize) -> String) -> String {
    let low = add((0..=k).map(|i| product(i, k - i)));
    let high = add((k + 1..5).map(|i| product(i, k + 5 - i)));
    reduced(low, high)
}

/// Coefficient `k` of a square: every product of two different coefficients counts twice.
fn square_coefficient(k: usize, product: impl Fn(usize, usize) -> String) -> String {
    let sum = |total: usize| {
        let pairs = (0..5).filter_map(|i| total.checked_sub(i).map(|j| (i, j)));
        let pairs: Vec<_> = pairs.filter(|(i, j)| i <= j && *j < 5).collect();
        let single = pairs.iter().find(|(i, j)| i == j).map(|(i, j)| product(*i, *j));
        let double = add(pairs.iter().filter(|(i, j)| i < j).map(|(i, j)| product(*i, *j)));
        match (single, double.map(|double| format!("shl(1, {double})"))) {
            (Some(single), Some(double)) => Some(format!("add({double}, {single})")),
            (single, double) => single.or(double),
        }
    };
    reduced(sum(k), sum(k + 5))
}

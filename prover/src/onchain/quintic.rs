//! The Yul functions that formulas call: products of cells, also of five at a time, and the sum of constraints.

use super::{
    field::ORDER,
    memory::{CELL, WORD},
    template::Code,
};
use crate::gates::arithmetic::QUINTIC_W;

/// Bytes of an element of the quintic extension.
pub(super) const QUINTIC: usize = 5 * CELL;

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

//! Linear forms over cells of memory, and the Yul expressions that evaluate them.

use std::collections::BTreeMap;

use plonky2_field::types::{Field, PrimeField64};

use super::{field::ORDER, memory::CELL};
use crate::config::F;

/// A linear form: terms by rising address, each with its factor, and a constant.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Form {
    pub(super) terms: Vec<(usize, u64)>,
    pub(super) constant: u64,
}

impl Form {
    pub(super) fn cell(address: usize) -> Self {
        Self { terms: vec![(address, 1)], constant: 0 }
    }

    /// The address, if the form is one cell and nothing else.
    pub(super) fn as_cell(&self) -> Option<usize> {
        match self.terms.as_slice() {
            [(address, 1)] if self.constant == 0 => Some(*address),
            _ => None,
        }
    }

    /// self + factor * other.
    pub(super) fn plus(&self, factor: F, other: &Self) -> Self {
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
    pub(super) fn follows(&self, first: &Self, cells: usize) -> bool {
        self.terms.len() == first.terms.len()
            && self
                .terms
                .iter()
                .zip(&first.terms)
                .all(|(term, first)| term.1 == first.1 && term.0 == first.0 + cells * CELL)
    }

    /// The terms' sum as an expression, not reduced; `offset` is added to every address.
    pub(super) fn expression(&self, offset: &str) -> String {
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

pub(super) fn element(value: u64) -> F {
    F::from_canonical_u64(value)
}

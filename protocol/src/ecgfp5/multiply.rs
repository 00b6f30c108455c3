//! Scalar multiplication in constant time: of the generator, by a table; of any point, by windows.
//!
//! **Invariant:** the sequence of operations and of memory accesses is the same for every scalar.

use std::sync::LazyLock;

use subtle::{ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

use super::point::{Point, TablePoint};
use super::scalar::Scalar;

/// Entries of a table of multiples: one for each value of a four-bit digit.
const ENTRIES: usize = 16;

/// `GENERATOR_TABLE[i][j]` = j 16^i G. 100 KiB, made on first use in under a millisecond.
static GENERATOR_TABLE: LazyLock<Vec<[TablePoint; ENTRIES]>> = LazyLock::new(|| {
    let mut power = Point::GENERATOR;
    (0..Scalar::NIBBLES)
        .map(|_window| {
            let multiples = multiples(&power);
            power = multiples[ENTRIES - 1].plus(&power);
            Point::normalise(&multiples)
        })
        .collect()
});

/// 0, P, 2 P, ..., 15 P.
fn multiples(point: &Point) -> [Point; ENTRIES] {
    let mut multiples = [Point::NEUTRAL; ENTRIES];
    let mut next = Point::NEUTRAL;
    for multiple in &mut multiples {
        *multiple = next;
        next = next.plus(point);
    }
    multiples
}

/// `table[digit]`, reading every entry.
fn select<T: ConditionallySelectable + Default>(table: &[T; ENTRIES], digit: u8) -> T {
    let mut selected = T::default();
    for (entry, index) in table.iter().zip(0u8..) {
        selected.conditional_assign(entry, index.ct_eq(&digit));
    }
    selected
}

impl Point {
    /// `scalar` times the generator, in constant time. 80 additions.
    #[must_use]
    pub fn multiply_generator(scalar: &Scalar) -> Self {
        let digits = Zeroizing::new(scalar.nibbles());
        let windows = GENERATOR_TABLE.iter().zip(digits.iter());
        windows.fold(Self::NEUTRAL, |sum, (table, digit)| sum.plus_table(&select(table, *digit)))
    }

    /// `scalar` times this, in constant time. 320 doublings and 80 additions.
    #[must_use]
    pub fn multiply(&self, scalar: &Scalar) -> Self {
        let digits = Zeroizing::new(scalar.nibbles());
        let table = multiples(self);
        digits.iter().rev().fold(Self::NEUTRAL, |sum, digit| {
            sum.double().double().double().double().plus(&select(&table, *digit))
        })
    }
}

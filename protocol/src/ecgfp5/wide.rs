//! Sums of products of coefficients, reduced modulo p only once.
//!
//! **Invariant:** nothing here depends on the values: neither branches nor memory accesses.

use super::base;

/// A sum of at most 31 products (counted with their factors of 2 and 3) of two `u64`, in words, lowest first.
///
/// Three words with explicit carries: on x86-64 a quarter faster than a `u128` with a counter of overflows.
#[derive(Clone, Copy)]
pub(super) struct Wide {
    first: u64,
    second: u64,
    top: u64,
}

impl Wide {
    #[inline(always)]
    pub(super) fn product(a: u64, b: u64) -> Self {
        let product = u128::from(a).wrapping_mul(u128::from(b));
        Self { first: product as u64, second: (product >> 64) as u64, top: 0 }
    }

    #[inline(always)]
    pub(super) fn plus(self, other: Self) -> Self {
        let (first, carry) = self.first.overflowing_add(other.first);
        let (second, carry1) = self.second.overflowing_add(other.second);
        let (second, carry2) = second.overflowing_add(u64::from(carry));
        let top = self.top.wrapping_add(other.top);
        Self {
            first,
            second,
            top: top.wrapping_add(u64::from(carry1)).wrapping_add(u64::from(carry2)),
        }
    }

    #[inline(always)]
    pub(super) fn plus_product(self, a: u64, b: u64) -> Self {
        let product = Self::product(a, b);
        let (first, carry) = self.first.overflowing_add(product.first);
        // The upper word of a product is at most 2^64 - 2: it has room for a carry.
        let upper = product.second.wrapping_add(u64::from(carry));
        let (second, carry) = self.second.overflowing_add(upper);
        Self { first, second, top: self.top.wrapping_add(u64::from(carry)) }
    }

    /// `factor` times this, for a small factor.
    #[inline(always)]
    pub(super) fn times(self, factor: u64) -> Self {
        let first = u128::from(self.first).wrapping_mul(u128::from(factor));
        let second =
            u128::from(self.second).wrapping_mul(u128::from(factor)).wrapping_add(first >> 64);
        let top = self.top.wrapping_mul(factor).wrapping_add((second >> 64) as u64);
        Self { first: first as u64, second: second as u64, top }
    }

    #[inline(always)]
    pub(super) fn doubled(self) -> Self {
        self.times(2)
    }

    #[inline(always)]
    pub(super) fn tripled(self) -> Self {
        self.times(3)
    }

    #[inline(always)]
    pub(super) fn reduced(self) -> u64 {
        base::reduce(self.first, self.second, self.top)
    }
}

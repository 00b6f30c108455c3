//! Arithmetic modulo the Goldilocks prime p = 2^64 - 2^32 + 1 on plain `u64`, without a branch on the values.
//!
//! plonky2's `GoldilocksField` takes rare branches in additions and reductions, which is right for proving and wrong for
//! secrets. Here everything is straight-line code. A value may be any `u64`: it stands for its residue, and only
//! [`canonical`] gives the representative below p.
//!
//! **Invariant:** every function takes and returns any `u64` unless it says otherwise, and its running time does not depend
//! on it.

/// The Goldilocks prime.
pub(crate) const P: u64 = 0xffff_ffff_0000_0001;

/// 2^64 mod p.
const EPSILON: u64 = 0xffff_ffff;

/// All ones if `bit`, else zero.
#[inline(always)]
const fn mask(bit: bool) -> u64 {
    (bit as u64).wrapping_neg()
}

/// a + b. A second carry is possible only when both operands are above p, and then a third is not.
#[inline(always)]
pub(crate) const fn add(a: u64, b: u64) -> u64 {
    let (sum, carry) = a.overflowing_add(b);
    let (sum, carry) = sum.overflowing_add(EPSILON & mask(carry));
    sum.wrapping_add(EPSILON & mask(carry))
}

/// a - b, with the same argument about borrows.
#[inline(always)]
pub(crate) const fn sub(a: u64, b: u64) -> u64 {
    let (difference, borrow) = a.overflowing_sub(b);
    let (difference, borrow) = difference.overflowing_sub(EPSILON & mask(borrow));
    difference.wrapping_sub(EPSILON & mask(borrow))
}

/// `first + 2^64 * second + 2^128 * top` for `top` below 2^31.
///
/// With 2^64 = 2^32 - 1, 2^96 = -1 and 2^128 = -2^32 modulo p, and `second` split into halves h and l:
/// the result is `first + l * (2^32 - 1) - h - 2^32 * top`. Neither correction can wrap twice: the subtrahend is below
/// 2^63, the summand at most 2^64 - 2^33 + 1.
#[inline(always)]
pub(crate) const fn reduce(first: u64, second: u64, top: u64) -> u64 {
    let (value, borrow) = first.overflowing_sub((second >> 32) | (top << 32));
    let value = value.wrapping_sub(EPSILON & mask(borrow));
    let (value, carry) = value.overflowing_add((second & EPSILON).wrapping_mul(EPSILON));
    value.wrapping_add(EPSILON & mask(carry))
}

/// a * b.
#[inline(always)]
pub(crate) const fn mul(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    reduce(product as u64, (product >> 64) as u64, 0)
}

/// a^2.
#[inline(always)]
pub(crate) const fn square(a: u64) -> u64 {
    mul(a, a)
}

/// a^(2^n); the time depends on `n` alone.
#[inline]
const fn square_times(mut a: u64, n: u32) -> u64 {
    let mut i = 0;
    while i < n {
        a = square(a);
        i += 1;
    }
    a
}

/// a^(p - 2): the inverse of a, and 0 for 0. p - 2 is 31 ones, a zero, 32 ones in binary.
pub(crate) const fn invert(a: u64) -> u64 {
    let ones2 = mul(square(a), a);
    let ones3 = mul(square(ones2), a);
    let ones6 = mul(square_times(ones3, 3), ones3);
    let ones12 = mul(square_times(ones6, 6), ones6);
    let ones24 = mul(square_times(ones12, 12), ones12);
    let ones30 = mul(square_times(ones24, 6), ones6);
    let ones31 = mul(square(ones30), a);
    let ones63 = mul(square_times(ones31, 32), ones31);
    mul(square(ones63), a)
}

/// The representative below p.
#[inline(always)]
pub(crate) const fn canonical(a: u64) -> u64 {
    let (reduced, borrow) = a.overflowing_sub(P);
    reduced.wrapping_add(P & mask(borrow))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values at every edge that the corrections have, redundant ones included.
    const EDGES: [u64; 13] = [
        0,
        1,
        2,
        EPSILON - 1,
        EPSILON,
        EPSILON + 1,
        1 << 63,
        P - 2,
        P - 1,
        P,
        P + 1,
        u64::MAX - 1,
        u64::MAX,
    ];

    fn naive(value: u128) -> u64 {
        (value % u128::from(P)) as u64
    }

    #[test]
    fn arithmetic_agrees_with_the_definition_at_every_edge() {
        let p = u128::from(P);
        for a in EDGES {
            for b in EDGES {
                let (wide_a, wide_b) = (u128::from(a), u128::from(b));
                assert_eq!(canonical(add(a, b)), naive(wide_a + wide_b), "{a} + {b}");
                assert_eq!(canonical(sub(a, b)), naive(wide_a + 2 * p - wide_b), "{a} - {b}");
                assert_eq!(canonical(mul(a, b)), naive((wide_a % p) * (wide_b % p)), "{a} * {b}");
            }
            let inverse_times_a = canonical(mul(invert(a), a));
            assert_eq!(inverse_times_a, u64::from(a != 0 && a != P), "1 / {a}");
        }
    }

    #[test]
    fn a_reduction_agrees_with_the_definition_at_every_edge() {
        for first in EDGES {
            for second in EDGES {
                for top in [0, 1, 2, 31, (1 << 31) - 1] {
                    let low = u128::from(first) | (u128::from(second) << 64);
                    let two_to_128 = naive(u128::from(naive(1 << 64)) * u128::from(naive(1 << 64)));
                    let expected =
                        naive(u128::from(naive(low)) + u128::from(two_to_128) * u128::from(top));
                    assert_eq!(canonical(reduce(first, second, top)), expected);
                }
            }
        }
    }
}

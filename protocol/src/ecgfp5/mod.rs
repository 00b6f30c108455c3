//! EcGFp5: the prime-order group of T. Pornin, "EcGFp5: a Specialized Elliptic Curve", eprint 2022/274.
//!
//! The curve is y^2 = x (x^2 + 2 x + 263 z) over GF(p^5), p the Goldilocks prime, z^5 = 3. It has 2n points, n prime, and
//! one point of order two, N = (0, 0). A group element is the coset {P, P + N}, encoded by w = y / x.
//!
//! ```text
//!   w (5 elements) --decode--> Point: complete formulas, constant time; scalar multiplication, Diffie-Hellman
//!                      |
//!                      +-----> AffinePoint: the one point of order n with that w; x is a non-zero square
//!                                   |
//!                                   +--> chain: the fixed sequence of doublings and additions that a signature's
//!                                        acceptance is defined by, natively and in the circuit
//! ```
//!
//! The circuit works with affine points of order n, E\[n\] for short. Taking the coset's member of order n with the *same*
//! w is an isomorphism: the other member has -w, so it is the natural one followed by a negation.
//!
//! **Invariant:** a [`Point`] is always an element of the group, an [`AffinePoint`] always an element of order n.
//! **Invariant:** nothing that takes a secret branches on it or indexes memory by it.

mod affine;
mod base;
pub mod chain;
mod field;
mod known;
mod multiply;
mod point;
mod scalar;
mod wide;

pub use affine::{AffinePoint, EqualX};
pub(crate) use known::KnownPoint;
pub use point::Point;
pub use scalar::{NonCanonicalScalar, Scalar};

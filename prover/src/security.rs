//! How secure a proof is: every term of the argument, with its arithmetic, computed from the circuit's own parameters.
//!
//! A forger wins if any one term fails, so the level is that of the weakest. Terms are in bits: minus the binary logarithm of the
//! chance of one attempt (one transcript hashed), or of the attempts that a generic attack needs.
//!
//! - *Required*: at least [`QUERY_BITS_MIN`] for the query phase of FRI, [`OTHER_BITS_MIN`] for every other term.
//! - *Stated*: what is proven without the conjecture, and outside estimates. They are below the requirement and printed with it,
//!   so that nobody takes the conjectured figure for a proven one.
//!
//! The conjecture (ethSTARK, eprint 2021/582, section 5.10.1): a word that is not close to the code fails each query but with a
//! chance of about the rate. Results of 2025 refute its strongest form, right up to the code's capacity; 16 bits more than
//! 100 are kept as the margin. The second lock (both parties' session signatures, checked by the vault) does not rest on any of this.
//!
//! The transcript reduces 64-bit words modulo p, which makes an element at most twice as likely as uniform: every challenge lane
//! is charged `BIAS_BITS`.

use core::fmt;

use plonky2::plonk::circuit_data::CommonCircuitData;

use crate::config::{D, DIGEST_BYTES, F, SPONGE_LANES, SPONGE_RATE};

/// What the query phase must have, conjectured.
pub const QUERY_BITS_MIN: f64 = 112.0;

/// What every other required term must have.
pub const OTHER_BITS_MIN: f64 = 100.0;

/// Bits of a base-field element, to less than 2^-31.
const FIELD_BITS: f64 = 64.0;

/// Lost for each lane of a challenge, by reducing words modulo p.
const BIAS_BITS: f64 = 1.0;

/// Whether a term must reach its minimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It must reach [`QUERY_BITS_MIN`].
    Query,
    /// It must reach [`OTHER_BITS_MIN`].
    Other,
    /// It is stated only.
    Stated,
}

/// One way to win, and how hard it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// What fails.
    pub name: &'static str,
    /// How hard that is.
    pub bits: f64,
    /// Where the figure comes from.
    pub arithmetic: String,
    /// What it must reach.
    pub standing: Standing,
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:6.1} bits  {}: {}", self.bits, self.name, self.arithmetic)
    }
}

fn log2(value: usize) -> f64 {
    (value as f64).log2()
}

/// All terms for a circuit, required ones first.
#[must_use]
pub fn terms(common: &CommonCircuitData<F, D>) -> Vec<Term> {
    [query_terms(common), argument_terms(common), hash_terms(), stated_terms(common)].concat()
}

/// The weakest required term.
#[must_use]
pub fn weakest(terms: &[Term]) -> Option<&Term> {
    terms
        .iter()
        .filter(|term| term.standing != Standing::Stated)
        .min_by(|a, b| a.bits.total_cmp(&b.bits))
}

fn query_terms(common: &CommonCircuitData<F, D>) -> Vec<Term> {
    let fri = &common.config.fri_config;
    let (queries, rate, grinding) = (fri.num_query_rounds, fri.rate_bits, fri.proof_of_work_bits);
    vec![Term {
        name: "FRI queries, conjectured",
        bits: (queries * rate) as f64 + f64::from(grinding),
        arithmetic: format!(
            "{queries} queries x {rate} bits of rate + {grinding} bits of grinding"
        ),
        standing: Standing::Query,
    }]
}

/// Polynomials that are opened, counted once for each point.
fn openings(common: &CommonCircuitData<F, D>) -> usize {
    let config = &common.config;
    let products = common.config.num_challenges * (1 + common.num_partial_products);
    let quotients = config.num_challenges * common.quotient_degree_factor;
    common.num_constants
        + config.num_routed_wires
        + config.num_wires
        + products
        + quotients
        + config.num_challenges
}

fn argument_terms(common: &CommonCircuitData<F, D>) -> Vec<Term> {
    let config = &common.config;
    let (rows, times) = (common.degree(), config.num_challenges);
    let cells = rows * config.num_routed_wires;
    let terms = common.num_gate_constraints + times * (2 + common.num_partial_products);
    let degree = rows * (common.quotient_degree_factor + 1);
    let extension = D as f64 * (FIELD_BITS - BIAS_BITS);
    let (openings, domain) = (openings(common), common.lde_size());
    vec![
        Term {
            name: "permutation argument",
            bits: times as f64 * (FIELD_BITS - log2(2 * cells) - 2.0 * BIAS_BITS),
            arithmetic: format!(
                "{times} x (64 - log2(2 x {rows} rows x {} routed wires) - 2 biased lanes): beta and gamma of the base field",
                config.num_routed_wires
            ),
            standing: Standing::Other,
        },
        Term {
            name: "combination of constraints",
            bits: times as f64 * (FIELD_BITS - log2(terms) - BIAS_BITS),
            arithmetic: format!("{times} x (64 - log2({terms} terms) - 1 biased lane): powers of alpha of the base field"),
            standing: Standing::Other,
        },
        Term {
            name: "evaluation point",
            bits: extension - log2(degree),
            arithmetic: format!("128 - 2 biased lanes - log2(degree {degree} of the identity): zeta of the extension"),
            standing: Standing::Other,
        },
        Term {
            name: "batching before FRI",
            bits: extension - log2(openings) - log2(domain),
            arithmetic: format!(
                "128 - 2 biased lanes - log2({openings} openings x 2^{} points): powers of alpha of the extension; the proven bound up \
                 to the unique-decoding radius (eprint 2020/654, theorem 1.5), which the conjecture keeps beyond it",
                log2(domain)
            ),
            standing: Standing::Other,
        },
    ]
    .into_iter()
    .chain(folding_term(common))
    .collect()
}

/// The folding rounds, if there are any.
fn folding_term(common: &CommonCircuitData<F, D>) -> Option<Term> {
    let arities = &common.fri_params.reduction_arity_bits;
    let largest = arities.iter().max()?;
    Some(Term {
        name: "FRI folding",
        bits: D as f64 * (FIELD_BITS - BIAS_BITS) - *largest as f64 - log2(common.lde_size()),
        arithmetic: format!(
            "128 - 2 biased lanes - {largest} bits of arity - log2 of the domain, for the largest round"
        ),
        standing: Standing::Other,
    })
}

fn hash_terms() -> Vec<Term> {
    let digest_bits = 8 * DIGEST_BYTES;
    let capacity = SPONGE_LANES - SPONGE_RATE;
    vec![
        Term {
            name: "Merkle trees",
            bits: digest_bits as f64 / 2.0,
            arithmetic: format!("collision among digests of {digest_bits} bits"),
            standing: Standing::Other,
        },
        Term {
            name: "transcript",
            bits: capacity as f64 * (FIELD_BITS - BIAS_BITS) / 2.0,
            arithmetic: format!("collision among capacities of {capacity} lanes, each biased"),
            standing: Standing::Other,
        },
        Term {
            name: "Poseidon digests, generic",
            bits: 4.0 * FIELD_BITS / 2.0,
            arithmetic: "collision among states, keys or statements: 4 elements".to_owned(),
            standing: Standing::Other,
        },
        Term {
            name: "channel signatures, generic",
            bits: 2.0 * FIELD_BITS,
            arithmetic: "guessing a challenge of 2 elements; a discrete logarithm in a group of 319 bits takes 2^159".to_owned(),
            standing: Standing::Other,
        },
    ]
}

fn stated_terms(common: &CommonCircuitData<F, D>) -> Vec<Term> {
    let fri = &common.config.fri_config;
    let (queries, rate, grinding) =
        (fri.num_query_rounds as f64, fri.rate_bits as f64, f64::from(fri.proof_of_work_bits));
    // eprint 2020/654, theorem 8.3, with m = 3: a word agrees with the code in at most sqrt(rate) (1 + 1 / (2 m)) of the points.
    let m = 3.0_f64;
    let johnson_query = rate / 2.0 - (1.0 + 1.0 / (2.0 * m)).log2();
    let johnson_batching = D as f64 * (FIELD_BITS - BIAS_BITS)
        - (7.0 * (m + 0.5).log2() - 3.0_f64.log2() + 1.5 * rate)
        - 2.0 * log2(common.lde_size())
        - log2(openings(common));
    let unique_query = 1.0 - (1.0 + 0.5_f64.powf(rate)).log2();
    vec![
        Term {
            name: "FRI, proven up to the Johnson bound",
            bits: (queries * johnson_query + grinding).min(johnson_batching),
            arithmetic: format!(
                "the lesser of {queries} queries x {johnson_query:.2} bits + {grinding} bits of grinding, and {johnson_batching:.1} bits of batching"
            ),
            standing: Standing::Stated,
        },
        Term {
            name: "FRI, proven up to unique decoding",
            bits: queries * unique_query + grinding,
            arithmetic: format!("{queries} queries x {unique_query:.2} bits + {grinding} bits of grinding"),
            standing: Standing::Stated,
        },
        Term {
            name: "Poseidon, published estimate",
            bits: 95.0,
            arithmetic: "Plonky2's README of its instance (8 full and 22 partial rounds, width 12, x^7): a published analysis suggests \
                         that it may have around 95 bits of security"
                .to_owned(),
            standing: Standing::Stated,
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::circuit_config;
    use crate::zksc::live_state;

    fn common() -> CommonCircuitData<F, D> {
        // The rate changes no other parameter but the domain, and a low one is built in milliseconds.
        let mut config = circuit_config();
        config.security_bits = 0;
        config.fri_config.rate_bits = 3;
        let (_, data) = live_state::build(config);
        let mut common = data.common;
        common.config = circuit_config();
        common.fri_params.config = circuit_config().fri_config;
        common
    }

    #[test]
    fn every_term_reaches_its_minimum() {
        let terms = terms(&common());
        for term in &terms {
            let minimum = match term.standing {
                Standing::Query => QUERY_BITS_MIN,
                Standing::Other => OTHER_BITS_MIN,
                Standing::Stated => 0.0,
            };
            assert!(term.bits >= minimum, "{term}");
        }
        assert_eq!(terms.iter().filter(|term| term.standing == Standing::Query).count(), 1);
    }

    #[test]
    fn the_weakest_term_is_named() {
        let terms = terms(&common());
        let weakest = weakest(&terms).unwrap();
        assert_eq!(weakest.name, "batching before FRI");
        assert!((100.0..101.5).contains(&weakest.bits), "{weakest}");
    }

    #[test]
    fn what_is_proven_without_the_conjecture_is_stated() {
        let terms = terms(&common());
        let bits = |name: &str| terms.iter().find(|term| term.name == name).unwrap().bits;
        assert!((50.0..70.0).contains(&bits("FRI, proven up to the Johnson bound")));
        assert!((20.0..30.0).contains(&bits("FRI, proven up to unique decoding")));
        assert!((95.0..96.0).contains(&bits("Poseidon, published estimate")));
    }

    #[test]
    fn fewer_queries_or_challenges_are_noticed() {
        let mut fewer = common();
        fewer.config.fri_config.num_query_rounds -= 1;
        assert!(
            terms(&fewer)
                .iter()
                .any(|term| term.standing == Standing::Query && term.bits < QUERY_BITS_MIN)
        );
        let mut fewer = common();
        fewer.config.num_challenges = 1;
        assert!(
            terms(&fewer)
                .iter()
                .any(|term| term.standing == Standing::Other && term.bits < OTHER_BITS_MIN)
        );
    }

    #[test]
    fn folding_would_be_charged() {
        let mut folded = common();
        assert!(folding_term(&folded).is_none());
        folded.fri_params.reduction_arity_bits = vec![4];
        assert!(folding_term(&folded).is_some());
    }
}

//! Each gate's Yul against Plonky2's evaluation of the same gate, at points where nothing is satisfied.

use std::ops::Range;

use plonky2::{
    field::{
        extension::{Extendable, FieldExtension},
        types::{Field, PrimeField64, Sample},
    },
    hash::hash_types::HashOut,
    plonk::{circuit_data::CommonCircuitData, vars::EvaluationVars},
};
use prover::{
    config::{D, Ext, F},
    zksc::LiveStateCircuit,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::evm::{Artifact, Evm};

/// Parts that the verifier creates, one after another.
const PARTS: u64 = 3;

/// What the parts are given, drawn at random.
struct Point {
    betas: [F; 3],
    gammas: [F; 3],
    alphas: [F; 3],
    zeta: Ext,
    pi_hash: [F; 4],
    openings: Vec<Ext>,
}

impl Point {
    fn random(common: &CommonCircuitData<F, D>, rng: &mut ChaCha8Rng) -> Self {
        let count = common.num_constants
            + common.config.num_routed_wires
            + common.config.num_wires
            + 3 * (2 + common.num_partial_products + common.quotient_degree_factor);
        Self {
            betas: core::array::from_fn(|_| F::sample(rng)),
            gammas: core::array::from_fn(|_| F::sample(rng)),
            alphas: core::array::from_fn(|_| F::sample(rng)),
            zeta: Ext::sample(rng),
            pi_hash: core::array::from_fn(|_| F::sample(rng)),
            openings: (0..count).map(|_| Ext::sample(rng)).collect(),
        }
    }

    /// The parts' input.
    fn encode(&self, common: &CommonCircuitData<F, D>) -> Vec<u8> {
        let mut words: Vec<F> = Vec::new();
        words.extend(self.betas);
        words.extend(self.gammas);
        words.extend(self.alphas);
        words.extend(FieldExtension::<D>::to_basefield_array(&self.zeta));
        words.extend(self.pi_hash);
        for term in 0..3 * (2 + common.num_partial_products) + common.num_gate_constraints {
            words.extend(self.alphas.map(|alpha| alpha.exp_u64(term as u64)));
        }
        for opening in &self.openings {
            words.extend(FieldExtension::<D>::to_basefield_array(opening));
        }
        let word =
            |value: &F| [[0; 24].as_slice(), &value.to_canonical_u64().to_be_bytes()].concat();
        words.iter().flat_map(word).collect()
    }

    /// The sum over all gates of filter times constraint times power of alpha, by Plonky2.
    fn gates(&self, common: &CommonCircuitData<F, D>) -> [Ext; 3] {
        let wires = common.num_constants + common.config.num_routed_wires;
        let vars = EvaluationVars::<F, D> {
            local_constants: &self.openings[..common.num_constants],
            local_wires: &self.openings[wires..wires + common.config.num_wires],
            public_inputs_hash: &HashOut { elements: self.pi_hash },
        };
        let constraints = constraints(common, vars);
        let before = 3 * (2 + common.num_partial_products);
        self.alphas.map(|alpha| {
            let term = |(k, c): (usize, &Ext)| {
                <Ext as FieldExtension<D>>::scalar_mul(c, alpha.exp_u64((before + k) as u64))
            };
            constraints.iter().enumerate().map(term).sum()
        })
    }
}

/// The gates that share a selector. Plonky2 does not show them, but it serializes them.
fn group(common: &CommonCircuitData<F, D>, selector: usize) -> Range<usize> {
    let selectors = serde_json::to_value(&common.selectors_info).expect("selectors serialize");
    let end = |name| selectors["groups"][selector][name].as_u64().expect("a number") as usize;
    end("start")..end("end")
}

/// Plonky2's constraints, each the sum over all gates, filtered.
fn constraints(common: &CommonCircuitData<F, D>, vars: EvaluationVars<'_, F, D>) -> Vec<Ext> {
    let mut sums = vec![Ext::ZERO; common.num_gate_constraints];
    for (row, gate) in common.gates.iter().enumerate() {
        let count = common.selectors_info.num_selectors();
        let index =
            (0..count).find(|&index| group(common, index).contains(&row)).expect("a selector");
        let terms = gate.0.eval_filtered(vars, row, index, group(common, index), count, 0);
        sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
    }
    sums
}

fn sums(output: &[u8]) -> [Ext; 3] {
    let words: Vec<F> = output
        .chunks_exact(32)
        .map(|word| {
            F::from_canonical_u64(u64::from_be_bytes(word[24..].try_into().expect("8 bytes")))
        })
        .collect();
    core::array::from_fn(|i| {
        <F as Extendable<D>>::Extension::from_basefield_array([words[2 * i], words[2 * i + 1]])
    })
}

/// The terms of the permutation argument, written down anew.
fn products(common: &CommonCircuitData<F, D>, point: &Point) -> [Ext; 3] {
    let (routed, pp) = (common.config.num_routed_wires, common.num_partial_products);
    let sigmas = &point.openings[common.num_constants..];
    let wires = &sigmas[routed..];
    let zs = &wires[common.config.num_wires..];
    let partials = &zs[3..];
    let next = &partials[3 * pp + 3 * common.quotient_degree_factor..];
    let mut terms = Vec::new();
    for i in 0..3 {
        let mut accs = vec![zs[i]];
        accs.extend(&partials[i * pp..(i + 1) * pp]);
        accs.push(next[i]);
        let (beta, gamma) = (Ext::from(point.betas[i]), Ext::from(point.gammas[i]));
        for (chunk, pair) in accs.windows(2).enumerate() {
            let mut columns = chunk * common.quotient_degree_factor
                ..routed.min((chunk + 1) * common.quotient_degree_factor);
            let id = |j: usize| wires[j] + beta * Ext::from(common.k_is[j]) * point.zeta + gamma;
            let sigma = |j: usize| wires[j] + beta * sigmas[j] + gamma;
            let ids: Ext = columns.clone().map(id).product();
            let sigmas: Ext = columns.by_ref().map(sigma).product();
            terms.push(pair[0] * ids - pair[1] * sigmas);
        }
    }
    point.alphas.map(|alpha| {
        terms
            .iter()
            .enumerate()
            .map(|(k, term)| *term * Ext::from(alpha.exp_u64(3 + k as u64)))
            .sum()
    })
}

#[test]
fn the_parts_calculate_what_plonky2_calculates() {
    let circuit = LiveStateCircuit::build().expect("the circuit is the pinned one");
    let common = circuit.common();
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    let mut evm = Evm::new();
    let (verifier, _) = evm.create(Artifact::load("LiveStateVerifier").bytes("bytecode"));

    let mut wrong = Vec::new();
    // With selectors that single out one gate, and then with random ones, which let every gate through.
    let gates = common.gates.len();
    for case in 0..=gates {
        let mut point = Point::random(common, rng);
        if case < gates {
            for selector in 0..common.selectors_info.num_selectors() {
                let unused = !group(common, selector).contains(&case);
                let row = if unused { u32::MAX as usize } else { case };
                point.openings[selector] = Ext::from_canonical_usize(row);
            }
        }
        let mut found = [Ext::ZERO; 3];
        for part in 1..=PARTS {
            let outcome = evm.call(verifier.create(part), point.encode(common));
            assert!(outcome.success, "{outcome:?}");
            for (total, sum) in found.iter_mut().zip(sums(&outcome.output)) {
                *total += sum;
            }
        }
        let (gate_terms, product_terms) = (point.gates(common), products(common, &point));
        let expected: [Ext; 3] = core::array::from_fn(|i| gate_terms[i] + product_terms[i]);
        let name = common.gates.get(case).map_or_else(|| "all".to_owned(), |gate| gate.0.id());
        if found != expected {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "the contracts disagree about {wrong:?}");
}

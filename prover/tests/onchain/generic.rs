//! The generator covers circuits of Plonky2's common gates, and says so where it does not cover one.

use plonky2::{
    field::types::Field, fri::reduction_strategies::FriReductionStrategy,
    hash::poseidon::PoseidonHash, plonk::circuit_data::CircuitConfig,
};
use prover::{
    config::{Builder, EvmConfig, F, circuit_config},
    onchain::{GenerateError, SourceFile, generate},
};

/// Our configuration, but for speed; nothing is proven here.
fn small() -> CircuitConfig {
    let mut config = circuit_config();
    config.fri_config.rate_bits = 3;
    config.security_bits = 1;
    config
}

/// The contracts of a circuit with hashes, range checks, table look-ups and arithmetic; `more` adds to it.
fn contracts(
    config: CircuitConfig,
    more: impl FnOnce(&mut Builder),
) -> Result<Vec<SourceFile>, GenerateError> {
    let mut builder = Builder::new(config);
    let input = builder.add_virtual_public_input();
    builder.range_check(input, 40);
    let list = (0..16).map(|i| builder.add_const(input, F::from_canonical_usize(i))).collect();
    let element = builder.random_access(input, list);
    let product = builder.mul(element, input);
    builder.hash_n_to_hash_no_pad::<PoseidonHash>(vec![product, element]);
    more(&mut builder);
    let data = builder.build::<EvmConfig>();
    generate(&data.verifier_only, &data.common)
}

#[test]
fn a_circuit_of_common_gates_is_covered_with_and_without_folding() {
    let whole = contracts(small(), |_| ()).expect("its gates are covered");
    let mut config = small();
    config.fri_config.reduction_strategy = FriReductionStrategy::Fixed(vec![2]);
    let folded = contracts(config, |_| ()).expect("folding is covered");
    // No gate of the curve, so no contract for it.
    for files in [&whole, &folded] {
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(
            names,
            ["LiveStateVerifier.sol", "parts/LiveStateGates.sol", "parts/LiveStatePoseidon.sol"]
        );
        for gate in ["RandomAccessGate", "ArithmeticGate", "BaseSumGate", "ConstantGate"] {
            assert!(files[1].source.contains(gate), "{gate}");
        }
    }
    assert!(folded[0].source.contains("foldStep0") && !whole[0].source.contains("foldStep0"));
}

#[test]
fn what_the_generator_does_not_cover_is_refused() {
    let unknown = contracts(small(), |builder| {
        let one = builder.one_extension();
        let two = builder.two_extension();
        builder.mul_extension(one, two);
        let x = builder.add_virtual_extension_target();
        builder.mul_extension(x, x);
    });
    assert!(matches!(unknown, Err(GenerateError::UnsupportedGate(_))), "{unknown:?}");
    let mut config = small();
    config.num_challenges = 2;
    let challenges = contracts(config, |_| ());
    assert!(matches!(challenges, Err(GenerateError::Unsupported(_))), "{challenges:?}");
    let mut config = small();
    config.zero_knowledge = true;
    let hiding = contracts(config, |_| ());
    assert!(matches!(hiding, Err(GenerateError::Unsupported(_))), "{hiding:?}");
}

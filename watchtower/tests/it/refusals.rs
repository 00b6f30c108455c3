//! A tower that must not start says why, what to do, and leaves everything as it was.

use alloy_primitives::{Address, B256, U256};
use chain::artifact::Artifact;
use chain::provider::startup::StartupError;
use watchtower::service::{StartError, Tower};

use crate::world::World;

async fn refused(world: &World, flags: &[(&str, &str)]) -> StartError {
    match Box::pin(Tower::start(&world.config(flags), world.tower.clone())).await {
        Ok(_tower) => panic!("started with {flags:?}"),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_node_chain_vault_or_an_empty_account_is_refused_before_anything_is_written() {
    let world = World::start(60).await;
    let wrong_port = refused(&world, &[("chain.rpc", "http://127.0.0.1:1")]).await;
    assert!(
        matches!(wrong_port, StartError::Rpc { .. } | StartError::Chain { .. }),
        "{wrong_port}"
    );
    assert!(wrong_port.to_string().contains("check that the node runs"), "{wrong_port}");

    let wrong_chain = refused(&world, &[("chain.chain_id", "1")]).await;
    let words = wrong_chain.to_string();
    assert!(words.contains("31337") && words.contains("says 1"), "{words}");

    let nobody = "0x2222222222222222222222222222222222222222";
    let no_vault = refused(&world, &[("chain.vipe", nobody)]).await;
    assert!(no_vault.to_string().contains("no contract"), "{no_vault}");

    let token = world.deployment.token.as_ref().unwrap().address.to_string();
    let not_a_vault = refused(&world, &[("chain.vipe", &token)]).await;
    assert!(matches!(not_a_vault, StartError::NoVault { .. }), "{not_a_vault}");

    for name in ["vault", "verifier"] {
        let mut other = world.deployment.clone();
        let contract = if name == "vault" { &mut other.vipe } else { &mut other.verifier };
        contract.code_hash = B256::repeat_byte(1);
        let path = world.directory.path().join("other.json");
        other.save(&path).unwrap();
        let changed = refused(&world, &[("chain.deployment", path.to_str().unwrap())]).await;
        let other_code = matches!(
            &changed,
            StartError::Chain { error: StartupError::WrongContract { name: found, .. } }
                if found.contains(name)
        );
        assert!(other_code, "{changed}");
        assert!(changed.to_string().contains("use the deployment file"), "{changed}");
    }

    world.devnet.set_balance(world.tower.address(), U256::from(5)).unwrap();
    let unfunded = refused(&world, &[]).await;
    assert!(unfunded.to_string().contains("send ether to the account"), "{unfunded}");
    assert!(!world.config(&[]).data_dir.exists(), "nothing was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_or_one_of_another_tower_is_refused_and_left_alone() {
    let world = World::start(60).await;
    let config = world.config(&[]);
    std::fs::create_dir_all(&config.data_dir).unwrap();
    let garbage = b"this is no store, and it is long enough to be looked at\n".repeat(100);
    std::fs::write(config.store_path(), &garbage).unwrap();
    let damaged = refused(&world, &[]).await;
    assert!(matches!(damaged, StartError::Store(store::StoreError::Corrupt { .. })), "{damaged}");
    assert_eq!(std::fs::read(config.store_path()).unwrap(), garbage, "left as it was");

    std::fs::remove_file(config.store_path()).unwrap();
    let facts = store::Facts {
        chain_id: 31_337,
        vipe: world.vipe.address,
        account: world.hub.account.address(),
    };
    drop(store::Store::open(config.store_path(), facts).unwrap());
    let other = refused(&world, &[]).await;
    assert!(
        matches!(&other, StartError::Store(store::StoreError::WrongFact { fact: "account", .. })),
        "{other}"
    );
}

/// Creates a vault with this response extension: what `deploy` refuses, and the contract takes.
pub(crate) async fn vault_with_extension(world: &World, response_extension_s: u64) -> Address {
    let (rules, cap) = (&world.deployment.rules, &world.deployment.assets[0]);
    let words = [
        U256::from(rules.dispute_window_s),
        U256::from(response_extension_s),
        U256::from(rules.max_extension_s),
        rules.fee_floor,
        U256::from(rules.fee_gas),
        U256::from(rules.tower_bps),
        U256::from(rules.slash_bps),
        rules.verifier.into_word().into(),
        rules.verifier_code_hash.into(),
        // Where the list of caps begins, and its one entry.
        U256::from(10 * 32),
        U256::from(1),
        cap.asset.into_word().into(),
        U256::from(cap.per_channel.get()),
        U256::from(cap.total.get()),
    ];
    let mut code = Artifact::vipe().unwrap().bytecode.to_vec();
    code.extend(words.iter().flat_map(|word| word.to_be_bytes::<32>()));
    world.hub.create(code.into()).await.unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_whose_rules_leave_no_time_for_a_rescue_is_refused() {
    let world = World::start(60).await;
    for (extension, words) in [
        (0, "the response extension is empty"),
        (61, "61 s is longer than the maximum extension of 60 s"),
    ] {
        let vault = vault_with_extension(&world, extension).await.to_string();
        let refused = refused(&world, &[("chain.vipe", &vault)]).await;
        assert!(matches!(refused, StartError::Rules(_)), "{refused}");
        let said = refused.to_string();
        assert!(said.contains(words) && said.contains("use a vault with other rules"), "{said}");
    }
    assert!(!world.config(&[]).data_dir.exists(), "nothing was written");
}

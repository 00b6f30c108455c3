//! Deploying, and what the file says afterwards.

use chain::{
    calls::{Status, Vipe},
    deploy::{ChainKind, DeployError, Deployment, Plan, deploy},
    provider::At,
    refusal::RefusalKind,
    sender::SendError,
};

use crate::world::{World, plan};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deployed_is_what_the_file_says() {
    let world = World::start().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deployment.json");
    world.deployment.save(&path).unwrap();
    let loaded = Deployment::load(&path).unwrap();
    assert_eq!(loaded, world.deployment);
    let vault = Vipe::new(loaded.vipe.address);
    assert_eq!(vault.rules(&world.rpc).await.unwrap(), loaded.rules);
    assert_eq!(
        vault.domain_separator(&world.rpc).await.unwrap(),
        world.domain().eip712().separator()
    );

    let channel = world.open(1).await;
    let view = vault.channel(&world.rpc, channel, At::Latest).await.unwrap();
    assert_eq!((view.status, view.version.get()), (Status::Live, 2));
    assert_eq!(
        vault.ledger(&world.rpc, channel, view.version, At::Latest).await.unwrap(),
        (1_000, 500)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_holds_value_gets_neither_short_windows_nor_a_worthless_asset() {
    let world = World::start().await;
    let operator = world.hub.account.address();
    let short = Plan { chain: ChainKind::L1, ..plan(operator) };
    let error = deploy(&world.deployer, &short).await.unwrap_err();
    assert!(matches!(error, DeployError::WindowTooShort { .. }), "{error}");
    let worthless =
        Plan { chain: ChainKind::L1, terms: chain::deploy::Terms::L1, ..plan(operator) };
    let error = deploy(&world.deployer, &worthless).await.unwrap_err();
    assert!(matches!(error, DeployError::DevelopmentAsset), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_is_not_sent_and_says_why() {
    let world = World::start().await;
    let channel = world.open(1).await;
    let before = world.balance(&world.tower).await;
    let error = world.tower.send(&world.vipe.settle(channel)).await.unwrap_err();
    let SendError::Refused(refusal) = error else { panic!("{error}") };
    assert!(
        refusal.text.contains("WrongStatus") && refusal.kind == RefusalKind::Other,
        "{refusal}"
    );
    assert_eq!(world.balance(&world.tower).await, before);
}

//! Deploying, and what the file says afterwards.

use alloy_primitives::B256;
use chain::{
    artifact::Artifact,
    calls::{Status, Vipe},
    deploy::{
        Asset, CANONICAL_FACTORY, ChainKind, DeployError, Deployment, Done, Earlier, Plan,
        Progress, Site, deploy, deploy_telling, verify,
    },
    provider::At,
    refusal::RefusalKind,
    sender::{SendError, Sender},
};
use serde_json::json;

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

/// The plan on the asset of `world`, with the real verifier.
fn settled_plan(world: &World, salt: u8) -> Plan {
    Plan {
        site: Site { salt: B256::repeat_byte(salt), ..Site::default() },
        asset: Asset::Existing(world.token.address),
        verifier: Artifact::verifier().unwrap(),
        ..plan(world.hub.account.address())
    }
}

async fn told(sender: &Sender, plan: &Plan) -> (Deployment, Vec<Progress>) {
    let mut steps = Vec::new();
    let deployment = deploy_telling(sender, plan, &mut |step| steps.push(step)).await.unwrap();
    (deployment, steps)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_of_the_same_plan_by_anybody_finds_everything_and_changes_nothing() {
    let world = World::start().await;
    let plan = settled_plan(&world, 1);
    let (first, first_steps) = told(&world.deployer, &plan).await;
    let created = |steps: &[Progress]| {
        steps
            .iter()
            .filter(|step| step.done != Done::Found)
            .map(|step| step.what)
            .collect::<Vec<_>>()
    };
    assert_eq!(created(&first_steps), ["the verifier", "the vault", "the pool"]);
    assert!(!first.verifier_parts.is_empty(), "the verifier has parts of its own");
    // The factory is the deployer's own where the chain has none; another account has to be told of it.
    let site = Site { factory: Some(first.factory), ..plan.site };
    let (second, steps) = told(&world.tower, &Plan { site, ..plan.clone() }).await;
    assert_eq!(created(&steps), Vec::<&str>::new());
    // The node still knows when there was no vault.
    let vault = first_steps.iter().find(|step| step.what == "the vault").unwrap();
    assert!(matches!(vault.done, Done::Created { block, .. } if second.start_block < block));
    assert_eq!(Deployment { start_block: first.start_block, ..second }, first);
    // From an earlier file, if it is of the same vault.
    let site = Site {
        earlier: Some(Earlier {
            vault: first.vipe.address,
            start_block: 3,
            factory: first.factory,
            token: None,
        }),
        ..site
    };
    let (third, _) = told(&world.tower, &Plan { site, ..plan.clone() }).await;
    assert_eq!(third.start_block, 3);
    // One at which the vault was there is no beginning: said by a person it is refused, in an old file it is passed over.
    let late = world.head().await;
    let earlier = Earlier {
        vault: first.vipe.address,
        start_block: late,
        factory: first.factory,
        token: None,
    };
    let old = Site { earlier: Some(earlier), ..site };
    let (fourth, _) = told(&world.tower, &Plan { site: old, ..plan.clone() }).await;
    assert!(fourth.start_block < late);
    let site = Site { start_block: Some(late), ..site };
    let error = deploy(&world.tower, &Plan { site, ..plan.clone() }).await.unwrap_err();
    assert!(matches!(error, DeployError::StartTooLate { given, .. } if given == late), "{error}");

    // Another salt, and other rules, are other addresses.
    let mut other = settled_plan(&world, 2);
    assert_ne!(deploy(&world.deployer, &other).await.unwrap().vipe.address, first.vipe.address);
    other.site = plan.site;
    other.terms.fee_gas += 1;
    let (other, steps) = told(&world.deployer, &other).await;
    assert_eq!(created(&steps), ["the vault", "the pool"], "the verifier is the same");
    assert_ne!(other.vipe.address, first.vipe.address);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_deployment_goes_on_where_it_was() {
    let world = World::start().await;
    let plan = settled_plan(&world, 1);
    // Interrupted after the verifier: an asset that is none.
    let nobody = world.tower.account.address();
    let broken = Plan { asset: Asset::Existing(nobody), ..plan.clone() };
    let error = deploy(&world.deployer, &broken).await.unwrap_err();
    assert!(matches!(error, DeployError::NoToken(address) if address == nobody), "{error}");
    let (_, steps) = told(&world.deployer, &plan).await;
    let found: Vec<_> =
        steps.iter().filter(|step| step.done == Done::Found).map(|step| step.what).collect();
    assert_eq!(found, ["the factory", "the verifier"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_goes_on_uses_the_development_asset_again_and_waits_for_what_is_under_way() {
    let world = World::start().await;
    let anew =
        Plan { verifier: Artifact::verifier().unwrap(), ..plan(world.hub.account.address()) };
    let resume = Site { resume: true, ..anew.site };
    let again = Plan { site: resume, ..anew.clone() };
    // A token of the same deployer, without a file that says so.
    let (first, _) = told(&world.deployer, &again).await;
    assert_eq!(first.token.as_ref().unwrap().address, world.token.address);
    assert_ne!(
        told(&world.deployer, &anew).await.0.token,
        first.token,
        "anew, if not asked to go on"
    );
    // From the file, also when the newest token is another.
    let site = Site { earlier: Some(Earlier::from(&first)), ..resume };
    assert_eq!(told(&world.deployer, &Plan { site, ..anew.clone() }).await.0, first);

    // A creation is in the pool when the next run begins.
    world.stop_mining().await;
    let call = world.token.approve(world.vipe.address, alloy_primitives::U256::ONE);
    world.deployer.submit(Some(call.to), call.data, call.value).await.unwrap();
    let mut steps = Vec::new();
    let mut tell = |step: Progress| steps.push(step.done);
    let going_on = Plan { site, ..anew };
    let (deployed, ()) =
        tokio::join!(deploy_telling(&world.deployer, &going_on, &mut tell), async {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            world.mine(1).await;
        });
    assert_eq!(deployed.unwrap(), first);
    assert_eq!(steps.first(), Some(&Done::Awaited { count: 1 }));
    assert!(steps[1..].iter().all(|done| *done == Done::Found), "{steps:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_ether_and_a_chain_of_value_are_refused_in_plain_words() {
    let world = World::start().await;
    let plan = settled_plan(&world, 1);
    let poor = world.deployer.account.address();
    world.control("anvil_setBalance", json!([poor, "0x0"])).await;
    let error = deploy(&world.deployer, &plan).await.unwrap_err();
    assert!(matches!(error, DeployError::NoEther { account, .. } if account == poor), "{error}");
    let mainnet = Sender { chain_id: 1, ..world.tower.clone() };
    let error = deploy(&mainnet, &plan).await.unwrap_err();
    assert!(matches!(error, DeployError::ChainOfValue(1)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_contract_or_chain_is_noticed_afterwards() {
    let world = World::start().await;
    let mut deployment = deploy(&world.deployer, &settled_plan(&world, 1)).await.unwrap();
    verify(&world.rpc, &deployment).await.unwrap();
    let part = deployment.verifier_parts[0].address;
    let code = world.rpc.code(part).await.unwrap();
    world.control("anvil_setCode", json!([part, "0x00"])).await;
    let error = verify(&world.rpc, &deployment).await.unwrap_err();
    assert!(matches!(error, DeployError::Mismatch { address, .. } if address == part), "{error}");
    world.control("anvil_setCode", json!([part, code])).await;
    verify(&world.rpc, &deployment).await.unwrap();
    deployment.rules.dispute_window_s += 1;
    let error = verify(&world.rpc, &deployment).await.unwrap_err();
    assert!(
        matches!(error, DeployError::Mismatch { what: "the rules of the vault", .. }),
        "{error}"
    );
    deployment.chain_id += 1;
    let error = verify(&world.rpc, &deployment).await.unwrap_err();
    assert!(matches!(error, DeployError::WrongChain { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_factory_is_taken_for_one() {
    let world = World::start().await;
    let plan = settled_plan(&world, 1);
    let site = Site { factory: Some(world.token.address), ..plan.site };
    let error = deploy(&world.deployer, &Plan { site, ..plan.clone() }).await.unwrap_err();
    assert!(matches!(error, DeployError::Mismatch { what: "the factory", .. }), "{error}");
    // What stands at the canonical address counts only with the canonical code.
    world.control("anvil_setCode", json!([CANONICAL_FACTORY, "0x00"])).await;
    let (deployment, _) = told(&world.deployer, &plan).await;
    assert_ne!(deployment.factory, CANONICAL_FACTORY);
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

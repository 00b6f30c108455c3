//! Where the story happens: a chain, the contracts on it, and everybody's accounts.

use std::path::Path;

use alloy_primitives::{Address, U256};
use chain::account::Account;
use chain::artifact::Artifact;
use chain::calls::{Erc20, Vip, Vipe};
use chain::deploy::{Asset, ChainKind, Plan, Site, Terms, deploy};
use chain::devnet::{DevAccount, Devnet, DevnetConfig, DevnetHandle};
use chain::provider::{Endpoint, Rpc};
use eyre::{WrapErr as _, eyre};
use protocol::Amount;

use super::plan::{SIDE_TOKENS, TOKEN, TOKEN_DECIMALS};
use super::rpc::DevChain;
use super::timeline::{Fact, Timeline};

/// The dispute window of the demo's vault, in seconds of chain time. The demo turns the clock, so it costs no waiting.
pub(super) const WINDOW_S: u64 = 3_600;

/// The demo's terms: those of an L1, with windows short enough for a tower to be watched.
const TERMS: Terms = Terms {
    dispute_window_s: WINDOW_S,
    response_extension_s: 300,
    max_extension_s: WINDOW_S,
    ..Terms::L1
};

/// Accounts with ether on a development chain, on the embedded one as on anvil.
const DEV_ACCOUNTS: u16 = 10;

/// How much a pool may put into a channel for each unit of the participant's.
const ALLOCATION_RATIO: u16 = 10;

/// Everybody with an account on the chain.
#[derive(Debug, Clone)]
pub(super) struct Accounts {
    pub(super) deployer: Account,
    pub(super) participant: Account,
    pub(super) counterparty: Account,
    pub(super) tower: Account,
    pub(super) tower_key: [u8; 32],
    /// Keys of the other towers.
    more_keys: Vec<[u8; 32]>,
    pub(super) friend: Account,
    pub(super) thief: Account,
}

/// The chain, the contracts and the accounts.
#[derive(Debug)]
pub(super) struct World {
    pub(super) chain: DevChain,
    pub(super) accounts: Accounts,
    pub(super) vipe: Vipe,
    pub(super) pool: Vip,
    pub(super) token: Erc20,
    /// The embedded chain, if it is ours; it stops when the world ends.
    _embedded: Option<DevnetHandle>,
}

impl Accounts {
    fn new(dev: &[DevAccount]) -> eyre::Result<Self> {
        let account = |index: usize| -> eyre::Result<Account> {
            let dev = dev
                .get(index)
                .ok_or_else(|| eyre!("the chain has fewer than {} accounts", index + 1))?;
            Ok(Account::from_bytes(&dev.private_key.0)?)
        };
        let tower_key = dev
            .get(3)
            .map(|dev| dev.private_key.0)
            .ok_or_else(|| eyre!("the chain has no fourth account"))?;
        Ok(Self {
            deployer: account(0)?,
            participant: account(1)?,
            counterparty: account(2)?,
            tower: account(3)?,
            tower_key,
            more_keys: dev.iter().skip(6).map(|dev| dev.private_key.0).collect(),
            friend: account(4)?,
            thief: account(5)?,
        })
    }
}

impl World {
    /// Starts the embedded chain, or uses the development chain at `rpc`; deploys the contracts; writes the deployment file.
    pub(super) async fn start(
        rpc: Option<&str>,
        deployment_file: &Path,
        timeline: &Timeline,
    ) -> eyre::Result<Self> {
        let (url, embedded) = match rpc {
            Some(url) => (url.to_owned(), None),
            None => {
                let handle = Devnet::start(DevnetConfig::default())
                    .await
                    .wrap_err("the embedded settlement layer does not start")?;
                (handle.http_url(), Some(handle))
            }
        };
        let connection = Rpc::connect(&Endpoint::new(url.clone())).await?;
        let chain_id =
            connection.chain_id().await.wrap_err_with(|| format!("no chain answers at {url}"))?;
        let chain = DevChain::new(connection, url.clone(), chain_id);
        let accounts = Accounts::new(&chain::devnet::dev_accounts(DEV_ACCOUNTS)?)?;
        let what = if embedded.is_some() {
            "settlement layer started in this process (revm, Osaka rules)"
        } else {
            "settlement layer found"
        };
        timeline.step(
            "chain",
            what,
            &[Fact::new("rpc", url), Fact::count("chain id", chain_id)],
        )?;

        let deployment =
            deploy(&chain.sender(&accounts.deployer), &plan(accounts.counterparty.address())?)
                .await
                .wrap_err("the contracts cannot be deployed")?;
        deployment.save(deployment_file)?;
        let token = deployment
            .token
            .as_ref()
            .map(|token| Erc20::new(token.address))
            .ok_or_else(|| eyre!("no token was deployed"))?;
        let pool = deployment
            .vip
            .as_ref()
            .map(|vip| Vip::new(vip.address))
            .ok_or_else(|| eyre!("no pool was deployed"))?;
        let vipe = Vipe::new(deployment.vipe.address);
        timeline.step(
            "chain",
            "contracts deployed and read back",
            &[
                Fact::new("vault", vipe.address.to_string()),
                Fact::new("verifier", deployment.verifier.address.to_string()),
                Fact::new("window", format!("{WINDOW_S} s")),
            ],
        )?;
        let world = Self { chain, accounts, vipe, pool, token, _embedded: embedded };
        world.fund().await?;
        let side = format!("{SIDE_TOKENS} DEMO");
        timeline.step(
            "chain",
            "tokens minted and approved, the counterparty's pool filled",
            &[Fact::new("participant", side.clone()), Fact::new("pool", side)],
        )?;
        Ok(world)
    }

    /// The key of a tower's account, counted from 0.
    pub(super) fn tower_key(&self, index: usize) -> eyre::Result<[u8; 32]> {
        let Accounts { tower_key, more_keys, .. } = &self.accounts;
        let mut keys = std::iter::once(tower_key).chain(more_keys);
        keys.nth(index).copied().ok_or_else(|| eyre!("the chain has too few accounts with ether"))
    }

    /// Gives the participant its tokens, and the pool the counterparty's.
    async fn fund(&self) -> eyre::Result<()> {
        let (chain, accounts) = (&self.chain, &self.accounts);
        let side = U256::from(SIDE_TOKENS * TOKEN);
        let mint = |to: Address| self.token.mint(to, side);
        chain
            .send(
                &accounts.deployer,
                &mint(accounts.participant.address()),
                "minting for the participant",
            )
            .await?;
        chain
            .send(
                &accounts.deployer,
                &mint(accounts.counterparty.address()),
                "minting for the counterparty",
            )
            .await?;
        chain
            .send(
                &accounts.participant,
                &self.token.approve(self.vipe.address, side),
                "approving the vault",
            )
            .await?;
        chain
            .send(
                &accounts.counterparty,
                &self.token.approve(self.pool.address, side),
                "approving the pool",
            )
            .await?;
        let owner = accounts.counterparty.address();
        let fill = self.pool.deposit(side, owner);
        chain.send(&accounts.counterparty, &fill, "filling the pool").await?;
        Ok(())
    }
}

fn plan(operator: Address) -> eyre::Result<Plan> {
    let cap = Amount::try_from(1_000_000 * TOKEN)?;
    Ok(Plan {
        site: Site::default(),
        chain: ChainKind::Development,
        terms: TERMS,
        asset: Asset::Development {
            name: "Demo Dollar".to_owned(),
            symbol: "DEMO".to_owned(),
            decimals: u8::try_from(TOKEN_DECIMALS)?,
        },
        per_channel: cap,
        total: cap,
        verifier: Artifact::verifier()?,
        operator: Some((operator, ALLOCATION_RATIO)),
    })
}

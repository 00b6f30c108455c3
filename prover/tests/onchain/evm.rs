//! A settlement layer without blocks: contracts are created from the checked-in artifacts and called.

use std::{fs, path::PathBuf};

use revm::{
    Context, ExecuteCommitEvm, ExecuteEvm, InspectEvm, Inspector, MainBuilder, MainContext,
    MainnetEvm,
    context::{CfgEnv, TxEnv, result::ExecutionResult},
    database::{CacheDB, EmptyDB},
    handler::MainnetContext,
    primitives::{Address, Bytes, TxKind, hardfork::SpecId},
};
use serde_json::Value;

/// EIP-7825: no transaction may ask for more.
pub(crate) const GAS_CAP: u64 = 1 << 24;

/// EIP-170: no contract's code may be longer.
pub(crate) const CODE_BYTES_MAX: usize = 24_576;

/// An artifact as the contracts' build writes it.
pub(crate) struct Artifact {
    json: Value,
}

impl Artifact {
    pub(crate) fn load(name: &str) -> Self {
        let path = root().join("chain/artifacts").join(format!("{name}.json"));
        let text = fs::read_to_string(&path).expect("the artifact is checked in");
        Self { json: serde_json::from_str(&text).expect("artifacts are JSON") }
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        self.json[key].as_str().expect("the artifact has this text")
    }

    pub(crate) fn strings(&self, key: &str) -> Vec<&str> {
        let list = self.json[key].as_array().expect("the artifact has this list");
        list.iter().map(|item| item.as_str().expect("a list of texts")).collect()
    }

    pub(crate) fn bytes(&self, key: &str) -> Vec<u8> {
        hex::decode(self.text(key).trim_start_matches("0x")).expect("code is hexadecimal")
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// What a call came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) success: bool,
    pub(crate) output: Bytes,
    pub(crate) gas_used: u64,
}

/// A chain in the state that the settlement layer's rules of today give it.
pub(crate) struct Evm {
    inner: MainnetEvm<MainnetContext<CacheDB<EmptyDB>>>,
}

impl Evm {
    pub(crate) fn new() -> Self {
        let mut cfg = CfgEnv::new_with_spec(SpecId::OSAKA);
        cfg.disable_nonce_check = true;
        let context = Context::mainnet().with_db(CacheDB::new(EmptyDB::default())).with_cfg(cfg);
        Self { inner: context.build_mainnet() }
    }

    /// Creates a contract in one transaction under the cap.
    pub(crate) fn create(&mut self, code: Vec<u8>) -> (Address, u64) {
        let tx = TxEnv::builder().kind(TxKind::Create).data(code.into()).gas_limit(GAS_CAP);
        let result =
            self.inner.transact_commit(tx.build().expect("a transaction")).expect("it runs");
        (result.created_address().expect("a contract is created"), result.tx_gas_used())
    }

    /// Bytes of the code at an address.
    pub(crate) fn code(&self, address: Address) -> usize {
        let accounts = &self.inner.ctx.journaled_state.database.cache.accounts;
        let account = accounts.get(&address).expect("the account exists");
        account.info.code.as_ref().map_or(0, |code| code.original_bytes().len())
    }

    /// Calls a contract while an inspector looks on. Nothing is kept.
    pub(crate) fn inspected<I>(self, to: Address, data: Vec<u8>, look: I) -> (Outcome, I)
    where
        I: Inspector<MainnetContext<CacheDB<EmptyDB>>>,
    {
        let mut evm = self.inner.with_inspector(look);
        let tx = TxEnv::builder().kind(TxKind::Call(to)).data(data.into()).gas_limit(GAS_CAP);
        let result = evm.inspect_one_tx(tx.build().expect("a transaction")).expect("it runs");
        let success = matches!(result, ExecutionResult::Success { .. });
        let output = result.output().cloned().unwrap_or_default();
        (Outcome { success, output, gas_used: result.tx_gas_used() }, evm.inspector)
    }

    /// Calls a contract in one transaction under the cap. Nothing is kept.
    pub(crate) fn call(&mut self, to: Address, data: Vec<u8>) -> Outcome {
        let tx = TxEnv::builder().kind(TxKind::Call(to)).data(data.into()).gas_limit(GAS_CAP);
        let result =
            self.inner.transact(tx.build().expect("a transaction")).expect("it runs").result;
        let success = matches!(result, ExecutionResult::Success { .. });
        let output = result.output().cloned().unwrap_or_default();
        Outcome { success, output, gas_used: result.tx_gas_used() }
    }
}

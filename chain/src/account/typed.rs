//! A message by EIP-712, as its digest and in words.
//!
//! A key here signs the digest; a signer elsewhere is given the words, shows them to its person, and hashes them itself. The
//! digest is ours: a signature that does not fit it is refused, so words that were wrong would be an error and never a consent.

use alloy_primitives::{Address, B256, U256, hex};
use alloy_sol_types::{Eip712Domain, SolStruct};
use serde_json::{Map, Value, json};

/// A message by EIP-712.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed {
    digest: B256,
    words: Value,
}

impl Typed {
    /// The message `of`, in `domain`; `values` are its members in their order, numbers as decimal texts.
    pub(crate) fn new<S: SolStruct>(of: &S, domain: &Eip712Domain, values: Vec<Value>) -> Self {
        let members = members(&S::eip712_root_type());
        let message: Map<String, Value> =
            members.iter().map(|(_, name)| name.clone()).zip(values).collect();
        let words = words(S::NAME, &members, (domain, message));
        Self { digest: of.eip712_signing_hash(domain), words }
    }

    /// What a node's seed is derived from: `Seed(string notice,uint32 index)` (`protocol::seed`).
    pub fn of_seed(chain_id: u64, vipe: Address, index: u32) -> Self {
        let members = members("Seed(string notice,uint32 index)");
        let message = Map::from_iter([
            ("notice".to_owned(), protocol::seed::NOTICE.into()),
            ("index".to_owned(), index.to_string().into()),
        ]);
        let domain = Eip712Domain {
            name: Some(protocol::seed::DOMAIN_NAME.into()),
            version: Some("1".into()),
            chain_id: Some(U256::from(chain_id)),
            verifying_contract: Some(vipe),
            salt: None,
        };
        let words = words("Seed", &members, (&domain, message));
        Self { digest: protocol::seed::wallet_digest(chain_id, vipe, index), words }
    }

    /// What is signed.
    pub const fn digest(&self) -> B256 {
        self.digest
    }

    /// The same for a signer: types, primary type, domain and message.
    pub const fn words(&self) -> &Value {
        &self.words
    }
}

/// A whole number, as signers read it whatever its size.
pub(crate) fn number(value: impl ToString + Copy) -> Value {
    Value::String(value.to_string())
}

/// 32 bytes.
pub(crate) fn word(value: &B256) -> Value {
    Value::String(hex::encode_prefixed(value))
}

/// An account.
pub(crate) fn account(value: Address) -> Value {
    Value::String(value.to_string())
}

/// The members of a flat type such as `Close(uint56 channelId,address participant)`: type and name.
fn members(text: &str) -> Vec<(String, String)> {
    let inner = text.split_once('(').map_or("", |(_, rest)| rest.trim_end_matches(')'));
    inner
        .split(',')
        .filter_map(|member| member.split_once(' '))
        .map(|(kind, name)| (kind.to_owned(), name.to_owned()))
        .collect()
}

fn words(
    name: &str,
    members: &[(String, String)],
    (domain, message): (&Eip712Domain, Map<String, Value>),
) -> Value {
    let list = |pairs: &[(String, String)]| -> Value {
        pairs.iter().map(|(kind, name)| json!({"name": name, "type": kind})).collect()
    };
    let of_domain = [
        ("string", "name"),
        ("string", "version"),
        ("uint256", "chainId"),
        ("address", "verifyingContract"),
    ]
    .map(|(kind, name)| (kind.to_owned(), name.to_owned()));
    json!({
        "types": {"EIP712Domain": list(&of_domain), name: list(members)},
        "primaryType": name,
        "domain": {
            "name": domain.name,
            "version": domain.version,
            "chainId": domain.chain_id.map(|id| id.to_string()),
            "verifyingContract": domain.verifying_contract.map(|vipe| vipe.to_string()),
        },
        "message": message,
    })
}

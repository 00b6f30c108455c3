//! Real headers and receipts, and what is noticed about altered ones.

use alloy::consensus::{Eip658Value, Receipt, ReceiptEnvelope, proofs::calculate_receipt_root};
use alloy_primitives::{Bytes, Log as PrimitiveLog, bytes};
use serde_json::{Value, json};

use super::{receipts::RawFullReceipt, *};

const VAULT: Address = Address::repeat_byte(0xaa);

fn checked(fields: &ConsensusHeader) -> VerifiedHeader {
    VerifiedHeader::check(short(fields), fields).unwrap()
}

fn short(fields: &ConsensusHeader) -> Header {
    Header {
        id: BlockId { number: fields.number, hash: fields.hash_slow() },
        parent: fields.parent_hash,
        timestamp: fields.timestamp,
        base_fee: 0,
        gas_limit: fields.gas_limit,
    }
}

fn log(address: Address, data: Bytes) -> PrimitiveLog {
    PrimitiveLog::new_unchecked(address, vec![B256::repeat_byte(1)], data)
}

/// A block with a receipt of each type, and its receipts as JSON-RPC shows them.
fn block() -> (VerifiedHeader, Vec<Value>) {
    let receipt = |gas, logs| {
        Receipt { status: Eip658Value::Eip658(true), cumulative_gas_used: gas, logs }.with_bloom()
    };
    let other = Address::repeat_byte(0xbb);
    let envelopes = [
        ReceiptEnvelope::Legacy(receipt(1, vec![log(other, bytes!("00"))])),
        ReceiptEnvelope::Eip2930(receipt(2, vec![log(VAULT, bytes!("01"))])),
        ReceiptEnvelope::Eip1559(receipt(3, vec![])),
        ReceiptEnvelope::Eip4844(receipt(
            4,
            vec![log(VAULT, bytes!("02")), log(other, bytes!("03"))],
        )),
        ReceiptEnvelope::Eip7702(receipt(5, vec![log(VAULT, bytes!("04"))])),
    ];
    let bloom = envelopes.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.logs_bloom());
    let fields = ConsensusHeader {
        number: 9,
        receipts_root: calculate_receipt_root(&envelopes),
        logs_bloom: bloom,
        ..ConsensusHeader::default()
    };
    let header = checked(&fields);
    let hash = header.header().id.hash;
    let json = envelopes.iter().enumerate().map(|(place, receipt)| {
        let logs: Vec<_> = receipt
            .logs()
            .iter()
            .map(|log| json!({"address": log.address, "topics": log.topics(), "data": log.data.data}))
            .collect();
        json!({
            "type": format!("{:#x}", u8::from(receipt.tx_type())),
            "status": "0x1",
            "cumulativeGasUsed": format!("{:#x}", receipt.cumulative_gas_used()),
            "logs": logs,
            "transactionHash": B256::repeat_byte(u8::try_from(place).unwrap()),
            "blockHash": hash,
        })
    });
    (header, json.collect())
}

fn read(header: &VerifiedHeader, receipts: &[Value]) -> Result<Vec<Log>, VerifyError> {
    let raw: Vec<RawFullReceipt> =
        receipts.iter().map(|receipt| serde_json::from_value(receipt.clone()).unwrap()).collect();
    receipts::logs(header, &raw, VAULT)
}

#[test]
fn the_logs_of_a_block_with_receipts_of_every_type_are_complete_and_in_order() {
    let (header, receipts) = block();
    let logs = read(&header, &receipts).unwrap();
    let found: Vec<_> = logs.iter().map(|log| (log.index, log.data.clone())).collect();
    assert_eq!(found, [(1, bytes!("01")), (2, bytes!("02")), (4, bytes!("04"))]);
    assert!(logs.iter().all(|log| header.admits(log).is_ok()));
    assert!(header.may_hold(VAULT) && !header.may_hold(Address::repeat_byte(0xcc)));
}

type Change<'a> = &'a dyn Fn(&mut Vec<Value>);

#[test]
fn receipts_that_are_fewer_more_altered_or_reordered_do_not_have_the_root() {
    let (header, good) = block();
    let altered = |change: Change<'_>| {
        let mut receipts = good.clone();
        change(&mut receipts);
        read(&header, &receipts)
    };
    let changes: [Change<'_>; 8] = [
        &|all| all.clear(),
        &|all| drop(all.pop()),
        &|all| all.push(all[2].clone()),
        &|all| all.swap(0, 1),
        &|all| all[2]["status"] = json!("0x0"),
        &|all| all[2]["type"] = json!("0x1"),
        &|all| all[1]["logs"] = json!([]),
        &|all| all[4]["logs"][0]["data"] = json!("0x05"),
    ];
    for (number, change) in changes.iter().enumerate() {
        let found = altered(change);
        assert!(matches!(found, Err(VerifyError::ReceiptsRoot { .. })), "{number}: {found:?}");
    }
    let elsewhere = altered(&|all| all[0]["blockHash"] = json!(B256::ZERO));
    assert!(matches!(elsewhere, Err(VerifyError::Inconsistent(_))));
}

#[test]
fn a_receipt_of_an_unknown_type_is_no_lie_and_no_success() {
    let (header, mut receipts) = block();
    receipts[0]["type"] = json!("0x7e");
    let error = read(&header, &receipts).unwrap_err();
    assert!(matches!(error, VerifyError::UnknownReceiptType { kind: 0x7e, .. }), "{error}");
    assert!(!error.is_lie());
}

#[test]
fn a_header_whose_bloom_root_or_parent_was_changed_does_not_hash_to_its_id() {
    let (header, _) = block();
    let fields = ConsensusHeader {
        number: 9,
        receipts_root: header.receipts_root(),
        logs_bloom: header.logs_bloom,
        ..ConsensusHeader::default()
    };
    assert_eq!(VerifiedHeader::check(header.header(), &fields), Ok(header));
    for bad in [
        ConsensusHeader { logs_bloom: Bloom::ZERO, ..fields.clone() },
        ConsensusHeader { receipts_root: B256::ZERO, ..fields.clone() },
        ConsensusHeader { parent_hash: B256::repeat_byte(1), ..fields.clone() },
        ConsensusHeader { number: 10, ..fields },
    ] {
        let found = VerifiedHeader::check(header.header(), &bad);
        assert!(matches!(found, Err(VerifyError::HeaderHash { .. })), "{found:?}");
    }
}

#[test]
fn a_header_with_a_field_of_a_later_fork_is_told_apart_and_says_what_to_do() {
    use crate::error::RpcError;

    let (header, _) = block();
    let fields = ConsensusHeader {
        number: 9,
        receipts_root: header.receipts_root(),
        logs_bloom: header.logs_bloom,
        ..ConsensusHeader::default()
    };
    let mut text = serde_json::to_value(&fields).unwrap();
    text["hash"] = json!(header.header().id.hash);
    text["author"] = json!(VAULT);
    let read =
        |called: Header, text: &Value| VerifiedHeader::read(called, &fields, &text.to_string());
    assert_eq!(read(header.header(), &text), Ok(header));
    // The network's hash covers a field that is not known here.
    let id = BlockId { hash: B256::repeat_byte(9), ..header.header().id };
    let called = Header { id, ..header.header() };
    assert!(matches!(read(called, &text), Err(VerifyError::HeaderHash { .. })));
    text["blockAccessListHash"] = json!(B256::repeat_byte(3));
    let error = read(called, &text).unwrap_err();
    let VerifyError::UnknownHeaderField { field, .. } = &error else { panic!("{error}") };
    assert_eq!(field, "blockAccessListHash");
    assert!(error.is_lie(), "a node can make one up: another one is asked");
    let error = RpcError::Unverified { endpoint: "http://node".to_owned(), reason: error };
    let told = crate::follower::Alarm::Halted(error).to_string();
    for word in
        ["stands still", "blockAccessListHash", "install a version", "chain.verify", "quorum"]
    {
        assert!(told.contains(word), "{word} is not in: {told}");
    }
    // Whatever a node does not put into its hash disturbs nobody.
    assert_eq!(read(header.header(), &text), Ok(header));
    text["x".repeat(1_000)] = json!(1);
    text.as_object_mut().unwrap().remove("blockAccessListHash");
    let long = read(called, &text).unwrap_err();
    assert!(long.to_string().len() < 300, "{long}");
}

#[test]
fn the_hash_of_a_mainnet_header_is_computed_as_the_network_does() {
    // Block 1 of Ethereum's main network.
    let fields: ConsensusHeader = serde_json::from_value(json!({
        "parentHash": "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
        "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
        "miner": "0x05a56e2d52c817161883f50c441c3228cfe54d9f",
        "stateRoot": "0xd67e4d450343046425ae4271474353857ab860dbc0a1dde64b41b5cd3a532bf3",
        "transactionsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
        "receiptsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
        "logsBloom": Bloom::ZERO,
        "difficulty": "0x3ff800000",
        "number": "0x1",
        "gasLimit": "0x1388",
        "gasUsed": "0x0",
        "timestamp": "0x55ba4224",
        "extraData": "0x476574682f76312e302e302f6c696e75782f676f312e342e32",
        "mixHash": "0x969b900de27b6ac6a67742365dd65f55a0526c41fd18e1b16f1a1215c2e66f59",
        "nonce": "0x539bd4979fef1ec4",
    }))
    .unwrap();
    let known =
        alloy_primitives::b256!("88e96d4537bea4d9c05d12549907b32561d3bf31f45aae734cdc119f13406cb6");
    assert_eq!(fields.hash_slow(), known);
}

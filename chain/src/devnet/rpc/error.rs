//! JSON-RPC errors, with the codes and words that clients know from geth.

use alloy::sol_types::{Panic, Revert, SolError};
use alloy_primitives::{Bytes, U256, hex};
use revm::context_interface::result::{
    ExecutionResult, HaltReason, InvalidTransaction, OutOfGasError,
};
use serde::Serialize;
use serde_json::Value;

use crate::devnet::{
    error::{DevnetError, PoolError},
    executor::Refusal,
};

/// The server's own errors, as geth numbers them.
const SERVER: i64 = -32_000;
/// A resource that is gone.
const NOT_FOUND: i64 = -32_001;
/// A bound of this server.
const LIMIT: i64 = -32_005;
/// `REVERT`, with the revert data.
const REVERTED: i64 = 3;

/// An error object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RpcError {
    pub(crate) code: i64,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<Value>,
}

impl RpcError {
    fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    pub(crate) fn parse() -> Self {
        Self::new(-32_700, "parse error")
    }

    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(-32_600, message)
    }

    pub(crate) fn method(name: &str) -> Self {
        Self::new(-32_601, format!("the method {name} does not exist/is not available"))
    }

    pub(crate) fn params(message: impl Into<String>) -> Self {
        Self::new(-32_602, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(-32_603, message)
    }

    pub(crate) fn server(message: impl Into<String>) -> Self {
        Self::new(SERVER, message)
    }

    pub(crate) fn limit(message: impl Into<String>) -> Self {
        Self::new(LIMIT, message)
    }

    /// The block is not known.
    pub(crate) fn header_not_found() -> Self {
        Self::new(SERVER, "header not found")
    }

    /// The block is known, its state is forgotten.
    pub(crate) fn missing_state(number: u64) -> Self {
        Self::new(SERVER, format!("missing state: the state of block {number} is no longer kept"))
    }

    /// A call that reverted: code 3, the reason in words if there is one, the data as it came.
    pub(crate) fn reverted(output: &Bytes) -> Self {
        let reason = Revert::abi_decode(output)
            .map(|revert| revert.reason)
            .ok()
            .or_else(|| Panic::abi_decode(output).ok().map(|panic| panic_words(panic.code)));
        let message = match reason {
            Some(reason) => format!("execution reverted: {reason}"),
            None => "execution reverted".to_owned(),
        };
        Self { code: REVERTED, message, data: Some(Value::String(hex::encode_prefixed(output))) }
    }

    /// A call that ran into an exceptional halt.
    pub(crate) fn halted(reason: &HaltReason) -> Self {
        let message = match reason {
            HaltReason::OutOfGas(OutOfGasError::Basic | OutOfGasError::Memory) => {
                "out of gas".to_owned()
            }
            HaltReason::OutOfGas(_) => "gas uint64 overflow or out of gas".to_owned(),
            HaltReason::InvalidFEOpcode => "invalid opcode: INVALID".to_owned(),
            HaltReason::StackOverflow => "stack limit reached 1024 (1023)".to_owned(),
            HaltReason::StateChangeDuringStaticCall | HaltReason::CallNotAllowedInsideStatic => {
                "write protection".to_owned()
            }
            HaltReason::CreateContractSizeLimit => "max code size exceeded".to_owned(),
            HaltReason::CreateCollision => "contract address collision".to_owned(),
            other => other.to_string(),
        };
        Self::new(SERVER, message)
    }

    /// The output of a call, or why there is none.
    pub(crate) fn output_of(result: ExecutionResult) -> Result<Bytes, Self> {
        match result {
            ExecutionResult::Success { output, .. } => Ok(output.into_data()),
            ExecutionResult::Revert { output, .. } => Err(Self::reverted(&output)),
            ExecutionResult::Halt { reason, .. } => Err(Self::halted(&reason)),
        }
    }
}

fn panic_words(code: U256) -> String {
    let words = match code.try_into().unwrap_or(u64::MAX) {
        0x01 => "assert(false)",
        0x11 => "arithmetic underflow or overflow",
        0x12 => "division or modulo by zero",
        0x21 => "enum overflow",
        0x22 => "invalid encoded storage byte array accessed",
        0x31 => "out-of-bounds array access; popping on an empty array",
        0x32 => "out-of-bounds access of an array or bytesN",
        0x41 => "out of memory",
        0x51 => "uninitialized function",
        _ => return format!("unknown panic code: {code:#x}"),
    };
    words.to_owned()
}

impl From<PoolError> for RpcError {
    fn from(error: PoolError) -> Self {
        Self::new(SERVER, error.to_string())
    }
}

impl From<DevnetError> for RpcError {
    fn from(error: DevnetError) -> Self {
        let code = match &error {
            DevnetError::NoSnapshot { .. } => NOT_FOUND,
            DevnetError::Bound { .. } => LIMIT,
            DevnetError::Stopped => -32_603,
            _ => SERVER,
        };
        Self::new(code, error.to_string())
    }
}

impl From<Refusal> for RpcError {
    fn from(refusal: Refusal) -> Self {
        let message = match refusal {
            Refusal::Transaction(InvalidTransaction::GasPriceLessThanBasefee) => {
                "max fee per gas less than block base fee".to_owned()
            }
            Refusal::Transaction(InvalidTransaction::LackOfFundForMaxFee { fee, balance }) => {
                format!("insufficient funds for gas * price + value: have {balance} want {fee}")
            }
            Refusal::Transaction(InvalidTransaction::CallGasCostMoreThanGasLimit {
                initial_gas,
                gas_limit,
            }) => {
                format!("intrinsic gas too low: have {gas_limit}, want {initial_gas}")
            }
            Refusal::Transaction(InvalidTransaction::GasFloorMoreThanGasLimit {
                gas_floor,
                gas_limit,
            }) => {
                format!(
                    "insufficient gas for floor data gas cost: have {gas_limit}, want {gas_floor}"
                )
            }
            Refusal::Transaction(InvalidTransaction::CreateInitCodeSizeLimit) => {
                "max initcode size exceeded".to_owned()
            }
            other => other.to_string(),
        };
        Self::new(SERVER, message)
    }
}

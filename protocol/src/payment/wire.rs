//! Fixed-width values as hexadecimal digits in records and files: what decodes has one encoding.

/// A `serde` module for a type with `to_bytes` and `from_bytes`.
macro_rules! hexadecimal {
    ($name:ident, $type:ty, $decode:expr, $what:literal) => {
        #[doc = $what]
        pub(super) mod $name {
            use alloy_primitives::hex;
            use serde::{Deserialize, Deserializer, Serializer, de};

            #[allow(unused_imports, reason = "some types are named by their path")]
            use super::*;

            pub(in crate::payment) fn serialize<S: Serializer>(
                value: &$type,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&hex::display(value.to_bytes()))
            }

            pub(in crate::payment) fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<$type, D::Error> {
                let bytes =
                    hex::decode(String::deserialize(deserializer)?).map_err(de::Error::custom)?;
                let decode: fn(&[u8]) -> Result<$type, DecodeError> = $decode;
                decode(&bytes).map_err(de::Error::custom)
            }
        }
    };
}

use crate::{
    encoding::{DecodeError, Reader},
    hash::Digest,
    schnorr::Signature,
    zksc::{Salt, UnverifiedFinal},
};

hexadecimal!(
    digest,
    Digest,
    |bytes| {
        let mut reader = Reader::new(bytes, Digest::LEN)?;
        reader.digest()
    },
    "A digest."
);
hexadecimal!(
    signature,
    Signature,
    |bytes| {
        let mut reader = Reader::new(bytes, Signature::LEN)?;
        reader.signature()
    },
    "A Schnorr signature."
);
hexadecimal!(
    salt,
    Salt,
    |bytes| {
        let mut reader = Reader::new(bytes, 32)?;
        reader.take().map(Salt::new)
    },
    "A salt."
);
hexadecimal!(
    unverified_final,
    UnverifiedFinal,
    UnverifiedFinal::from_bytes,
    "A final state, to be verified by whoever reads it."
);

/// Many digests.
pub(super) mod digests {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Digest;

    #[derive(Serialize, Deserialize)]
    struct One(#[serde(with = "super::digest")] Digest);

    pub(in crate::payment) fn serialize<S: Serializer>(
        values: &[Digest],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|value| One(*value)))
    }

    pub(in crate::payment) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Digest>, D::Error> {
        Ok(Vec::<One>::deserialize(deserializer)?.into_iter().map(|one| one.0).collect())
    }
}

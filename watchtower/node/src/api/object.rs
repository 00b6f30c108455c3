//! Bodies that are JSON objects and nothing else.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// What an object says. A derived reader alone would take an array of the fields' values, too.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

struct OnlyObjects<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OnlyObjects<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(OnlyObjects(PhantomData)).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Two {
        one: Option<u8>,
        other: u8,
    }

    #[test]
    fn an_array_of_the_fields_is_no_object() {
        let read = |text: &str| serde_json::from_str::<Object<Two>>(text).map(|two| two.0);
        assert_eq!(read(r#"{"other":2}"#).unwrap(), Two { one: None, other: 2 });
        for wrong in [
            "[1,2]",
            "[null,2]",
            "null",
            "2",
            r#"{"other":2,"more":3}"#,
            r#"{"other":2,"other":2}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}

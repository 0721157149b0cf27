//! Bodies in JSON. Where an object is expected nothing else is one: a reader that serde derives takes a list of an object's
//! values as well, in which no name is seen, so that one value too few or in another place would mean something else in
//! silence. That door is shut here, for all bodies and everything inside them.

use std::fmt;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};
use serde_path_to_error::Segment;

use crate::problem::{ApiError, FieldError};

/// Why a text is not the JSON that is expected.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Unreadable {
    /// The place in the value, outermost first; empty if it is the whole.
    place: Vec<String>,
    error: serde_json::Error,
}

impl From<Unreadable> for ApiError {
    fn from(unreadable: Unreadable) -> Self {
        let place = unreadable.place.iter().map(String::as_str);
        let error = FieldError::new(["body"].into_iter().chain(place), unreadable.error.to_string());
        Self::unprocessable(vec![error])
    }
}

/// Reads a text that is one value in JSON and nothing beside it.
///
/// # Errors
/// It is none, or not one of the type that is expected.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Unreadable> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = T::deserialize(Objects(&mut json)).and_then(|value| json.end().map(|()| value));
    value.map_err(|error| Unreadable {
        place: place::<T>(text),
        error,
    })
}

/// Where it goes wrong: looked for only then, for to remember the way there costs something.
fn place<T: DeserializeOwned>(text: &[u8]) -> Vec<String> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(Objects(&mut json)) else {
        return Vec::new();
    };
    let parts = error.path().iter().filter_map(|segment| match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { .. } | Segment::Unknown => None,
    });
    parts.collect()
}

/// Whatever it wraps, and everything that is reached through it, has objects where objects are expected.
struct Objects<T>(T);

/// A visitor, or a seed, for which there must be an object.
struct AnObject<V>(V);

/// Hands a method that takes nothing but a visitor on.
macro_rules! hand_on {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method(Objects(visitor))
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Objects<D> {
    type Error = D::Error;

    hand_on! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
        deserialize_unit deserialize_seq deserialize_map deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(AnObject(visitor))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_unit_struct(name, Objects(visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(name, Objects(visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(len, Objects(visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple_struct(name, len, Objects(visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_enum(name, variants, Objects(visitor))
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

/// Hands a value on.
macro_rules! hand_values_on {
    ($($method:ident: $value:ty,)*) => {
        $(fn $method<E: de::Error>(self, value: $value) -> Result<V::Value, E> {
            self.0.$method(value)
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Objects<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    hand_values_on! {
        visit_bool: bool, visit_i8: i8, visit_i16: i16, visit_i32: i32, visit_i64: i64, visit_i128: i128,
        visit_u8: u8, visit_u16: u16, visit_u32: u32, visit_u64: u64, visit_u128: u128, visit_f32: f32, visit_f64: f64,
        visit_char: char, visit_str: &str, visit_borrowed_str: &'de str, visit_string: String, visit_bytes: &[u8],
        visit_borrowed_bytes: &'de [u8], visit_byte_buf: Vec<u8>,
    }

    fn visit_none<E: de::Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_unit<E: de::Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(Objects(value))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(Objects(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(Objects(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Objects(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, choice: A) -> Result<V::Value, A::Error> {
        self.0.visit_enum(Objects(choice))
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for AnObject<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Objects(map))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Objects<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Objects(value))
    }
}

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for AnObject<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        value.deserialize_map(self)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Objects(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(Objects(seed))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Objects(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Objects<A> {
    type Error = A::Error;
    type Variant = Objects<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (value, variant) = self.0.variant_seed(Objects(seed))?;
        Ok((value, Objects(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(Objects(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(len, Objects(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.newtype_variant_seed(AnObject(visitor))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        name: String,
        #[serde(default)]
        list: Vec<Inner>,
        by_name: Option<BTreeMap<String, Inner>>,
        choice: Option<Choice>,
        free: Option<Value>,
        pair: Option<(u8, Inner)>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        number: Option<i64>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Choice {
        Nothing,
        One(Inner),
        Named { number: u8 },
    }

    #[test]
    fn what_is_an_object_is_read_as_ever() {
        let text = r#"{"name":"a","list":[{"number":-1},{"number":null},{}],"by_name":{"x":{"number":2}},
            "choice":{"named":{"number":3}},"free":[[1,[2]],{"a":["b"]}],"pair":[4,{"number":5}]}"#;
        let ours: Outer = read(text.as_bytes()).expect("a value");
        assert_eq!(ours, serde_json::from_str(text).expect("the same value"));
        for choice in [r#""nothing""#, r#"{"one":{"number":1}}"#] {
            let text = format!(r#"{{"name":"a","choice":{choice}}}"#);
            assert_eq!(
                read::<Outer>(text.as_bytes()).expect(&text),
                serde_json::from_str(&text).expect("the same value")
            );
        }
    }

    #[test]
    fn a_list_is_no_object_however_deep() {
        for (text, place) in [
            (r#"["a"]"#, ""),
            (r#"["a",[],null,null,null,null]"#, ""),
            (r#"{"name":"a","list":[{"number":1},[1]]}"#, "list.1"),
            (r#"{"name":"a","by_name":{"x":[1]}}"#, "by_name.x"),
            (r#"{"name":"a","choice":{"one":[1]}}"#, "choice"),
            (r#"{"name":"a","choice":{"named":[1]}}"#, "choice"),
            (r#"{"name":"a","pair":[1,[1]]}"#, "pair.1"),
        ] {
            let error = read::<Outer>(text.as_bytes()).expect_err(text);
            assert_eq!(error.place.join("."), place, "{text}: {error}");
            assert!(
                error.to_string().contains("expected an object"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        for (text, place) in [
            ("", ""),
            ("null", ""),
            (r#"{"name":"a"} x"#, ""),
            (r#"{"name":1}"#, "name"),
            (r#"{"name":"a","list":[{},{"number":"1"}]}"#, "list.1.number"),
            (r#"{"name":"a","name":"b"}"#, ""),
        ] {
            let error = read::<Outer>(text.as_bytes()).expect_err(text);
            assert_eq!(error.place.join("."), place, "{text}: {error}");
        }
        let error = ApiError::from(read::<Outer>(br#"{"name":1}"#).expect_err("a number"));
        assert!(error.detail().starts_with("body.name: "), "{error:?}");
    }
}

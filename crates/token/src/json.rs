//! Reading JSON that has only one reading: RFC 8259 §4 lets receivers differ on repeated member names, so an object
//! that repeats one is refused, at every depth.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Why bytes are not the one object that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonError {
    /// Not JSON, not an object at the top, or nested too deeply.
    NotAnObject,
    /// A member name is repeated in some object.
    Duplicate,
}

/// The member names of the object that `bytes` are, when no object in it repeats a name.
pub(crate) fn unambiguous_object(bytes: &[u8]) -> Result<HashSet<String>, JsonError> {
    let mut duplicate = false;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let walk = Walk {
        duplicate: &mut duplicate,
    };
    let names = walk.deserialize(&mut deserializer);
    if duplicate {
        return Err(JsonError::Duplicate);
    }
    match names {
        Ok(Some(names)) if deserializer.end().is_ok() => Ok(names),
        _ => Err(JsonError::NotAnObject),
    }
}

/// Visits a value of any type; for an object it returns the member names.
struct Walk<'a> {
    duplicate: &'a mut bool,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Option<HashSet<String>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Option<HashSet<String>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq
            .next_element_seed(Walk {
                duplicate: &mut *self.duplicate,
            })?
            .is_some()
        {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !names.insert(name) {
                *self.duplicate = true;
                return Err(A::Error::custom("a member is named twice"));
            }
            map.next_value_seed(Walk {
                duplicate: &mut *self.duplicate,
            })?;
        }
        Ok(Some(names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_top_object_are_given() {
        let names =
            unambiguous_object(br#"{"a":1,"b":{"a":[{"a":null},{"a":1.5}]},"c":-1}"#).expect("one reading");
        assert_eq!(names.len(), 3);
        assert!(names.contains("b"));
    }

    #[test]
    fn a_repeated_name_is_found_at_every_depth_and_in_every_spelling() {
        for bad in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"x":[[{"a":1,"b":2,"a":3}]]}"#,
        ] {
            assert_eq!(
                unambiguous_object(bad.as_bytes()),
                Err(JsonError::Duplicate),
                "`{bad}`"
            );
        }
    }

    #[test]
    fn anything_but_one_object_is_refused() {
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        for bad in [
            "",
            "1",
            "[]",
            "null",
            "\"a\"",
            "{",
            "{} {}",
            "{}x",
            "\u{feff}{}",
            "{\"a\":01}",
            deep.as_str(),
        ] {
            assert_eq!(unambiguous_object(bad.as_bytes()), Err(JsonError::NotAnObject));
        }
        assert_eq!(
            unambiguous_object(b"{\"a\":\"\xff\"}"),
            Err(JsonError::NotAnObject)
        );
    }
}

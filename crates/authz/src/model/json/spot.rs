//! A value and where it stands, so that every error can say that.

use super::JsonModelError;
use super::value::Json;

/// A value of a JSON text and its path.
#[derive(Debug, Clone)]
pub(super) struct Spot<'j> {
    pub(super) path: String,
    pub(super) value: &'j Json,
}

impl<'j> Spot<'j> {
    /// The whole text.
    pub(super) fn whole(value: &'j Json) -> Self {
        Self {
            path: String::new(),
            value,
        }
    }

    /// An error here.
    pub(super) fn error<T>(&self, message: impl Into<String>) -> Result<T, JsonModelError> {
        let path = if self.path.is_empty() { "$" } else { &self.path };
        Err(JsonModelError {
            path: path.to_owned(),
            message: message.into(),
        })
    }

    /// The text.
    pub(super) fn text(&self) -> Result<&'j str, JsonModelError> {
        match self.value {
            Json::Text(text) => Ok(text),
            other => self.error(format!("a string is expected here, not {}", other.what())),
        }
    }

    /// The elements of the array.
    pub(super) fn list(&self) -> Result<Vec<Spot<'j>>, JsonModelError> {
        let Json::List(list) = self.value else {
            return self.error(format!("an array is expected here, not {}", self.value.what()));
        };
        let element = |(number, value)| Spot {
            path: format!("{}[{number}]", self.path),
            value,
        };
        Ok(list.iter().enumerate().map(element).collect())
    }

    /// The entries of the object, as they stand.
    pub(super) fn entries(&self) -> Result<Vec<(&'j str, Spot<'j>)>, JsonModelError> {
        let Json::Map(entries) = self.value else {
            return self.error(format!("an object is expected here, not {}", self.value.what()));
        };
        Ok(entries
            .iter()
            .map(|(key, value)| (key.as_str(), self.below(key, value)))
            .collect())
    }

    /// The object's fields with these names, and no others. As everywhere with Protocol Buffers, a name may be written
    /// in either way (`schema_version`, `schemaVersion`), and `null` is as good as nothing.
    pub(super) fn fields<const N: usize>(
        &self,
        names: [&str; N],
    ) -> Result<[Option<Spot<'j>>; N], JsonModelError> {
        let mut fields = [const { None }; N];
        for (key, spot) in self.entries()? {
            let places = names.iter().zip(fields.iter_mut());
            let Some((name, field)) = places.into_iter().find(|(name, _)| is_called(key, name)) else {
                let shown: String = key.chars().take(64).collect();
                return self.error(format!("there is no key `{shown}` here; remove it"));
            };
            if field.is_some() {
                return self.error(format!("`{name}` stands here in two ways; remove one"));
            }
            if *spot.value != Json::Null {
                *field = Some(spot);
            }
        }
        Ok(fields)
    }

    fn below(&self, key: &str, value: &'j Json) -> Spot<'j> {
        let dot = if self.path.is_empty() { "" } else { "." };
        let shown: String = key.chars().take(64).collect();
        Spot {
            path: format!("{}{dot}{shown}", self.path),
            value,
        }
    }
}

/// Whether a key is this name, as it is or in camel case.
fn is_called(key: &str, name: &str) -> bool {
    let mut parts = name.split('_');
    let mut camel = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    key == name || key == camel
}

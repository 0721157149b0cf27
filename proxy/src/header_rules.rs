//! Header fields that a route changes on the way, compiled.

use http::{HeaderName, HeaderValue};
use pingora::http::{RequestHeader, ResponseHeader};
use sentinel_config::edge::HeaderRules;
use sentinel_core::Denial;

/// What is taken away and what is set, whatever was there.
#[derive(Debug, Clone, Default)]
pub struct HeaderChanges {
    remove: Box<[HeaderName]>,
    set: Box<[(HeaderName, HeaderValue)]>,
}

impl HeaderChanges {
    /// The changes of a configuration.
    ///
    /// # Errors
    /// The name of the field that cannot be written.
    pub fn compile(rules: &HeaderRules) -> Result<Self, String> {
        let name = |text: &String| HeaderName::try_from(text).map_err(|_| text.clone());
        let set = |(field, value): (&String, &String)| {
            let value = HeaderValue::from_str(value).map_err(|_| field.clone())?;
            Ok((name(field)?, value))
        };
        Ok(Self {
            remove: rules.remove.iter().map(name).collect::<Result<_, _>>()?,
            set: rules.set.iter().map(set).collect::<Result<_, String>>()?,
        })
    }

    /// Changes a request on its way to the service.
    ///
    /// # Errors
    /// [`Denial::Internal`] if a field cannot be written.
    pub fn apply_to_request(&self, header: &mut RequestHeader) -> Result<(), Denial> {
        for name in &self.remove {
            header.remove_header(name);
        }
        for (name, value) in &self.set {
            header.insert_header(name, value).map_err(|_| Denial::Internal)?;
        }
        Ok(())
    }

    /// Changes an answer on its way to the client.
    ///
    /// # Errors
    /// A field cannot be written.
    pub fn apply_to_response(&self, header: &mut ResponseHeader) -> pingora::Result<()> {
        for name in &self.remove {
            header.remove_header(name);
        }
        for (name, value) in &self.set {
            header.insert_header(name, value)?;
        }
        Ok(())
    }
}

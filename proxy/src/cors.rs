//! Pages of other origins (the CORS protocol, Fetch standard §3.3): which of them a browser lets use a route.
//!
//! It protects people from pages and not services from people: nothing is permitted here that the decision would deny. A
//! preflight request is answered by the edge for the route that the announced request would have, and is not forwarded. It
//! brings neither credentials nor the announced request's own fields, so a route's conditions on those cannot be met.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use pingora::http::ResponseHeader;
use sentinel_config::edge;
use sentinel_core::Denial;

use crate::answer::Answer;
use crate::request::is_accepted_method;
use crate::request_id::RequestId;

/// What every field of the protocol in an answer begins with.
const PREFIX: &str = "access-control-";
/// What the answer to a preflight request depends on.
const PREFLIGHT_VARIES: HeaderValue =
    HeaderValue::from_static("origin, access-control-request-method, access-control-request-headers");

/// The pages that may use a route.
#[derive(Debug, Clone)]
pub struct CorsPolicy {
    origins: Origins,
    sendable: Box<[Box<str>]>,
    allow_headers: Option<HeaderValue>,
    expose: Option<HeaderValue>,
    credentials: bool,
    max_age: HeaderValue,
}

#[derive(Debug, Clone)]
enum Origins {
    Any,
    These(Box<[HeaderValue]>),
}

/// What a browser asks before it sends a request of a page of another origin.
#[derive(Debug, Clone)]
pub struct Preflight<'f> {
    origin: &'f HeaderValue,
    /// The method of the request that it announces.
    pub method: Method,
    fields: &'f HeaderMap,
}

impl<'f> Preflight<'f> {
    /// The preflight request that this is, if it is one.
    ///
    /// # Errors
    /// [`Denial::HeaderInvalid`] if it leaves room for a second reading.
    pub fn of(method: &Method, fields: &'f HeaderMap) -> Result<Option<Self>, Denial> {
        if *method != Method::OPTIONS {
            return Ok(None);
        }
        let mut origins = fields.get_all(ORIGIN).iter();
        let mut methods = fields.get_all(ACCESS_CONTROL_REQUEST_METHOD).iter();
        let (Some(origin), Some(asked)) = (origins.next(), methods.next()) else {
            return Ok(None);
        };
        if origins.next().is_some() || methods.next().is_some() {
            return Err(Denial::HeaderInvalid);
        }
        let asked = asked.to_str().ok().filter(|asked| is_accepted_method(asked));
        let Some(asked) = asked.and_then(|asked| asked.parse().ok()) else {
            return Ok(None);
        };
        Ok(Some(Self {
            origin,
            method: asked,
            fields,
        }))
    }

    /// The fields that the announced request will have besides the safelisted ones, as they were sent.
    fn announced(&self) -> impl Iterator<Item = &'f [u8]> {
        let lines = self.fields.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
        lines
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|name| !name.is_empty())
    }
}

/// Removes what a service said to pages of other origins.
pub fn silence(response: &mut ResponseHeader) {
    let said: Vec<HeaderName> = response
        .headers
        .keys()
        .filter(|name| name.as_str().starts_with(PREFIX))
        .cloned()
        .collect();
    for name in &said {
        response.remove_header(name);
    }
}

impl CorsPolicy {
    /// That of a configuration.
    ///
    /// # Errors
    /// The text that cannot be written in a header.
    pub fn compile(cors: &edge::Cors) -> Result<Self, String> {
        let value = |text: &String| HeaderValue::from_str(text).map_err(|_| text.clone());
        let list = |names: &[String]| match names {
            [] => Ok(None),
            names => value(&names.join(", ")).map(Some),
        };
        let origins = match cors.origins.as_slice() {
            [any] if any == "*" => Origins::Any,
            origins => Origins::These(origins.iter().map(value).collect::<Result<_, _>>()?),
        };
        Ok(Self {
            origins,
            sendable: cors.headers.iter().map(|name| name.as_str().into()).collect(),
            allow_headers: list(&cors.headers)?,
            expose: list(&cors.expose)?,
            credentials: cors.credentials,
            max_age: HeaderValue::from(cors.max_age.as_secs()),
        })
    }

    /// The answer to a preflight request for a route with this policy.
    ///
    /// # Errors
    /// [`Denial::OriginDenied`] if the announced request would not be let through.
    pub fn answer(&self, preflight: &Preflight<'_>, request: &RequestId) -> Result<Answer, Denial> {
        let known = |name: &[u8]| {
            let mut sendable = self.sendable.iter();
            sendable.any(|sendable| name.eq_ignore_ascii_case(sendable.as_bytes()))
        };
        let origin = self.allow_origin(Some(preflight.origin));
        let (Some(origin), true) = (origin, preflight.announced().all(known)) else {
            return Err(Denial::OriginDenied);
        };
        // INVARIANT: an accepted method is a header value.
        let method =
            HeaderValue::from_str(preflight.method.as_str()).unwrap_or(HeaderValue::from_static("GET"));
        let credentials = HeaderValue::from_static("true");
        let fields = [
            (ACCESS_CONTROL_ALLOW_ORIGIN, Some(origin)),
            (ACCESS_CONTROL_ALLOW_METHODS, Some(method)),
            (ACCESS_CONTROL_ALLOW_HEADERS, self.allow_headers.clone()),
            (
                ACCESS_CONTROL_ALLOW_CREDENTIALS,
                self.credentials.then_some(credentials),
            ),
            (ACCESS_CONTROL_MAX_AGE, Some(self.max_age.clone())),
            (VARY, Some(PREFLIGHT_VARIES)),
        ];
        let fields = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        Ok(Answer::new(204, fields.collect(), Bytes::new(), request))
    }

    /// The fields of an answer on a route with this policy. `fields` are those of the request.
    pub fn marks(&self, fields: &HeaderMap) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let mut origins = fields.get_all(ORIGIN).iter();
        // Two origins are none.
        let only = origins.next().filter(|_| origins.next().is_none());
        let origin = self.allow_origin(only);
        let is_allowed = origin.is_some();
        let credentials = (is_allowed && self.credentials).then(|| HeaderValue::from_static("true"));
        let expose = self.expose.clone().filter(|_| is_allowed);
        let vary = matches!(self.origins, Origins::These(_)).then(|| HeaderValue::from_static("origin"));
        [
            (ACCESS_CONTROL_ALLOW_ORIGIN, origin),
            (ACCESS_CONTROL_ALLOW_CREDENTIALS, credentials),
            (ACCESS_CONTROL_EXPOSE_HEADERS, expose),
            (VARY, vary),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }

    /// Writes the same over what a service said about it.
    ///
    /// # Errors
    /// A field cannot be written.
    pub fn mark(&self, fields: &HeaderMap, response: &mut ResponseHeader) -> pingora::Result<()> {
        silence(response);
        for (name, value) in self.marks(fields) {
            response.append_header(name, value)?;
        }
        Ok(())
    }

    /// What `Access-Control-Allow-Origin` says to a page of this origin, if it is let.
    fn allow_origin(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        match &self.origins {
            Origins::Any => Some(HeaderValue::from_static("*")),
            Origins::These(these) => these.iter().find(|known| Some(*known) == origin).cloned(),
        }
    }
}

//! Everybody and everything that the tour has made by now.

use crate::api::Api;
use crate::http::{Ask, Secret};
use crate::scene::{Door, Session};
use crate::system::Urls;

/// Who and what there is.
#[derive(Debug, Clone)]
pub struct Cast {
    /// The control plane's API.
    pub api: Api,
    /// All addresses.
    pub urls: Urls,
    /// The operator's cookie.
    pub admin: Secret,
    /// Where people sign in.
    pub door: Door,
    /// The service app's id.
    pub service_app: String,
    /// The service's key.
    pub key: Secret,
    /// The workspace's id.
    pub workspace: String,
    /// The group's id; Bob is in it.
    pub group: String,
    /// The owner.
    pub alice: Session,
    /// A viewer.
    pub bob: Session,
    /// Alice's document that nobody else may read.
    pub private: Document,
    /// Alice's document that the tour shares.
    pub shared: Document,
}

/// A registered document.
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// The service's id of it, which is in paths.
    pub id: String,
    /// The id of its permission record.
    pub permission: String,
}

impl Cast {
    /// A read of a document through the proxy.
    pub fn read(&self, document: &Document, token: &Secret) -> Ask {
        Ask::get(format!("{}/documents/{}", self.urls.proxy, document.id)).bearer(token)
    }

    /// A request to a path of the proxy, without credentials.
    pub fn at_proxy(&self, path: &str) -> Ask {
        Ask::get(format!("{}{path}", self.urls.proxy))
    }
}

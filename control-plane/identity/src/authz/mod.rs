//! AuthZ mode: people sign in to an application at an identity provider, without us. The application brings the provider's
//! token and is told who that is, in which workspaces, and gets a token of ours that says what he may do through it. The
//! two go together: ours names the subject of the other, and the service that it was made for.
//!
//! For GitHub, where a page cannot sign anybody in by itself, there is a round trip that ends with GitHub's token at the
//! page ([`Authz::send_away`], [`Authz::hand_over`]).

mod handover;
mod refusal;
mod resolve;

use std::sync::Arc;

use sentinel_access::Access;
use sentinel_access::users::User;
use sentinel_core::id::{ServiceAppId, WorkspaceId};
use sentinel_core::principal::Service;
use sentinel_core::{Clock, Random, Revision};
use sentinel_store::{Database, ShortLived};
use url::Url;

pub use refusal::{HandoverError, ResolveError};

use crate::accounts::Accounts;
use crate::login::WorkspaceChoice;
use crate::providers::Providers;
use crate::sessions::{AuthzMinted, Sessions};

/// Who brings a token of an identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A service, by its key.
    Service(Service),
    /// A page of a service app: whoever says that he is one.
    Page(ServiceAppId),
}

impl Caller {
    fn app(&self) -> ServiceAppId {
        match self {
            Self::Service(service) => service.app,
            Self::Page(app) => *app,
        }
    }
}

/// What is asked about a token of an identity provider.
#[derive(Debug, Clone, Copy)]
pub struct ResolveRequest<'a> {
    /// The name of the provider.
    pub provider: &'a str,
    /// Its token: an ID token, or an access token of GitHub.
    pub token: &'a str,
    /// The nonce that an ID token must have; anything will do if none is given.
    pub nonce: Option<&'a str>,
    /// For which workspace a token of ours is wanted; all of the user's are listed if none is given.
    pub workspace: Option<WorkspaceId>,
}

/// Who it is.
#[derive(Debug)]
pub struct Resolution {
    /// The user.
    pub user: User,
    /// What is said about his workspaces.
    pub outcome: Outcome,
    /// The revision at which edges know what this sign-in has changed, if it has changed anything that they know.
    pub revision: Option<Revision>,
}

/// What is said about a user's workspaces.
#[derive(Debug)]
pub enum Outcome {
    /// Which ones there are to choose from.
    Choice(Vec<WorkspaceChoice>),
    /// A token for the one that was asked for.
    Minted(AuthzMinted),
}

/// The service of AuthZ mode. Cheap to clone.
#[derive(Clone)]
pub struct Authz(Arc<Inner>);

struct Inner {
    public_url: Url,
    providers: Providers,
    database: Database,
    short_lived: Arc<dyn ShortLived>,
    access: Access,
    accounts: Accounts,
    sessions: Sessions,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Authz {
    /// The service. `public_url` is the control plane's, under which callbacks are; whose address is one of `admin_emails`
    /// administers the installation, as after any other sign-in.
    #[expect(clippy::too_many_arguments, reason = "called once, by the composition root")]
    pub fn new(
        public_url: Url,
        admin_emails: Vec<String>,
        providers: Providers,
        database: Database,
        short_lived: Arc<dyn ShortLived>,
        access: Access,
        sessions: Sessions,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        let accounts = Accounts::new(
            access.clone(),
            admin_emails,
            providers.linking().map(str::to_owned),
            Arc::clone(&clock),
            Arc::clone(&random),
        );
        Self(Arc::new(Inner {
            public_url,
            providers,
            database,
            short_lived,
            access,
            accounts,
            sessions,
            clock,
            random,
        }))
    }
}

//! What a provider says about itself (OpenID Connect Discovery 1.0), fetched by one request at a time however many
//! logins wait for it. A provider that hangs or is away costs a login no more than one answer's time, and then, for a
//! moment, nothing: its failure is remembered. A document that is getting old is used while it is fetched anew.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm,
    CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType,
};
use openidconnect::{
    AdditionalProviderMetadata, AuthType, ClientId, ClientSecret, DiscoveryError, IssuerUrl, ProviderMetadata,
};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use super::claims::Client;
use crate::outbound::{OutboundClient, OutboundError};
use crate::providers::{ProviderError, ProviderSettings};

/// For how long a discovery document is used before it is fetched anew.
const KEPT: Duration = Duration::from_hours(1);
/// For how long it is used while that happens; an older one is waited for.
const OLD: Duration = Duration::from_hours(24);
/// How soon it may be fetched again, because it could not be or because a token names a key that it does not have.
const AGAIN: Duration = Duration::from_secs(10);

/// The member of the discovery document that openidconnect does not know (RFC 9207 §3).
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
struct Extra {
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Extra {}

type Metadata = ProviderMetadata<
    Extra,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

pub(super) struct Discovered {
    pub(super) client: Client,
    /// The issuer as the provider writes it.
    pub(super) issuer: String,
    pub(super) algorithms: Vec<CoreJwsSigningAlgorithm>,
    pub(super) says_iss: bool,
    at: Instant,
}

/// The document of one provider. Cheap to clone.
#[derive(Clone)]
pub(super) struct Discovery(Arc<Inner>);

struct Inner {
    settings: ProviderSettings,
    issuer: String,
    client: OutboundClient,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: Option<Arc<Discovered>>,
    failed: Option<(Instant, Arc<str>)>,
    fetching: Option<watch::Receiver<Option<Outcome>>>,
}

type Outcome = Result<Arc<Discovered>, Arc<str>>;

impl Discovery {
    pub(super) fn new(settings: ProviderSettings, issuer: String, client: OutboundClient) -> Self {
        Self(Arc::new(Inner {
            settings,
            issuer,
            client,
            state: Mutex::default(),
        }))
    }

    /// The document with its keys.
    pub(super) async fn current(&self) -> Result<Arc<Discovered>, ProviderError> {
        self.get(KEPT, OLD).await
    }

    /// The document as it is now, since a key is missing from the one that is kept.
    pub(super) async fn renewed(&self) -> Result<Arc<Discovered>, ProviderError> {
        self.get(AGAIN, Duration::ZERO).await
    }

    /// The document if it is younger than `fresh`; else it is fetched, and waited for unless it is younger than `usable`.
    /// One that cannot be fetched again goes on being used: it was good, and tokens are verified by its keys.
    async fn get(&self, fresh: Duration, usable: Duration) -> Result<Arc<Discovered>, ProviderError> {
        let (kept, fetching) = {
            let mut state = self.state();
            let kept = state.kept.clone();
            if let Some(kept) = &kept
                && kept.at.elapsed() < fresh
            {
                return Ok(Arc::clone(kept));
            }
            if let Some((at, reason)) = &state.failed
                && at.elapsed() < AGAIN
            {
                return kept.ok_or_else(|| self.failure(reason));
            }
            // One whose task is gone without an outcome is begun anew.
            let running = state
                .fetching
                .clone()
                .filter(|running| running.has_changed().is_ok());
            let fetching = running.unwrap_or_else(|| self.begin());
            state.fetching = Some(fetching.clone());
            (kept, fetching)
        };
        match kept {
            Some(kept) if kept.at.elapsed() < usable => Ok(kept),
            kept => match (outcome(fetching).await, kept) {
                (Ok(discovered), _) => Ok(discovered),
                (Err(_), Some(kept)) => Ok(kept),
                (Err(reason), None) => Err(self.failure(&reason)),
            },
        }
    }

    /// Fetches in a task of its own, so that it ends whoever still waits.
    fn begin(&self) -> watch::Receiver<Option<Outcome>> {
        let (sender, receiver) = watch::channel(None);
        let this = self.clone();
        tokio::spawn(async move {
            let fetched = this.fetch().await;
            let mut state = this.state();
            state.fetching = None;
            let outcome = match fetched {
                Ok(discovered) => {
                    let discovered = Arc::new(discovered);
                    state.kept = Some(Arc::clone(&discovered));
                    state.failed = None;
                    Ok(discovered)
                }
                Err(reason) => {
                    tracing::warn!(
                        provider = this.0.settings.name,
                        error = %reason,
                        "a discovery document cannot be fetched"
                    );
                    state.failed = Some((Instant::now(), Arc::clone(&reason)));
                    Err(reason)
                }
            };
            drop(state);
            sender.send_replace(Some(outcome));
        });
        receiver
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self, reason: &Arc<str>) -> ProviderError {
        ProviderError::Discovery(self.0.settings.name.clone(), reason.as_ref().into())
    }

    async fn document(&self, issuer: &str) -> Result<Metadata, DiscoveryError<OutboundError>> {
        Metadata::discover_async(
            IssuerUrl::new(issuer.to_owned()).map_err(DiscoveryError::UrlParse)?,
            &self.0.client,
        )
        .await
    }

    async fn fetch(&self) -> Result<Discovered, Arc<str>> {
        let settings = &self.0.settings;
        // The document must name the very issuer that it was fetched from (Discovery 1.0 §4.3); some write theirs with a
        // slash at the end.
        let metadata = match self.document(&self.0.issuer).await {
            Err(DiscoveryError::Validation(_)) => self.document(&format!("{}/", self.0.issuer)).await,
            result => result,
        };
        let metadata = metadata.map_err(|error| Arc::<str>::from(describe(&error).to_string()))?;
        let issuer = metadata.issuer().as_str().to_owned();
        let says_iss = metadata
            .additional_metadata()
            .authorization_response_iss_parameter_supported;
        let algorithms = metadata
            .id_token_signing_alg_values_supported()
            .iter()
            .filter(|algorithm| is_asymmetric(algorithm))
            .cloned()
            .collect();
        let post_only = metadata
            .token_endpoint_auth_methods_supported()
            .is_some_and(|methods| {
                methods.contains(&CoreClientAuthMethod::ClientSecretPost)
                    && !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
            });
        let secret = settings
            .client_secret
            .as_ref()
            .map(|secret| ClientSecret::new(secret.expose_secret().to_owned()));
        let mut client =
            Client::from_provider_metadata(metadata, ClientId::new(settings.client_id.clone()), secret);
        if post_only {
            client = client.set_auth_type(AuthType::RequestBody);
        }
        Ok(Discovered {
            client,
            issuer,
            algorithms,
            says_iss,
            at: Instant::now(),
        })
    }
}

async fn outcome(mut fetching: watch::Receiver<Option<Outcome>>) -> Outcome {
    match fetching.wait_for(Option::is_some).await {
        Ok(outcome) => match &*outcome {
            Some(outcome) => outcome.clone(),
            None => Err("the fetch was broken off".into()),
        },
        Err(_) => Err("the fetch was broken off".into()),
    }
}

/// The algorithms that an ID token may be signed with: never `none`, and never one whose key we know too.
fn is_asymmetric(algorithm: &CoreJwsSigningAlgorithm) -> bool {
    matches!(
        algorithm,
        CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256
            | CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384
            | CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512
            | CoreJwsSigningAlgorithm::RsaSsaPssSha256
            | CoreJwsSigningAlgorithm::RsaSsaPssSha384
            | CoreJwsSigningAlgorithm::RsaSsaPssSha512
            | CoreJwsSigningAlgorithm::EcdsaP256Sha256
            | CoreJwsSigningAlgorithm::EcdsaP384Sha384
            | CoreJwsSigningAlgorithm::EdDsa
    )
}

/// An error with its causes as one text. The library's errors hold answers and are not `Sync`; the text has no secret,
/// since it tells of what the provider sent and not of what it was sent.
pub(super) fn describe(error: &dyn std::error::Error) -> Box<dyn std::error::Error + Send + Sync> {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use url::Url;

    use super::*;
    use crate::outbound::Outbound;
    use crate::providers::Protocol;

    /// A provider that answers when it is told to, and counts how often it was asked for its document.
    struct Provider {
        discovery: Discovery,
        asked: Arc<AtomicUsize>,
        answers: watch::Sender<Answers>,
    }

    #[derive(Clone, Copy, PartialEq)]
    enum Answers {
        Well,
        Badly,
        Never,
    }

    impl Provider {
        async fn start() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
            let issuer = format!("http://{}", listener.local_addr().expect("address"));
            let asked = Arc::new(AtomicUsize::new(0));
            let (answers, told) = watch::channel(Answers::Well);
            let url: Url = issuer.parse().expect("url");
            let client = Outbound::default().client(&[&url]).expect("client");
            let settings = ProviderSettings {
                name: "demo".into(),
                protocol: Protocol::Oidc {
                    issuer: issuer.clone(),
                },
                client_id: "sentinel".into(),
                client_secret: None,
                scopes: Vec::new(),
                link_by_verified_email: false,
            };
            let discovery = Discovery::new(settings, issuer.clone(), client);
            let counter = Arc::clone(&asked);
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (told, counter, issuer) = (told.clone(), Arc::clone(&counter), issuer.clone());
                    tokio::spawn(answer(stream, told, counter, issuer));
                }
            });
            Self {
                discovery,
                asked,
                answers,
            }
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }

        async fn until_asked(&self, times: usize) {
            while self.asked() < times {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn answer(
        mut stream: TcpStream,
        mut told: watch::Receiver<Answers>,
        asked: Arc<AtomicUsize>,
        issuer: String,
    ) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("a request"));
        }
        let body = if head.starts_with(b"GET /jwks") {
            r#"{"keys":[]}"#.to_owned()
        } else {
            asked.fetch_add(1, Ordering::SeqCst);
            serde_json::json!({
                "issuer": issuer, "jwks_uri": format!("{issuer}/jwks"),
                "authorization_endpoint": format!("{issuer}/authorize"),
                "response_types_supported": ["code"], "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            })
            .to_string()
        };
        let answers = *told.wait_for(|told| *told != Answers::Never).await.expect("told");
        let status = if answers == Answers::Well {
            "200 OK"
        } else {
            "500 Oh"
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await.expect("answered");
    }

    /// Time goes on at once.
    async fn later(by: Duration) {
        tokio::time::pause();
        tokio::time::advance(by).await;
        tokio::time::resume();
    }

    #[tokio::test]
    async fn all_who_wait_share_one_fetch() {
        let provider = Provider::start().await;
        provider.answers.send_replace(Answers::Never);
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let discovery = provider.discovery.clone();
                tokio::spawn(async move { discovery.current().await.map(drop) })
            })
            .collect();
        provider.until_asked(1).await;
        // One who gives up takes nothing from the others.
        waiting[0].abort();
        provider.answers.send_replace(Answers::Well);
        for one in waiting.into_iter().skip(1) {
            one.await.expect("ended").expect("a document");
        }
        assert_eq!(provider.asked(), 1);
    }

    #[tokio::test]
    async fn a_failure_is_remembered_for_a_moment() {
        let provider = Provider::start().await;
        provider.answers.send_replace(Answers::Badly);
        for _ in 0..5 {
            assert!(provider.discovery.current().await.is_err());
        }
        assert_eq!(provider.asked(), 1);
        provider.answers.send_replace(Answers::Well);
        assert!(provider.discovery.current().await.is_err(), "not yet");
        later(AGAIN).await;
        assert!(provider.discovery.current().await.is_ok());
    }

    #[tokio::test]
    async fn an_old_document_is_used_while_it_is_fetched_anew() {
        let provider = Provider::start().await;
        let first = provider.discovery.current().await.expect("a document");
        provider.answers.send_replace(Answers::Never);
        later(KEPT).await;
        for _ in 0..5 {
            let now = provider.discovery.current().await.expect("the old one");
            assert!(Arc::ptr_eq(&first, &now));
        }
        provider.until_asked(2).await;
        provider.answers.send_replace(Answers::Well);
        let renewed = provider.discovery.renewed().await.expect("the new one");
        assert!(!Arc::ptr_eq(&first, &renewed));
        assert_eq!(provider.asked(), 2);
    }
}

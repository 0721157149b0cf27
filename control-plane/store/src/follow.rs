//! Follows the head of the database, whoever moves it: PostgreSQL says so, and both are looked at ten times a second.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::Revision;
use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::database::{Backend, advance};
use crate::error::StoreError;
use crate::write::CHANNEL;

/// How long another process' commit may stay unseen if nothing says that it happened.
const POLL: Duration = Duration::from_millis(80);
/// How long to wait before listening again after the connection was lost.
const LISTEN_AGAIN: Duration = Duration::from_millis(500);

/// One look at the head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// When the question was sent: what was committed before is in the answer.
    pub(crate) began: Instant,
    /// The answer.
    pub(crate) head: Revision,
}

/// The tasks that follow; they end when it is dropped.
pub(crate) struct Follower {
    _tasks: JoinSet<()>,
}

impl Follower {
    /// Must be called within a Tokio runtime.
    pub(crate) fn start(
        backend: &Backend,
        head: watch::Sender<Revision>,
        looked: watch::Sender<Option<Look>>,
    ) -> Self {
        let wake = Arc::new(Notify::new());
        let mut tasks = JoinSet::new();
        if let Backend::Postgres(pools) = backend {
            tasks.spawn(listen(pools.follow.clone(), Arc::clone(&wake)));
        }
        tasks.spawn(look(backend.clone(), wake, head, looked));
        Self { _tasks: tasks }
    }
}

async fn look(
    backend: Backend,
    wake: Arc<Notify>,
    head: watch::Sender<Revision>,
    looked: watch::Sender<Option<Look>>,
) {
    let mut in_touch = true;
    while !backend.is_closed() {
        let began = Instant::now();
        match backend.head().await {
            Ok(newest) => {
                if !in_touch {
                    tracing::info!("the database answers again");
                }
                in_touch = true;
                advance(&head, newest);
                looked.send_replace(Some(Look { began, head: newest }));
            }
            Err(error) => {
                if in_touch {
                    tracing::warn!(error = %chain(&error), "the head of the change log cannot be read");
                }
                in_touch = false;
            }
        }
        // Woken, or not woken in time: look either way.
        let _ = timeout(POLL, wake.notified()).await;
    }
}

async fn listen(pool: PgPool, wake: Arc<Notify>) {
    while !pool.is_closed() {
        if let Err(error) = listen_once(&pool, &wake).await {
            tracing::debug!(%error, "notifications of the database are lost for the moment");
        }
        wake.notify_one();
        sleep(LISTEN_AGAIN).await;
    }
}

async fn listen_once(pool: &PgPool, wake: &Notify) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        // What was committed before there was anybody to listen was missed.
        wake.notify_one();
        // A lost connection counts as a notification, for the same reason.
        listener.try_recv().await?;
    }
}

fn chain(error: &StoreError) -> String {
    use std::error::Error as _;
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

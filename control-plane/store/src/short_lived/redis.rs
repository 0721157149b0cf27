//! Short-lived state in Redis, for several control planes.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError, RedisResult, Script};
use secrecy::{ExposeSecret as _, SecretString};

use super::{ShortLived, millis};
use crate::error::StoreError;

/// How long one attempt to connect, and one answer, may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a call may take altogether.
const LIMIT: Duration = Duration::from_secs(3);

/// Where Redis is.
#[derive(Clone)]
pub struct RedisConfig {
    /// `redis://user:password@host:port/database`, or `rediss://` with TLS. Secret, for it may hold a password.
    pub url: SecretString,
    /// What every key begins with (default `sentinel:`).
    pub prefix: String,
}

impl RedisConfig {
    /// The Redis at `url`, with the default prefix.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: SecretString::from(url.into()),
            prefix: "sentinel:".to_owned(),
        }
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// Values in Redis. Cheap to clone. While Redis is away every call fails soon; when it is back they work again.
#[derive(Clone)]
pub struct Redis {
    connection: ConnectionManager,
    prefix: String,
}

impl Redis {
    /// Prepares the connection, which is made by the first call. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`StoreError::Url`] if the URL is none of Redis.
    pub fn new(config: &RedisConfig) -> Result<Self, StoreError> {
        let client = Client::open(config.url.expose_secret()).map_err(|_| {
            StoreError::Url("`redis://user:password@host:port/database` is expected".to_owned())
        })?;
        let manager = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_number_of_retries(1)
            .set_min_delay(Duration::from_millis(20))
            .set_max_delay(Duration::from_millis(200));
        Ok(Self {
            connection: ConnectionManager::new_lazy_with_config(client, manager)?,
            prefix: config.prefix.clone(),
        })
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    async fn query<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, StoreError> {
        let mut connection = self.connection.clone();
        in_time(command.query_async(&mut connection)).await
    }
}

async fn in_time<T>(answer: impl Future<Output = RedisResult<T>>) -> Result<T, StoreError> {
    match tokio::time::timeout(LIMIT, answer).await {
        Ok(answer) => Ok(answer?),
        Err(elapsed) => Err(StoreError::Unavailable(elapsed.into())),
    }
}

#[async_trait]
impl ShortLived for Redis {
    async fn put(&self, key: &str, value: &str, ttl: Duration) -> Result<(), StoreError> {
        self.query(
            redis::cmd("SET")
                .arg(self.key(key))
                .arg(value)
                .arg("PX")
                .arg(millis(ttl)),
        )
        .await
    }

    async fn get(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.query(redis::cmd("GET").arg(self.key(key))).await
    }

    async fn take(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.query(redis::cmd("GETDEL").arg(self.key(key))).await
    }

    async fn put_if_absent(&self, key: &str, value: &str, ttl: Duration) -> Result<bool, StoreError> {
        let mut set = redis::cmd("SET");
        set.arg(self.key(key))
            .arg(value)
            .arg("PX")
            .arg(millis(ttl))
            .arg("NX");
        let set: Option<String> = self.query(&set).await?;
        Ok(set.is_some())
    }

    async fn increment(&self, key: &str, ttl: Duration) -> Result<u64, StoreError> {
        // One step, so that a count can never be left without an end.
        let script = Script::new(
            "local count = redis.call('INCR', KEYS[1]) \
             if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end \
             return count",
        );
        let mut connection = self.connection.clone();
        let mut call = script.key(self.key(key));
        call.arg(millis(ttl));
        in_time(call.invoke_async(&mut connection)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.query(&redis::cmd("PING")).await
    }
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        use redis::ErrorKind::Server;
        use redis::ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, ReadOnly, TryAgain};

        match error.kind() {
            _ if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() => {
                Self::Unavailable(error.into())
            }
            Server(BusyLoading | ClusterDown | MasterDown | ReadOnly | TryAgain) => {
                Self::Unavailable(error.into())
            }
            // Redis may hold no more: as a full memory.
            _ if error.code() == Some("OOM") => Self::Busy(error.into()),
            _ => Self::Other(error.into()),
        }
    }
}

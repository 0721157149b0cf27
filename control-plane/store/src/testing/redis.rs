//! A key prefix in Redis for one test.

use redis::{Client, RedisResult};
use secrecy::ExposeSecret as _;

use crate::short_lived::RedisConfig;

/// Keys that nobody else uses, removed in the end.
pub(super) struct Keys(RedisConfig);

impl Keys {
    pub(super) fn new() -> Self {
        let mut config = RedisConfig::new(super::server("SENTINEL_TEST_REDIS_URL"));
        config.prefix = format!("{}:", super::unique_name());
        Self(config)
    }

    pub(super) fn config(&self) -> &RedisConfig {
        &self.0
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let RedisConfig { url, prefix } = self.0.clone();
        super::finish(async move {
            let client = Client::open(url.expose_secret())?;
            let mut connection = client.get_multiplexed_async_connection().await?;
            let keys: Vec<String> = redis::cmd("KEYS")
                .arg(format!("{prefix}*"))
                .query_async(&mut connection)
                .await?;
            if !keys.is_empty() {
                redis::cmd("DEL")
                    .arg(keys)
                    .query_async::<()>(&mut connection)
                    .await?;
            }
            RedisResult::Ok(())
        });
    }
}

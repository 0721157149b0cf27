//! Redis goes away and comes back. These tests start a Redis of their own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sentinel_store::{Redis, RedisConfig, ShortLived as _, StoreError};
use tokio::time::timeout;

const LONG: Duration = Duration::from_mins(10);

struct Server(Child);

impl Server {
    fn start(port: u16) -> Self {
        Self::start_with(port, &[])
    }

    fn start_with(port: u16, more: &[&str]) -> Self {
        let port = port.to_string();
        let mut command = Command::new("redis-server");
        command.args([
            "--port",
            &port,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        command.args(more);
        Self(
            command
                .stdout(Stdio::null())
                .spawn()
                .expect("redis-server is installed"),
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("address").port()
}

fn client(port: u16) -> Redis {
    Redis::new(&RedisConfig::new(format!("redis://127.0.0.1:{port}"))).expect("a URL")
}

async fn until_it_answers(redis: &Redis) {
    let answered = async {
        while redis.ping().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_mins(1), answered)
        .await
        .expect("Redis is back");
}

/// The error of a call that must end by itself.
async fn fails(redis: &Redis) -> StoreError {
    let call = redis.put("k", "v", LONG);
    timeout(Duration::from_secs(30), call)
        .await
        .expect("it gives up by itself")
        .expect_err("Redis is away")
}

#[tokio::test]
async fn calls_fail_while_redis_is_away_and_work_again_when_it_is_back() {
    let port = free_port();
    let redis = client(port);
    assert!(
        matches!(fails(&redis).await, StoreError::Unavailable(_)),
        "before it was ever there"
    );

    let server = Server::start(port);
    until_it_answers(&redis).await;
    redis.put("k", "v", LONG).await.expect("put");
    drop(server);
    for _ in 0..3 {
        let error = fails(&redis).await;
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    }

    let _server = Server::start(port);
    until_it_answers(&redis).await;
    assert_eq!(redis.get("k").await.expect("get"), None, "what it held was lost");
    assert_eq!(redis.increment("n", LONG).await.expect("count"), 1);
}

#[tokio::test]
async fn a_redis_that_takes_connections_and_never_answers_is_unavailable() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let redis = client(silent.local_addr().expect("address").port());
    assert!(matches!(fails(&redis).await, StoreError::Unavailable(_)));
}

#[tokio::test]
async fn a_redis_that_is_full_is_busy() {
    let port = free_port();
    let _server = Server::start_with(port, &["--maxmemory", "1kb"]);
    let redis = client(port);
    until_it_answers(&redis).await;
    let error = fails(&redis).await;
    assert!(matches!(error, StoreError::Busy(_)), "{error:?}");
}

#[tokio::test]
async fn a_url_of_something_else_is_refused_without_being_repeated() {
    let error = Redis::new(&RedisConfig::new("http://a:hunter2@b"))
        .err()
        .expect("no Redis");
    assert!(matches!(error, StoreError::Url(_)));
    assert!(!format!("{error:?}").contains("hunter2"));
}

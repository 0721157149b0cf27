//! How often a service that could not be reached is tried again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;

use crate::harness::World;

/// A service that hangs up on everybody, and counts them. Asked for an encrypted connection it cannot be reached; asked for
/// a plain one it can, and gives no answer.
async fn rude() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let callers = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&callers);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            drop(connection);
        }
    });
    (address, callers)
}

#[tokio::test]
async fn only_what_is_harmless_and_did_not_arrive_is_tried_again() {
    let (address, callers) = rude().await;
    let world = World::with_services(|_| {
        format!(
            r"upstreams:
  unreachable: {{ url: 'https://{address}', server_name: a.internal }}
  silent: {{ url: 'http://{address}' }}
routes:
  - {{ match: GET a.example/default, to: unreachable, public: true }}
  - {{ match: PUT a.example/default, to: unreachable, public: true }}
  - {{ match: POST a.example/default, to: unreachable, public: true, retries: 3 }}
  - {{ match: PATCH a.example/default, to: unreachable, public: true, retries: 3 }}
  - {{ match: GET a.example/never, to: unreachable, public: true, retries: 0 }}
  - {{ match: GET a.example/thrice, to: unreachable, public: true, retries: 3 }}
  - {{ match: GET a.example/arrived, to: silent, public: true, retries: 3 }}
"
        )
    })
    .await;
    for (request, tries) in [
        ("GET /default", 2),
        ("PUT /default", 2),
        ("POST /default", 1),
        ("PATCH /default", 1),
        ("GET /never", 1),
        ("GET /thrice", 4),
        ("GET /arrived", 1),
    ] {
        let before = callers.load(Ordering::SeqCst);
        let answer = world
            .send(format!("{request} HTTP/1.1\r\nHost: a.example\r\n\r\n"))
            .await;
        assert_eq!(
            answer.word(),
            (502, "upstream_unreachable".to_owned()),
            "{request}"
        );
        assert_eq!(callers.load(Ordering::SeqCst) - before, tries, "{request}");
    }
}

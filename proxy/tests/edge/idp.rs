//! An issuer's server of keys, which counts what it is asked and may be down, slow, lying, huge or leading elsewhere.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::harness::PATIENCE;

/// What is answered to whatever is asked for.
#[derive(Clone)]
pub(crate) enum Says {
    /// A document.
    Document(String),
    /// A status, without a document.
    Status(u16),
    /// Go elsewhere.
    Redirect(String),
    /// Nothing, and the connection stays open.
    Nothing,
    /// A document that has no end.
    Endless,
}

/// The server.
pub(crate) struct Idp {
    pub(crate) address: SocketAddr,
    keys: Arc<Mutex<Says>>,
    document: Arc<Mutex<Says>>,
    asked: watch::Receiver<usize>,
}

impl Idp {
    /// Says this when it is asked for its keys, and names their address in its discovery document.
    pub(crate) async fn start(keys: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (count, asked) = watch::channel(0);
        let keys = Arc::new(Mutex::new(keys));
        let document = Arc::new(Mutex::new(Says::Document(discovery(address))));
        let (of_keys, of_document, count) = (Arc::clone(&keys), Arc::clone(&document), Arc::new(count));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (keys, document, count) =
                    (Arc::clone(&of_keys), Arc::clone(&of_document), Arc::clone(&count));
                tokio::spawn(async move {
                    // A client that goes away has its reasons.
                    let _ = answer(stream, &keys, &document, &count).await;
                });
            }
        });
        Self {
            address,
            keys,
            document,
            asked,
        }
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn say(&self, keys: Says) {
        *self.keys.lock().expect("lock") = keys;
    }

    pub(crate) fn say_in_discovery(&self, document: Says) {
        *self.document.lock().expect("lock") = document;
    }

    /// How often it was asked for its keys.
    pub(crate) fn asked(&self) -> usize {
        *self.asked.borrow()
    }

    /// Waits until it was asked so often.
    pub(crate) async fn wait_for(&self, number: usize) {
        let mut asked = self.asked.clone();
        let reached = timeout(PATIENCE, asked.wait_for(|count| *count >= number)).await;
        assert!(
            reached.is_ok_and(|reached| reached.is_ok()),
            "not asked {number} times"
        );
    }
}

/// The discovery document of a server at this address.
pub(crate) fn discovery(address: SocketAddr) -> String {
    format!(r#"{{"issuer":"http://{address}","jwks_uri":"http://{address}/keys"}}"#)
}

async fn answer(
    mut stream: TcpStream,
    keys: &Mutex<Says>,
    document: &Mutex<Says>,
    count: &watch::Sender<usize>,
) -> std::io::Result<()> {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        let mut piece = [0; 1024];
        let Ok(got @ 1..) = stream.read(&mut piece).await else {
            return Ok(());
        };
        read.extend_from_slice(&piece[..got]);
    }
    let is_document = read.starts_with(b"GET /.well-known/openid-configuration ");
    let says = if is_document { document } else { keys };
    let says = says.lock().expect("lock").clone();
    if !is_document {
        count.send_modify(|count| *count += 1);
    }
    let head = |status: u16, more: &str| format!("HTTP/1.1 {status} X\r\nConnection: close\r\n{more}\r\n");
    match says {
        Says::Document(text) => {
            let head = head(200, &format!("Content-Length: {}\r\n", text.len()));
            stream.write_all((head + &text).as_bytes()).await
        }
        Says::Status(status) => {
            stream
                .write_all(head(status, "Content-Length: 0\r\n").as_bytes())
                .await
        }
        Says::Redirect(to) => {
            let head = head(302, &format!("Location: {to}\r\nContent-Length: 0\r\n"));
            stream.write_all(head.as_bytes()).await
        }
        Says::Nothing => {
            stream.read_u8().await?;
            Ok(())
        }
        Says::Endless => {
            stream.write_all(head(200, "").as_bytes()).await?;
            loop {
                stream.write_all(&[b' '; 4096]).await?;
            }
        }
    }
}

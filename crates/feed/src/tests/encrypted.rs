//! The feed over TLS, and an edge whose key is withdrawn.

use std::sync::Arc;

use sentinel_core::SystemClock;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};

use crate::client::FollowerConfig;
use crate::server::FeedSource;
use crate::testing::{ControlPlane, Edge, assert_equal, tuple};

/// A control plane behind TLS, with the certificate that it shows: the port, and the certificate.
async fn serve(plane: &Arc<ControlPlane>) -> (u16, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = made.cert.pem();
    let identity = Identity::from_pem(&certificate, made.signing_key.serialize_pem());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let server = Server::builder()
        .tls_config(ServerTlsConfig::new().identity(identity))
        .expect("a good certificate")
        .add_service(crate::server::service(Arc::clone(plane) as Arc<dyn FeedSource>));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    (port, certificate.into_bytes())
}

#[tokio::test]
async fn an_edge_follows_over_tls_until_its_key_is_withdrawn_and_not_a_second_longer() {
    let plane = ControlPlane::new([tuple("a", "b")]);
    let (port, certificate) = serve(&plane).await;
    let (key, other) = (plane.enrol(), plane.enrol());
    let dirs = [
        TempDir::new().expect("a directory"),
        TempDir::new().expect("a directory"),
    ];
    let start = |key, dir: &TempDir| {
        let config = FollowerConfig {
            ca_certificate: Some(certificate.clone()),
            ..Edge::config(format!("https://localhost:{port}"), key, dir.path())
        };
        Edge::start_with(config, Arc::new(SystemClock))
    };
    let (mut edge, mut beside) = (start(&key, &dirs[0]), start(&other, &dirs[1]));
    edge.is_in_touch().await;
    beside.is_in_touch().await;
    edge.reaches(plane.add("a", "c")).await;
    assert_equal(&edge.replica.load(), &plane.state());

    plane.revoke(&key);
    edge.fails_with("does not know this edge's key").await;
    let known = edge.replica.load().revision();
    beside.reaches(plane.add("a", "secret")).await;
    assert_eq!(edge.replica.load().revision(), known, "it hears nothing any more");
}

#[tokio::test]
async fn a_control_plane_with_another_certificate_is_told_no_secret() {
    let plane = ControlPlane::new([tuple("a", "b")]);
    let (port, _) = serve(&plane).await;
    let (_, stranger) = serve(&plane).await;
    let (key, dir) = (plane.enrol(), TempDir::new().expect("a directory"));
    let config = FollowerConfig {
        ca_certificate: Some(stranger),
        ..Edge::config(format!("https://localhost:{port}"), &key, dir.path())
    };
    let mut edge = Edge::start_with(config, Arc::new(SystemClock));
    edge.fails_with("cannot be reached").await;
    assert!(!edge.replica.is_ready());
    assert_eq!(plane.announced(), []);
}

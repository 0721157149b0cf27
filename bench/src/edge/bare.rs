//! The yardstick: Pingora's proxy in Pingora's own server, which forwards everything to one address and does nothing else.

use std::net::SocketAddr;
use std::path::Path;

use async_trait::async_trait;
use pingora::proxy::{ProxyHttp, Session, http_proxy_service};
use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;

struct Bare {
    upstream: SocketAddr,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream, false, String::new())))
    }
}

/// Serves until the process is ended. Files go to `dir`.
pub fn run(dir: &Path, port: u16, upstream: SocketAddr) -> ! {
    let in_dir = |name: &str| dir.join(name).to_string_lossy().into_owned();
    let conf = ServerConf {
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        upgrade_sock: in_dir("upgrade.sock"),
        pid_file: in_dir("bare.pid"),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Bare { upstream });
    service.add_tcp(&format!("127.0.0.1:{port}"));
    server.add_service(service);
    server.run_forever()
}

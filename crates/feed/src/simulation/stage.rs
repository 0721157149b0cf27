//! What hosts of a run find on their thread: the disks, and the way to a control plane.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use super::chance::Chance;
use super::fs::Shared;

/// The port of control planes.
pub(super) const PORT: u16 = 9003;

thread_local! {
    static DISKS: RefCell<BTreeMap<PathBuf, Shared>> = const { RefCell::new(BTreeMap::new()) };
    static BALANCER: RefCell<Chance> = RefCell::new(Chance::new(0));
    static PLANES: Cell<usize> = const { Cell::new(1) };
}

/// Prepares the thread for a run.
pub(super) fn set(disks: BTreeMap<PathBuf, Shared>, planes: usize, chance: Chance) {
    DISKS.set(disks);
    PLANES.set(planes);
    BALANCER.set(chance);
}

/// The disk that is mounted at a path.
pub(super) fn disk(path: &Path) -> Option<Shared> {
    DISKS.with_borrow(|disks| disks.get(path).cloned())
}

/// The name of a control plane's host.
pub(super) fn plane(number: usize) -> String {
    format!("plane-{number}")
}

/// Connects to one of the control planes, as the balancer in front of them decides.
pub(crate) async fn connect(endpoint: &Endpoint) -> Result<Channel, tonic::transport::Error> {
    let number = BALANCER.with_borrow_mut(|chance| chance.below(PLANES.get()));
    let connector = service_fn(move |_: Uri| async move {
        let stream = turmoil::net::TcpStream::connect((plane(number), PORT)).await?;
        Ok::<_, io::Error>(TokioIo::new(stream))
    });
    endpoint.connect_with_connector(connector).await
}

//! What the feed takes from the machine that it runs on: threads for work that blocks, and connections. In the
//! simulation, which only tests have, both are simulated (as the files are, by `disk::fs`), so that the rest of this crate
//! runs there as it ships.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

/// Does work that blocks, on a thread for such work.
pub(crate) fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    #[cfg(test)]
    if turmoil::in_simulation() {
        return tokio::spawn(async move { crate::simulation::at_its_pace(work).await });
    }
    tokio::task::spawn_blocking(work)
}

/// Does blocking work for as long as there is some in the queue, on a thread of its own: with the first piece that waits,
/// and the queue to take more from. It ends when nobody can put anything into the queue any more.
pub(crate) fn drain<T: Send + 'static>(
    mut queue: mpsc::Receiver<T>,
    mut work: impl FnMut(T, &mut mpsc::Receiver<T>) + Send + 'static,
) -> JoinHandle<()> {
    #[cfg(test)]
    if turmoil::in_simulation() {
        return tokio::spawn(async move {
            while let Some(first) = queue.recv().await {
                crate::simulation::at_its_pace(|| work(first, &mut queue)).await;
            }
        });
    }
    tokio::task::spawn_blocking(move || {
        while let Some(first) = queue.blocking_recv() {
            work(first, &mut queue);
        }
    })
}

/// Connects to the control plane.
pub(crate) async fn connect(endpoint: &Endpoint) -> Result<Channel, tonic::transport::Error> {
    #[cfg(test)]
    if turmoil::in_simulation() {
        return crate::simulation::connect(endpoint).await;
    }
    endpoint.connect().await
}

//! What the feed takes from the machine that it runs on: threads for work that blocks, and connections. In the
//! simulation, which only tests have, both are simulated (as the files are, by `disk::fs`), so that the rest of this crate
//! runs there as it ships.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

/// Does work that blocks, on a thread for such work.
pub(crate) fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    #[cfg(test)]
    if turmoil::in_simulation() {
        return tokio::spawn(async move { crate::simulation::at_its_pace(work).await });
    }
    tokio::task::spawn_blocking(work)
}

/// Does blocking work for as long as there is some in the queue: with the first piece that waits, and the queue to take
/// more from. After each time it rests for so long, unless it is hurried, so that more comes together. It ends when nobody
/// can put anything into the queue any more.
pub(crate) fn drain<T: Send + 'static>(
    mut queue: mpsc::Receiver<T>,
    mut work: impl FnMut(T, &mut mpsc::Receiver<T>) + Send + 'static,
    rest: Duration,
    hurry: Arc<Notify>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(first) = queue.recv().await {
            let working = blocking(move || {
                work(first, &mut queue);
                (work, queue)
            });
            let Ok(done) = working.await else {
                tracing::error!("work that blocks broke off and is not gone on with");
                return;
            };
            (work, queue) = done;
            timeout(rest, hurry.notified()).await.ok();
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

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    const REST: Duration = Duration::from_millis(100);

    /// Waits until so many pieces were done, at each time.
    async fn done(times: &Mutex<Vec<Vec<u32>>>, expected: &[&[u32]]) {
        let is_so = || times.lock().unwrap_or_else(PoisonError::into_inner).as_slice() == expected;
        while !is_so() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_while_it_rests_is_done_together_unless_it_is_hurried() {
        let (queue, waiting) = mpsc::channel(16);
        let hurry = Arc::new(Notify::new());
        let times: Arc<Mutex<Vec<Vec<u32>>>> = Arc::default();
        let noted = Arc::clone(&times);
        let work = move |first, more: &mut mpsc::Receiver<u32>| {
            let all = std::iter::once(first).chain(std::iter::from_fn(|| more.try_recv().ok()));
            noted
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(all.collect());
        };
        let working = drain(waiting, work, REST, Arc::clone(&hurry));
        let put = async |piece| queue.send(piece).await.expect("it is taken");
        let begin = tokio::time::Instant::now();
        put(1).await;
        done(&times, &[&[1]]).await;
        assert_eq!(begin.elapsed(), Duration::ZERO, "the first one at once");
        put(2).await;
        tokio::time::sleep(REST / 2).await;
        put(3).await;
        done(&times, &[&[1]]).await;
        tokio::time::sleep(REST).await;
        done(&times, &[&[1], &[2, 3]]).await;
        put(4).await;
        hurry.notify_one();
        let hurried = tokio::time::Instant::now();
        done(&times, &[&[1], &[2, 3], &[4]]).await;
        assert!(hurried.elapsed() < REST);
        put(5).await;
        drop(queue);
        hurry.notify_one();
        working.await.expect("it ends");
        done(&times, &[&[1], &[2, 3], &[4], &[5]]).await;
    }
}

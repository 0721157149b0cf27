//! Log lines, written by a thread of their own, so that a request does not wait for whoever reads them.
//!
//! No line is thrown away: when as many are waiting as there is room for, the next one waits for its turn. What waits when
//! the process is killed is lost; when it ends by itself, [`Writing`] has everything written first.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SendError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use crate::moment;

/// How many lines may wait.
const ROOM: usize = 8192;
/// How long lines are gathered after some were written. To wake a thread costs whoever does it more than a line does, so
/// under load it happens now and then, and not for each line.
const GATHERED: Duration = Duration::from_millis(5);

enum Message {
    Line(Vec<u8>),
    WriteOut(SyncSender<()>),
}

/// Takes lines. Clones share the thread.
#[derive(Clone)]
pub struct LogWriter(SyncSender<Message>);

/// While it is there, lines are written; when it goes, it waits until all of them have been.
pub struct Writing(SyncSender<Message>);

/// Starts the thread that writes lines to `out`.
///
/// # Errors
/// There can be no more threads.
pub fn start(out: impl Write + Send + 'static) -> io::Result<(LogWriter, Writing)> {
    let (sender, messages) = sync_channel(ROOM);
    thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || write_all(out, &messages))?;
    Ok((LogWriter(sender.clone()), Writing(sender)))
}

/// An error has nowhere to go: the log is where it would be told.
fn write_all(out: impl Write, messages: &Receiver<Message>) {
    let mut out = io::BufWriter::with_capacity(64 * 1024, out);
    while let Ok(first) = messages.recv() {
        let mut next = Ok(first);
        // What is there is written together, and nothing is held back when there is no more.
        while let Ok(message) = next {
            match message {
                Message::Line(line) => {
                    let _ = out.write_all(&line);
                }
                Message::WriteOut(done) => {
                    let _ = out.flush();
                    let _ = done.send(());
                }
            }
            next = messages.try_recv();
        }
        let _ = out.flush();
        if matches!(next, Err(TryRecvError::Disconnected)) {
            return;
        }
        thread::sleep(GATHERED);
    }
}

impl LogWriter {
    /// Takes a whole line, and waits while there is no room.
    pub fn send(&self, line: Vec<u8>) {
        // If the thread is gone, nothing more is written.
        let _ = self.hand_over(line);
    }

    fn hand_over(&self, line: Vec<u8>) -> Result<(), SendError<Message>> {
        match self.0.try_send(Message::Line(line)) {
            Ok(()) => Ok(()),
            // That may take as long as a reader likes to stall: nobody may take the time before for the present.
            Err(TrySendError::Full(message)) => moment::waiting(|| self.0.send(message)),
            Err(TrySendError::Disconnected(message)) => Err(SendError(message)),
        }
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let sent = self.hand_over(line.to_vec());
        sent.map(|()| line.len())
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let (done, written) = sync_channel(1);
        if self.0.send(Message::WriteOut(done)).is_ok() {
            // If the thread is gone, nothing more will be written.
            let _ = written.recv();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Condvar, Mutex};

    use super::*;

    /// A reader who waits until he is let go on.
    #[derive(Clone, Default)]
    struct Reader(Arc<Pipe>);

    #[derive(Default)]
    struct Pipe {
        state: Mutex<State>,
        opened: Condvar,
    }

    #[derive(Default)]
    struct State {
        is_open: bool,
        read: Vec<u8>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let state = self.0.state.lock().expect("lock");
            let waiting = self.0.opened.wait_while(state, |state| !state.is_open);
            waiting.expect("lock").read.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Reader {
        fn open(&self) {
            self.0.state.lock().expect("lock").is_open = true;
            self.0.opened.notify_all();
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.state.lock().expect("lock").read.clone()).expect("text")
        }
    }

    #[test]
    fn a_reader_who_stalls_stops_nobody_and_misses_nothing() {
        let reader = Reader::default();
        let (mut log, writing) = start(reader.clone()).expect("a thread");
        let lines: Vec<String> = (0..1000).map(|number| format!("line {number}\n")).collect();
        for line in &lines {
            log.write_all(line.as_bytes()).expect("taken");
        }
        assert_eq!(reader.text(), "");
        reader.open();
        drop(writing);
        assert_eq!(reader.text(), lines.concat());
    }

    /// It writes until it had to wait: sooner or later it has to, for a reader who is slower than that.
    #[test]
    fn whoever_had_to_wait_for_a_reader_asks_again_what_time_it_is() {
        let (sender, messages) = sync_channel(1);
        let (mut log, reader) = (
            LogWriter(sender),
            thread::spawn(move || {
                while messages.recv().is_ok() {
                    thread::yield_now();
                }
            }),
        );
        moment::step(|| {
            let before = moment::now();
            while moment::now() == before && before.elapsed() < Duration::from_secs(20) {
                log.send(vec![b'x']);
                log.write_all(b"x").expect("taken");
            }
            assert!(moment::now() > before);
        });
        drop(log);
        reader.join().expect("it ends");
    }
}

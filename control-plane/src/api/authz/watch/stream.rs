//! One stream of events: what the change log has behind its revision, and then what comes, from the frames that edges get
//! too. Nobody asks the database again for what is new.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use sentinel_core::{Change, Fact, Revision, Timestamp, Tuple};
use sentinel_feed::Frame;
use sentinel_store::{ChangesAfter, LoggedChanges, StoreError};
use serde::Serialize;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::places::Place;
use crate::api::authz::scope::Scope;
use crate::api::wire::Moment;
use crate::app::App;
use crate::extract::asking::Pass;

/// How often a stream says how far it is.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long a reader may take nothing.
const SLOW: Duration = Duration::from_secs(10);
/// How many revisions are read from the log at once. Each may have two thousand changes, of all services.
const BATCH: u32 = 2;
/// After how many revisions of the log a reader is told at least how far the stream is.
const TELL_EVERY: u64 = 50;

/// A stream on its way.
pub(super) struct Stream {
    app: App,
    pass: Pass,
    filter: Filter,
    /// Everything up to here was told.
    at: Revision,
    frames: broadcast::Receiver<Arc<Frame>>,
    /// Which edition of the history it tells of. Once that is over it ends, and says so: what was read from the log a moment
    /// before may be of the next one already.
    editions: watch::Receiver<u64>,
    out: mpsc::Sender<Bytes>,
    _place: Arc<Place>,
}

/// The stream is over: there is nobody to tell, or he may not be told any more.
struct Over;

/// What a service is told about: tuples of its own types, under the names that it gave them.
pub(super) struct Filter {
    scope: Scope,
    /// Only this type, by its whole name.
    kind: Option<String>,
}

#[derive(Serialize)]
struct Changes<'a> {
    revision: Revision,
    writes: Vec<Written<'a>>,
    deletes: Vec<Written<'a>>,
}

#[derive(Serialize)]
struct Written<'a> {
    object: String,
    relation: &'a str,
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Moment>,
}

/// The last event of a stream whose revisions may mean something else from now on.
#[derive(Serialize)]
struct End {
    code: &'static str,
    detail: &'static str,
}

#[derive(Serialize)]
struct Heartbeat {
    /// Everything up to here was told.
    revision: Revision,
    /// The newest one that is known here.
    head: Revision,
}

impl Stream {
    /// A stream from behind `after` on, which is a revision of the edition that `editions` had last.
    pub(super) fn new(
        app: App,
        pass: Pass,
        filter: Filter,
        after: Revision,
        editions: watch::Receiver<u64>,
        out: mpsc::Sender<Bytes>,
        place: Arc<Place>,
    ) -> Self {
        // Before the log is read, so that nothing falls between the two.
        let frames = app.replication.frames();
        Self {
            app,
            pass,
            filter,
            at: after,
            frames,
            editions,
            out,
            _place: place,
        }
    }

    /// What the log has next; `None` if it does not reach back that far.
    ///
    /// # Errors
    /// The database does not answer.
    pub(super) async fn read(&self) -> Result<Option<Vec<LoggedChanges>>, StoreError> {
        // Not all connections: others have something to ask as well.
        let _turn = self.app.questions.readers.acquire().await;
        let mut tx = self.app.database().read().await?;
        Ok(match tx.changes_after(self.at, BATCH).await? {
            // While a slow reader is waited for nothing is held that is not for him.
            ChangesAfter::Changes(logged) => Some(self.filter.own(logged)),
            ChangesAfter::TooOld => None,
        })
    }

    /// Tells everything, from what was read first on, until the stream is over.
    pub(super) async fn run(mut self, first: Vec<LoggedChanges>) {
        let mut editions = self.editions.clone();
        let Over = tokio::select! {
            biased;
            // A sender that is gone took the process with it.
            _ = editions.changed() => Over,
            over = self.tell_all(first) => over,
        };
        if self.is_replaced() {
            self.send_end().await.ok();
        }
    }

    async fn tell_all(&mut self, first: Vec<LoggedChanges>) -> Over {
        match self.tell_logged(first).await {
            Ok(()) => self.follow().await,
            Err(over) => over,
        }
    }

    /// Whether what is there now is another history than the one that this stream tells of, as far as can be said.
    fn is_replaced(&self) -> bool {
        self.editions.has_changed().unwrap_or(false)
    }

    async fn follow(&mut self) -> Over {
        let mut beats = interval(HEARTBEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let out = self.out.clone();
            let told = tokio::select! {
                biased;
                () = out.closed() => Err(Over),
                frame = self.frames.recv() => match frame {
                    Ok(frame) => self.tell_frame(&frame).await,
                    // A reader that is behind by more than that does not keep up.
                    Err(RecvError::Lagged(_) | RecvError::Closed) => Err(Over),
                },
                _ = beats.tick() => self.beat().await,
            };
            if let Err(over) = told {
                return over;
            }
        }
    }

    async fn tell_frame(&mut self, frame: &Frame) -> Result<(), Over> {
        self.may_go_on()?;
        if frame.to.epoch == self.at.epoch && frame.to <= self.at {
            return Ok(());
        }
        if frame.from != self.at {
            return self.catch_up().await;
        }
        self.tell(frame.to, &frame.changes).await
    }

    /// The state was replaced, or frames are missing: the log says what there was.
    async fn catch_up(&mut self) -> Result<(), Over> {
        let logged = self.read().await.ok().flatten().ok_or(Over)?;
        self.tell_logged(logged).await
    }

    async fn tell_logged(&mut self, mut logged: Vec<LoggedChanges>) -> Result<(), Over> {
        let mut told = self.at;
        while !logged.is_empty() {
            for LoggedChanges { revision, changes } in &logged {
                self.may_go_on()?;
                self.tell(*revision, changes).await?;
            }
            logged = self.read().await.ok().flatten().ok_or(Over)?;
            // How far it is, also when nothing of it was for this reader.
            if logged.is_empty() || self.at.number.saturating_sub(told.number) >= TELL_EVERY {
                self.send_heartbeat().await?;
                told = self.at;
            }
        }
        Ok(())
    }

    async fn tell(&mut self, revision: Revision, changes: &[Change]) -> Result<(), Over> {
        if let Some(changes) = self.filter.of(revision, changes) {
            self.send("changes", revision, &changes).await?;
        }
        self.at = revision;
        Ok(())
    }

    async fn beat(&mut self) -> Result<(), Over> {
        self.may_go_on()?;
        let here = self.app.replica().load().revision();
        // The state can have been replaced without a frame.
        if here != self.at && self.frames.is_empty() {
            self.catch_up().await?;
        }
        self.send_heartbeat().await
    }

    async fn send_heartbeat(&self) -> Result<(), Over> {
        let head = self.app.replica().load().revision().max(self.at);
        let revision = self.at;
        self.send("heartbeat", revision, &Heartbeat { revision, head })
            .await
    }

    /// Tells the reader that he has to start again, with no id: what he has is not to be asked for again.
    async fn send_end(&self) -> Result<(), Over> {
        let end = End {
            code: "history_replaced",
            detail: "The history was replaced: start again from a full read",
        };
        self.send_event("end", "", &end).await
    }

    /// Whether the reader may still be told, as far as that can be known.
    fn may_go_on(&self) -> Result<(), Over> {
        if self.is_replaced() {
            return Err(Over);
        }
        let is_known = self.app.require_fresh().is_ok() && !self.frames.is_closed();
        let is_good = self.pass.is_good(&self.app.replica().load(), self.app.now());
        if is_known && is_good { Ok(()) } else { Err(Over) }
    }

    async fn send(&self, event: &str, id: Revision, data: &impl Serialize) -> Result<(), Over> {
        self.send_event(event, &id.to_string(), data).await
    }

    async fn send_event(&self, event: &str, id: &str, data: &impl Serialize) -> Result<(), Over> {
        // JSON has no line breaks of its own.
        let data = serde_json::to_string(data).map_err(|_| Over)?;
        let text = format!("event: {event}\nid: {id}\ndata: {data}\n\n");
        let sent = timeout(SLOW, self.out.send(text.into())).await;
        sent.map_err(|_| Over)?.map_err(|_| Over)
    }
}

impl Filter {
    /// Tuples of this type, or of all types of the service's own.
    pub(super) fn new(scope: Scope, kind: Option<String>) -> Self {
        Self { scope, kind }
    }

    /// The same revisions with what the service is told about of their changes.
    fn own(&self, logged: Vec<LoggedChanges>) -> Vec<LoggedChanges> {
        let own = |mut logged: LoggedChanges| {
            logged.changes.retain(|change| match change.fact() {
                Fact::Tuple(tuple) | Fact::ExpiringTuple { tuple, .. } => self.is_told(tuple),
                _ => false,
            });
            logged.changes.shrink_to_fit();
            logged
        };
        logged.into_iter().map(own).collect()
    }

    /// What a revision changed of what the service is told about; `None` if nothing. The last word on a tuple counts.
    fn of<'a>(&'a self, revision: Revision, changes: &'a [Change]) -> Option<Changes<'a>> {
        let mut last: BTreeMap<&Tuple, Option<Option<Timestamp>>> = BTreeMap::new();
        for change in changes {
            let (tuple, until) = match change.fact() {
                Fact::Tuple(tuple) => (tuple, None),
                Fact::ExpiringTuple { tuple, until } => (tuple, Some(*until)),
                _ => continue,
            };
            if self.is_told(tuple) {
                last.insert(tuple, matches!(change, Change::Put(_)).then_some(until));
            }
        }
        if last.is_empty() {
            return None;
        }
        let (mut writes, mut deletes) = (Vec::new(), Vec::new());
        for (tuple, holds) in last {
            match holds {
                Some(until) => writes.push(self.written(tuple, until)),
                None => deletes.push(self.written(tuple, None)),
            }
        }
        Some(Changes {
            revision,
            writes,
            deletes,
        })
    }

    fn is_told(&self, tuple: &Tuple) -> bool {
        let kind = tuple.object().kind();
        match &self.kind {
            Some(only) => kind == only,
            None => self.scope.plain(kind) != kind,
        }
    }

    fn written<'a>(&self, tuple: &'a Tuple, until: Option<Timestamp>) -> Written<'a> {
        Written {
            object: self.scope.show_object(tuple.object()),
            relation: tuple.relation(),
            subject: self.scope.show_subject(tuple.subject()),
            expires_at: until.map(Moment),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(kind: Option<&str>, lines: &[&str]) -> serde_json::Value {
        let scope = Scope::of_service("docs".parse().expect("a name"));
        let filter = Filter::new(scope, kind.map(str::to_owned));
        let changes: Vec<Change> = lines.iter().map(|line| line.parse().expect("a change")).collect();
        serde_json::to_value(filter.of(Revision { epoch: 7, number: 3 }, &changes)).expect("json")
    }

    #[test]
    fn a_service_is_told_of_its_own_tuples_under_its_own_names() {
        let lines = [
            "+tuple docs/folder:1#viewer@user:ann",
            "-tuple docs/folder:1#viewer@user:bob",
            "+tuple docs/folder:1#owner@docs/team:a#member",
            "+expiring-tuple 1000000 docs/file:1#viewer@user:*",
            "+tuple wiki/folder:1#viewer@user:ann",
            "+tuple docs.v2/folder:1#viewer@user:ann",
            "+tuple group:g#member@user:ann",
            "+tuple resource:docs/document/1#owner@user:ann",
            "-disabled-user 018f4e7a-1111-7000-8000-000000000001",
        ];
        assert_eq!(
            told(None, &lines),
            json!({
                "revision": "7.3",
                "writes": [
                    { "object": "file:1", "relation": "viewer", "subject": "user:*", "expires_at": "1970-01-01T00:00:01.000000Z" },
                    { "object": "folder:1", "relation": "owner", "subject": "team:a#member" },
                    { "object": "folder:1", "relation": "viewer", "subject": "user:ann" },
                ],
                "deletes": [{ "object": "folder:1", "relation": "viewer", "subject": "user:bob" }],
            })
        );
        let files = told(Some("docs/file"), &lines);
        assert_eq!(files["writes"].as_array().map(Vec::len), Some(1));
        assert_eq!(files["deletes"], json!([]));
        assert_eq!(told(None, &lines[4..]), json!(null));
    }

    #[test]
    fn nothing_of_others_is_held_for_a_reader() {
        let filter = Filter::new(Scope::of_service("docs".parse().expect("a name")), None);
        let lines = [
            "+tuple wiki/folder:1#viewer@user:ann",
            "+tuple docs/folder:1#viewer@user:ann",
            "+tuple group:g#member@user:ann",
            "-disabled-user 018f4e7a-1111-7000-8000-000000000001",
        ];
        let revision = |number, lines: &[&str]| LoggedChanges {
            revision: Revision { epoch: 7, number },
            changes: lines.iter().map(|line| line.parse().expect("a change")).collect(),
        };
        let own = filter.own(vec![revision(3, &lines), revision(4, &lines[2..])]);
        assert_eq!(
            own,
            [revision(3, &lines[1..2]), revision(4, &[])],
            "each revision, with one's own"
        );
    }

    #[test]
    fn the_last_word_on_a_tuple_counts() {
        let tuple = "docs/folder:1#viewer@user:ann";
        let (put, delete) = (format!("+tuple {tuple}"), format!("-tuple {tuple}"));
        let until = format!("+expiring-tuple 1000000 {tuple}");
        let one = json!([{ "object": "folder:1", "relation": "viewer", "subject": "user:ann" }]);
        let told = |lines: &[&str]| {
            let told = told(None, lines);
            (told["writes"].clone(), told["deletes"].clone())
        };
        assert_eq!(told(&[&put, &delete]), (json!([]), one.clone()));
        assert_eq!(told(&[&delete, &until, &put]), (one, json!([])));
    }
}

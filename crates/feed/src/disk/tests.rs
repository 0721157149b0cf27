//! Damage of every kind. What is read is always a state that the control plane had, or nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sentinel_core::{Change, Timestamp};
use tempfile::TempDir;

use super::*;
use crate::digest::Digest;
use crate::frame::{Frame, Heartbeat, SnapshotManifest};
use crate::replica::Replica;
use crate::signed::Signed;
use crate::snapshot::encode;
use crate::state::ReplicaState;
use crate::testing::{FeedKey, every_kind_of_fact, rev, tuple};
use sentinel_core::Revision;

/// A control plane's words, and a directory to write them to.
struct Stage {
    dir: TempDir,
    key: FeedKey,
    replica: Replica,
    failed_compactions: Arc<AtomicUsize>,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(seconds, 0).expect("in range")
}

fn contact(signed: Signed, heard_at: i64) -> Contact {
    Contact {
        signed,
        heard_at: at(heard_at),
        age: Duration::from_secs(1),
    }
}

impl Stage {
    fn new() -> Self {
        let replica = Replica::new();
        replica.install(ReplicaState::from_snapshot(rev(1), every_kind_of_fact()).expect("good facts"));
        Self {
            dir: TempDir::new().expect("a directory"),
            key: FeedKey::generate(),
            replica,
            failed_compactions: Arc::default(),
        }
    }

    fn failed_compactions(&self) -> usize {
        self.failed_compactions.load(Ordering::SeqCst)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The next change, as a signed frame.
    fn commit(&self) -> (Signed, Frame) {
        let to = rev(self.replica.load().revision().number + 1);
        let changes = vec![Change::Put(tuple("a", &to.number.to_string()))];
        let frame = self.replica.advance(to, changes).expect("applies");
        (frame.seal(self.key.signer()), (*frame).clone())
    }

    fn snapshot(&self) -> (Signed, Revision, bytes::Bytes) {
        let encoded = encode(&self.replica.load());
        let revision = encoded.manifest.revision;
        (
            encoded.manifest.seal(self.key.signer()),
            revision,
            encoded.body.into(),
        )
    }

    fn heartbeat(&self, sent_at: i64) -> Signed {
        let state = self.replica.load();
        let heartbeat = Heartbeat {
            head: state.revision(),
            digest: state.digest(),
            sent_at: at(sent_at),
            age: Duration::from_secs(1),
            nonce: [0; 16],
            sequence: 1,
            since: Duration::ZERO,
        };
        heartbeat.seal(self.key.signer())
    }

    /// The state as of 99, heard of at 100.
    fn contact(&self) -> Contact {
        contact(self.heartbeat(100), 100)
    }

    fn writer(&self) -> Writer {
        let dir = StateDir::open(self.dir.path()).expect("free");
        let restored = restore(&dir, self.key.public(), at(0)).expect("readable");
        let failed = Arc::clone(&self.failed_compactions);
        let count = move || {
            failed.fetch_add(1, Ordering::SeqCst);
        };
        Writer::start(dir, restored.as_ref(), Arc::new(count))
    }

    /// A snapshot at 1 and a journal to `to`, with contact at the end.
    async fn write(&self, to: u64) {
        let writer = self.writer();
        let (manifest, revision, body) = self.snapshot();
        writer.snapshot(manifest, revision, body);
        for _ in 1..to {
            let (signed, frame) = self.commit();
            writer.frame(signed, &frame);
        }
        writer.contact(self.contact());
        writer.close().await;
    }

    fn restore_at(&self, seconds: i64) -> Option<Restored> {
        let dir = StateDir::open(self.dir.path()).expect("free");
        restore(&dir, self.key.public(), at(seconds)).expect("readable")
    }
}

fn revision(restored: Option<&Restored>) -> Option<u64> {
    restored.map(|restored| restored.state.revision().number)
}

#[tokio::test]
async fn what_was_written_is_read_with_its_age() {
    let stage = Stage::new();
    stage.write(4).await;
    let restored = stage.restore_at(130).expect("a state");
    assert_eq!(restored.state.revision(), rev(4));
    assert_eq!(restored.state.digest(), stage.replica.load().digest());
    assert_eq!(restored.state.len(), stage.replica.load().len());
    assert_eq!(
        restored.age,
        Some(Duration::from_secs(31)),
        "30 s, and 1 s that it had at the sender"
    );
}

#[tokio::test]
async fn a_look_needs_no_lock_and_changes_nothing() {
    let stage = Stage::new();
    assert!(
        stored(stage.dir.path(), stage.key.public(), at(130))
            .expect("readable")
            .is_none()
    );
    stage.write(4).await;
    let journal = stage.path("replica.journal");
    let mut torn = std::fs::read(&journal).expect("written");
    torn.truncate(torn.len() - 1);
    std::fs::write(&journal, &torn).expect("written");
    let _running = StateDir::open(stage.dir.path()).expect("free");
    let look = || stored(stage.dir.path(), stage.key.public(), at(130)).expect("readable");
    let found = look().expect("a state");
    assert_eq!(found.state.revision(), rev(3));
    assert!(
        found.age.is_none(),
        "the heartbeat is of a revision that is not there"
    );
    assert_eq!(std::fs::read(&journal).expect("there"), torn, "it is not cut");
    let stranger = FeedKey::generate();
    let found = stored(stage.dir.path(), stranger.public(), at(130)).expect("readable");
    assert!(found.is_none(), "another control plane's signature");
}

#[tokio::test]
async fn without_a_believable_contact_the_age_is_not_known() {
    let stage = Stage::new();
    stage.write(4).await;
    let contact = std::fs::read(stage.path("replica.contact")).expect("written");
    assert!(
        stage.restore_at(99).expect("a state").age.is_none(),
        "from the future"
    );
    for at in 0..contact.len() {
        let mut flipped = contact.clone();
        flipped[at] ^= 0x20;
        std::fs::write(stage.path("replica.contact"), &flipped).expect("written");
        assert!(stage.restore_at(130).expect("a state").age.is_none(), "byte {at}");
    }
    std::fs::write(stage.path("replica.contact"), b"").expect("written");
    assert!(stage.restore_at(130).expect("a state").age.is_none());
    std::fs::remove_file(stage.path("replica.contact")).expect("there");
    assert!(stage.restore_at(130).expect("a state").age.is_none());
    // A heartbeat that knows of a change that is not on disk says nothing about what is.
    stage.commit();
    std::fs::write(stage.path("replica.contact"), stage.contact().to_bytes()).expect("written");
    assert!(stage.restore_at(130).expect("a state").age.is_none());
}

#[tokio::test]
async fn a_contact_from_before_the_last_changes_still_tells_how_old_the_state_can_be() {
    let stage = Stage::new();
    let early = stage.contact();
    stage.write(4).await;
    // As after a crash between a change and the next heartbeat. The control plane itself was a second behind its database.
    std::fs::write(stage.path("replica.contact"), early.to_bytes()).expect("written");
    let restored = stage.restore_at(130).expect("a state");
    assert_eq!(
        (restored.state.revision(), restored.age),
        (rev(4), Some(Duration::from_secs(31)))
    );
}

#[tokio::test]
async fn clocks_that_differ_do_not_make_a_state_younger() {
    let stage = Stage::new();
    stage.write(4).await;
    // Of this heartbeat the control plane says 100, and the clock here showed something else.
    for (heard_at, now, age) in [
        (40, 70, 31),
        (40, 40, 1),
        (40, 39, 0),
        (500, 530, 431),
        (500, 499, 0),
    ] {
        let heard = contact(stage.heartbeat(100), heard_at);
        std::fs::write(stage.path("replica.contact"), heard.to_bytes()).expect("written");
        let restored = stage.restore_at(now).expect("a state");
        let expected = (age > 0).then_some(Duration::from_secs(age));
        assert_eq!(restored.age, expected, "heard at {heard_at}, now {now}");
    }
}

#[tokio::test]
async fn a_clock_that_was_set_back_is_no_measure_until_the_next_heartbeat() {
    let stage = Stage::new();
    stage.write(4).await;
    let writer = stage.writer();
    writer.doubt();
    writer.close().await;
    let restored = stage.restore_at(100).expect("a state");
    assert_eq!((restored.state.revision(), restored.age), (rev(4), None));
    let writer = stage.writer();
    writer.contact(stage.contact());
    writer.close().await;
    assert!(stage.restore_at(100).expect("a state").age.is_some());
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = Stage::new();
    // One was there with another mode.
    std::fs::write(stage.path("replica.journal"), b"").expect("written");
    stage.write(4).await;
    for name in ["lock", "snapshot", "journal", "contact"] {
        let path = stage.path(&format!("replica.{name}"));
        let mode = std::fs::metadata(path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_contact_with_another_digest_makes_the_state_worthless() {
    let stage = Stage::new();
    stage.write(4).await;
    let heartbeat = Heartbeat {
        head: rev(4),
        digest: Digest::EMPTY,
        sent_at: at(100),
        age: Duration::ZERO,
        nonce: [0; 16],
        sequence: 1,
        since: Duration::ZERO,
    };
    let signed = heartbeat.seal(stage.key.signer());
    std::fs::write(stage.path("replica.contact"), contact(signed, 100).to_bytes()).expect("written");
    assert!(stage.restore_at(130).is_none());
}

#[tokio::test]
async fn a_journal_torn_anywhere_is_cut_to_its_last_whole_record() {
    let stage = Stage::new();
    stage.write(4).await;
    let journal = std::fs::read(stage.path("replica.journal")).expect("written");
    let ends: Vec<usize> = stage
        .restore_at(130)
        .expect("a state")
        .records
        .iter()
        .map(|(_, end)| usize::try_from(*end).expect("small"))
        .collect();
    assert_eq!((ends.len(), ends.last()), (3, Some(&journal.len())));
    for cut in 0..journal.len() {
        std::fs::write(stage.path("replica.journal"), &journal[..cut]).expect("written");
        let restored = stage.restore_at(130).expect("a state");
        let whole = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(restored.state.revision(), rev(1 + whole as u64), "cut at {cut}");
        assert_eq!(restored.age, None, "the contact knows of more");
        let left = std::fs::metadata(stage.path("replica.journal"))
            .expect("there")
            .len();
        assert_eq!(left, restored.records.last().map_or(0, |(_, end)| *end));
    }
}

#[tokio::test]
async fn a_flipped_byte_in_the_journal_ends_it_there() {
    let stage = Stage::new();
    stage.write(4).await;
    let journal = std::fs::read(stage.path("replica.journal")).expect("written");
    let digests = [stage.restore_at(130).expect("a state").state.digest()];
    for at in 0..journal.len() {
        let mut flipped = journal.clone();
        flipped[at] ^= 0x01;
        std::fs::write(stage.path("replica.journal"), &flipped).expect("written");
        let restored = stage.restore_at(130).expect("a state");
        assert!(restored.state.revision() < rev(4), "byte {at} was not noticed");
        assert!(!digests.contains(&restored.state.digest()));
        assert_eq!(restored.age, None);
    }
}

#[tokio::test]
async fn a_flipped_byte_in_the_snapshot_makes_it_worthless() {
    let stage = Stage::new();
    stage.write(2).await;
    let snapshot = std::fs::read(stage.path("replica.snapshot")).expect("written");
    for at in (0..snapshot.len()).step_by(3) {
        let mut flipped = snapshot.clone();
        flipped[at] ^= 0x80;
        std::fs::write(stage.path("replica.snapshot"), &flipped).expect("written");
        assert!(stage.restore_at(130).is_none(), "byte {at} was not noticed");
    }
    for cut in (0..snapshot.len()).step_by(11) {
        std::fs::write(stage.path("replica.snapshot"), &snapshot[..cut]).expect("written");
        assert!(stage.restore_at(130).is_none(), "cut at {cut}");
    }
}

#[tokio::test]
async fn a_journal_of_another_epoch_is_never_applied() {
    let stage = Stage::new();
    stage.write(1).await;
    let other = Replica::new();
    other.install(
        ReplicaState::from_snapshot(Revision { epoch: 2, number: 1 }, every_kind_of_fact())
            .expect("good facts"),
    );
    let to = Revision { epoch: 2, number: 2 };
    let frame = other
        .advance(to, vec![Change::Put(tuple("x", "y"))])
        .expect("applies");
    let record = journal::record(&frame.seal(stage.key.signer()));
    std::fs::write(stage.path("replica.journal"), record).expect("written");
    let restored = stage.restore_at(130).expect("a state");
    assert_eq!(restored.state.revision(), rev(1));
    assert!(restored.records.is_empty());
    assert_eq!(
        std::fs::metadata(stage.path("replica.journal"))
            .expect("there")
            .len(),
        0
    );
}

#[tokio::test]
async fn nothing_of_another_control_plane_is_read() {
    let stage = Stage::new();
    stage.write(3).await;
    let dir = StateDir::open(stage.dir.path()).expect("free");
    let stranger = FeedKey::generate();
    assert!(
        restore(&dir, stranger.public(), at(130))
            .expect("readable")
            .is_none()
    );
    // A good snapshot with a stranger's frame behind it.
    let (_, frame) = stage.commit();
    let journal = std::fs::read(stage.path("replica.journal")).expect("written");
    let forged = [journal, journal::record(&frame.seal(stranger.signer()))].concat();
    std::fs::write(stage.path("replica.journal"), forged).expect("written");
    drop(dir);
    assert_eq!(revision(stage.restore_at(130).as_ref()), Some(3));
}

#[tokio::test]
async fn the_writer_goes_on_where_a_restart_found_the_journal() {
    let stage = Stage::new();
    stage.write(3).await;
    // A torn record at the end is overwritten, not appended to.
    let mut journal = std::fs::read(stage.path("replica.journal")).expect("written");
    journal.extend_from_slice(&[0, 0, 1, 0, 7, 7]);
    std::fs::write(stage.path("replica.journal"), journal).expect("written");
    let writer = stage.writer();
    let (signed, frame) = stage.commit();
    writer.frame(signed, &frame);
    assert!(!writer.wants_snapshot());
    writer.close().await;
    assert_eq!(revision(stage.restore_at(130).as_ref()), Some(4));
}

#[tokio::test]
async fn a_newer_snapshot_keeps_the_journal_that_follows_it() {
    let stage = Stage::new();
    let writer = stage.writer();
    assert!(writer.wants_snapshot(), "there is nothing to append to");
    let (manifest, revision, body) = stage.snapshot();
    writer.snapshot(manifest, revision, body);
    assert!(!writer.wants_snapshot());
    let mut middle = None;
    for number in 2..=6 {
        let (signed, frame) = stage.commit();
        writer.frame(signed, &frame);
        if number == 4 {
            middle = Some(stage.snapshot());
        }
    }
    let (manifest, revision, body) = middle.expect("taken at 4");
    writer.snapshot(manifest, revision, body);
    let (signed, frame) = stage.commit();
    writer.frame(signed, &frame);
    writer.close().await;
    let restored = stage.restore_at(0).expect("a state");
    assert_eq!((restored.base, restored.state.revision()), (rev(4), rev(7)));
    assert_eq!(restored.records.len(), 3);
    assert_eq!(restored.state.digest(), stage.replica.load().digest());
}

#[tokio::test]
async fn a_snapshot_that_is_ahead_of_the_frames_swallows_them() {
    let stage = Stage::new();
    stage.write(2).await;
    let writer = stage.writer();
    let frames: Vec<_> = (0..3).map(|_| stage.commit()).collect();
    let (manifest, revision, body) = stage.snapshot();
    writer.snapshot(manifest, revision, body);
    for (signed, frame) in frames {
        writer.frame(signed, &frame);
    }
    let (signed, frame) = stage.commit();
    writer.frame(signed, &frame);
    writer.close().await;
    let restored = stage.restore_at(0).expect("a state");
    assert_eq!((restored.base, restored.state.revision()), (rev(5), rev(6)));
}

#[tokio::test]
async fn an_old_journal_beside_a_new_snapshot_is_no_harm() {
    let stage = Stage::new();
    stage.write(4).await;
    // The crash came after the snapshot was put in place and before the journal was.
    let (manifest, _, body) = stage.snapshot();
    let file = [journal::record(&manifest), body.to_vec()].concat();
    std::fs::write(stage.path("replica.snapshot"), file).expect("written");
    let restored = stage.restore_at(130).expect("a state");
    assert_eq!((restored.base, restored.state.revision()), (rev(4), rev(4)));
    assert!(restored.age.is_some());
}

#[tokio::test]
async fn a_hole_in_the_journal_asks_for_a_snapshot_and_is_not_written_over() {
    let stage = Stage::new();
    stage.write(2).await;
    let writer = stage.writer();
    stage.commit();
    for _ in 0..2 {
        let (signed, frame) = stage.commit();
        writer.frame(signed, &frame);
    }
    let wants = Arc::clone(&writer.wanted.snapshot);
    writer.close().await;
    assert!(wants.load(std::sync::atomic::Ordering::Relaxed));
    assert_eq!(revision(stage.restore_at(130).as_ref()), Some(2));
}

#[tokio::test]
async fn a_long_journal_asks_for_a_snapshot() {
    let stage = Stage::new();
    stage.write(1).await;
    let writer = stage.writer();
    let wants = Arc::clone(&writer.wanted.snapshot);
    for number in 1..6 {
        let frame = Frame {
            from: rev(number),
            to: rev(number + 1),
            changes: vec![],
            digest: Digest::EMPTY,
        };
        writer.frame(
            stage.key.seal(crate::signed::Kind::Frame, vec![0; 1 << 20]),
            &frame,
        );
    }
    writer.close().await;
    assert!(wants.load(std::sync::atomic::Ordering::Relaxed));
}

#[tokio::test]
async fn what_took_the_place_of_the_files_that_a_contact_spoke_of_wants_another_one() {
    let stage = Stage::new();
    stage.write(2).await;
    let writer = stage.writer();
    let wanted = Arc::clone(&writer.wanted.contact);
    assert!(writer.wants_contact(), "the process has written none");
    writer.contact(stage.contact());
    assert!(!writer.wants_contact());
    let (signed, frame) = stage.commit();
    writer.frame(signed, &frame);
    let (manifest, revision, body) = stage.snapshot();
    writer.snapshot(manifest, revision, body);
    writer.close().await;
    assert!(wanted.load(Ordering::Relaxed), "a snapshot");
    for takes_back in [Writer::doubt, Writer::distrust] {
        let writer = stage.writer();
        let wanted = Arc::clone(&writer.wanted.contact);
        writer.contact(stage.contact());
        assert!(!writer.wants_contact());
        takes_back(&writer);
        writer.close().await;
        assert!(wanted.load(Ordering::Relaxed));
    }
}

#[tokio::test]
async fn distrust_is_remembered_over_a_restart() {
    let stage = Stage::new();
    stage.write(3).await;
    let writer = stage.writer();
    writer.distrust();
    writer.close().await;
    assert!(stage.restore_at(130).expect("a state").age.is_none());
}

#[tokio::test]
async fn what_is_wrong_does_not_come_back_with_an_age_whatever_else_fails() {
    for is_doubt in [false, true] {
        let stage = Stage::new();
        stage.write(3).await;
        let writer = stage.writer();
        // Nothing can be appended to it.
        let (journal, aside) = (stage.path(JOURNAL), stage.path("aside"));
        std::fs::rename(&journal, &aside).expect("renamed");
        std::fs::create_dir(&journal).expect("a directory");
        let (signed, frame) = stage.commit();
        writer.frame(signed, &frame);
        if is_doubt {
            writer.doubt();
        } else {
            writer.distrust();
        }
        writer.close().await;
        std::fs::remove_dir(&journal).expect("empty");
        std::fs::rename(&aside, &journal).expect("renamed");
        let restored = stage.restore_at(130).expect("a state");
        assert_eq!((restored.state.revision(), restored.age), (rev(3), None));
    }
}

#[tokio::test]
async fn what_is_wrong_does_not_come_back_with_an_age_however_much_waits() {
    for is_doubt in [false, true] {
        let stage = Stage::new();
        stage.write(3).await;
        let writer = stage.writer();
        let contact = stage.contact();
        for _ in 0..5_000 {
            writer.contact(contact.clone());
        }
        if is_doubt {
            writer.doubt();
        } else {
            writer.distrust();
        }
        writer.close().await;
        assert!(!stage.path(CONTACT).exists());
        assert_eq!(stage.restore_at(130).expect("a state").age, None);
    }
}

#[test]
fn a_directory_belongs_to_one_process() {
    let dir = TempDir::new().expect("a directory");
    let first = StateDir::open(&dir.path().join("a/b")).expect("made");
    let error = StateDir::open(&dir.path().join("a/b")).expect_err("taken");
    assert!(error.to_string().contains("state_dir"), "{error}");
    drop(first);
    assert!(StateDir::open(&dir.path().join("a/b")).is_ok());
}

#[test]
fn a_manifest_does_not_vouch_for_another_body() {
    let stage = Stage::new();
    let (manifest, _, _) = stage.snapshot();
    let opened = SnapshotManifest::open(&manifest, stage.key.public()).expect("signed");
    stage.commit();
    let (_, _, body) = stage.snapshot();
    assert!(crate::snapshot::decode(&opened, &body).is_err());
}

/// One frame over several: what an edge that keeps a part gets.
fn merged(stage: &Stage, frames: &[(Signed, Frame)]) -> (Signed, Frame) {
    let (first, last) = (&frames[0].1, &frames[frames.len() - 1].1);
    let frame = Frame {
        from: first.from,
        to: last.to,
        changes: frames
            .iter()
            .flat_map(|(_, frame)| frame.changes.clone())
            .collect(),
        digest: last.digest,
    };
    (frame.seal(stage.key.signer()), frame)
}

#[tokio::test]
async fn a_snapshot_that_a_frame_leads_over_does_not_take_the_place_of_what_leads_on() {
    // Fetched before the frame came, and after it.
    for comes_late in [false, true] {
        let stage = Stage::new();
        let writer = stage.writer();
        let (manifest, revision, body) = stage.snapshot();
        writer.snapshot(manifest, revision, body);
        let second = stage.commit();
        let (manifest, revision, body) = stage.snapshot();
        assert_eq!(revision, rev(2));
        let (signed, frame) = merged(&stage, &[second, stage.commit()]);
        if comes_late {
            writer.frame(signed, &frame);
            writer.compaction(manifest, revision, body);
        } else {
            writer.compaction(manifest, revision, body);
            writer.frame(signed, &frame);
        }
        let (signed, frame) = stage.commit();
        writer.frame(signed, &frame);
        let wants_snapshot = Arc::clone(&writer.wanted.snapshot);
        writer.close().await;
        assert!(
            wants_snapshot.load(Ordering::Relaxed),
            "another one is to be fetched"
        );
        assert_eq!(stage.failed_compactions(), 1);
        let restored = stage.restore_at(200).expect("a state");
        assert_eq!((restored.base, restored.state.revision()), (rev(1), rev(4)));
    }
}

#[tokio::test]
async fn a_snapshot_that_a_frame_is_to_end_at_waits_for_it() {
    let stage = Stage::new();
    let writer = stage.writer();
    let (manifest, revision, body) = stage.snapshot();
    writer.snapshot(manifest, revision, body);
    let (signed, frame) = merged(&stage, &[stage.commit(), stage.commit()]);
    let (manifest, revision, body) = stage.snapshot();
    writer.compaction(manifest, revision, body);
    writer.frame(signed, &frame);
    let (signed, frame) = stage.commit();
    writer.frame(signed, &frame);
    writer.close().await;
    assert_eq!(stage.failed_compactions(), 0);
    let restored = stage.restore_at(200).expect("a state");
    assert_eq!((restored.base, restored.state.revision()), (rev(3), rev(4)));
}

#[tokio::test]
async fn a_journal_that_cannot_be_made_short_is_counted_once_each_time() {
    let stage = Stage::new();
    stage.write(3).await;
    // Nothing can take the place of the snapshot.
    let (snapshot, aside) = (stage.path(SNAPSHOT), stage.path("aside"));
    let (manifest, revision, body) = stage.snapshot();
    let writer = stage.writer();
    std::fs::rename(&snapshot, &aside).expect("renamed");
    std::fs::create_dir(&snapshot).expect("a directory");
    std::fs::write(snapshot.join("full"), "").expect("written");
    writer.compaction(manifest, revision, body);
    writer.close().await;
    assert_eq!(stage.failed_compactions(), 1, "it cannot be written");
    std::fs::remove_dir_all(&snapshot).expect("removed");
    std::fs::rename(&aside, &snapshot).expect("renamed");
    // One that waits for a frame, and a hole comes.
    let writer = stage.writer();
    for _ in 0..2 {
        stage.commit();
    }
    let (manifest, revision, body) = stage.snapshot();
    writer.compaction(manifest, revision, body);
    let (signed, frame) = stage.commit();
    writer.frame(signed, &frame);
    writer.close().await;
    assert_eq!(stage.failed_compactions(), 2, "it waits in vain");
}

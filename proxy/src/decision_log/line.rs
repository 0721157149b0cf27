//! The line of a decision, written by hand: there is one for every request, and what it costs is part of what a request
//! costs. It is the line that the general formatter makes of the same fields, byte for byte.

use std::cell::RefCell;
use std::sync::OnceLock;
use std::time::Duration;

use sentinel_core::Timestamp;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::{Record, TARGET, TOLD, mode, reason, word};
use crate::log_writer::LogWriter;

/// Room for most lines.
const USUAL: usize = 640;

/// Where lines of JSON go; nowhere yet while the process has no log of that form. Like the log itself there is one in a
/// process.
static LINES: OnceLock<LogWriter> = OnceLock::new();

/// From now on decisions are written to `log` by hand. The first one counts.
pub(crate) fn write_to(log: LogWriter) {
    // A second log in one process gets its lines from the general formatter.
    let _ = LINES.set(log);
}

/// Writes the line of a decision. Whether there is a log for it.
pub(super) fn write(record: &Record<'_>) -> bool {
    let Some(log) = LINES.get() else { return false };
    log.send(of(record));
    true
}

/// The line, with its end. Each name stands with what is around it, so that it is copied as one.
fn of(record: &Record<'_>) -> Vec<u8> {
    let mut line = Line(Vec::with_capacity(USUAL));
    line.time(record.at);
    line.word(r#","level":"INFO","message":"#, TOLD);
    if let Some(route) = record.route {
        line.text(r#","route":"#, route);
    }
    line.word(r#","request.id":"#, record.request.as_str());
    line.word(r#","decision":"#, word(record.outcome));
    line.word(r#","decision.reason":"#, reason(record.outcome));
    line.word(r#","mode":"#, mode(record.is_shadow));
    let user = record.principal.and_then(|principal| principal.user());
    if let Some(user) = user {
        line.id(r#","user.id":""#, user.id.as_uuid());
        line.id(r#","workspace.id":""#, user.workspace.as_uuid());
    }
    if let Some(external) = record.principal.and_then(|principal| principal.external_user()) {
        line.text(r#","issuer":"#, &external.issuer);
    }
    if let Some(service) = record.principal.and_then(|principal| principal.service()) {
        line.text(r#","service":"#, service.name.as_str());
    }
    if let Some(by) = record.decided_by {
        line.word(r#","decided_by":"#, by.as_str());
    }
    if let Some(revision) = record.revision {
        line.push(r#","revision":""#);
        line.number(revision.epoch);
        line.push(".");
        line.number(revision.number);
        line.push("\"");
    }
    if let Some(age) = record.replica_age {
        line.milliseconds(r#","replica.age_ms":"#, age);
    }
    line.milliseconds(r#","duration_ms":"#, record.duration);
    line.word(r#","target":"#, TARGET);
    line.push("}\n");
    line.0
}

/// An object of JSON that is being written.
struct Line(Vec<u8>);

impl Line {
    /// Begins the object. Everything but the fraction of the second is the same for many lines.
    fn time(&mut self, now: Timestamp) {
        thread_local! {
            static SECOND: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
        }
        self.push(r#"{"timestamp":""#);
        SECOND.with_borrow_mut(|(second, text)| {
            if *second != now.timestamp() || text.is_empty() {
                *second = now.timestamp();
                *text = now.format("%Y-%m-%dT%H:%M:%S").to_string();
            }
            self.0.extend_from_slice(text.as_bytes());
        });
        self.push(".");
        self.digits(u64::from(now.timestamp_subsec_micros()), 6);
        self.push("Z\"");
    }

    fn push(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A text of ours, which needs no escaping.
    fn word(&mut self, name: &str, word: &str) {
        self.push(name);
        self.push("\"");
        self.push(word);
        self.push("\"");
    }

    fn text(&mut self, name: &str, text: &str) {
        // To the end in every case: without a way out many bytes are looked at at once.
        if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
            return self.word(name, text);
        }
        self.push(name);
        // A text is always JSON.
        let escaped = serde_json::to_vec(text).unwrap_or_else(|_| b"null".to_vec());
        self.0.extend_from_slice(&escaped);
    }

    fn id(&mut self, name: &str, id: Uuid) {
        self.push(name);
        let mut text = [0; Hyphenated::LENGTH];
        self.push(id.hyphenated().encode_lower(&mut text));
        self.push("\"");
    }

    fn number(&mut self, number: u64) {
        self.digits(number, 1);
    }

    /// A number in at least so many digits, with zeros before it.
    fn digits(&mut self, mut number: u64, least: usize) {
        let mut text = [b'0'; 20];
        let mut used = 0;
        for place in text.iter_mut().rev() {
            if number == 0 && used >= least {
                break;
            }
            // INVARIANT: below ten.
            *place = b'0'.saturating_add(u8::try_from(number % 10).unwrap_or_default());
            number /= 10;
            used += 1;
        }
        self.0
            .extend_from_slice(text.get(text.len() - used..).unwrap_or_default());
    }

    /// Whole milliseconds and up to three digits more, at least one.
    fn milliseconds(&mut self, name: &str, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let (whole, rest) = (micros / 1000, micros % 1000);
        let (digits, width) = match rest {
            rest if rest % 100 == 0 => (rest / 100, 1),
            rest if rest % 10 == 0 => (rest / 10, 2),
            rest => (rest, 3),
        };
        self.push(name);
        self.number(whole);
        self.push(".");
        self.digits(digits, width);
    }
}

/// Whether a byte of a text stands for itself in JSON (RFC 8259 §7).
fn is_plain(byte: u8) -> bool {
    byte >= b' ' && byte != b'"' && byte != b'\\'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decision_log::tests::{formatted, principal};
    use crate::decision_log::{DecidedBy, Outcome, Passage};
    use crate::request_id::RequestId;
    use sentinel_core::{Clock as _, Denial, Revision, SystemClock};

    /// The two lines without their times.
    fn both(record: &Record<'_>) -> (String, String) {
        let by_hand = String::from_utf8(of(record)).expect("text");
        let general = formatted(record);
        let (shape, rest) = (
            |line: &str| line.split_at(44).1.to_owned(),
            by_hand.split_at(44).0,
        );
        assert!(
            rest.starts_with("{\"timestamp\":\"2") && rest.ends_with("Z\",\""),
            "{rest}"
        );
        (shape(&by_hand), shape(&general))
    }

    proptest! {
        #[test]
        fn a_line_is_that_of_the_general_formatter(
            route in proptest::option::of("[ -~\u{0}-\u{1f}ö☃]{0,30}"),
            outcome in 0..5_usize,
            is_shadow: bool,
            who in 0..6_usize,
            by in 0..3_usize,
            revision in proptest::option::of((any::<u64>(), any::<u64>())),
            age in proptest::option::of(0..10_000_000_000_000_u64),
            took in 0..100_000_000_u64,
        ) {
            let outcomes: [Outcome; 5] = [
                Ok(Passage::Permitted),
                Ok(Passage::Login),
                Err(Denial::PermissionDenied),
                Err(Denial::ReplicaStale),
                Err(Denial::NoRoute),
            ];
            let principal = principal(who);
            let record = Record {
                at: SystemClock.now(),
                request: &RequestId::fixed("r1"),
                route: route.as_deref(),
                outcome: outcomes[outcome],
                is_shadow,
                principal: principal.as_ref(),
                decided_by: [None, Some(DecidedBy::Replica), Some(DecidedBy::ControlPlane)][by],
                revision: revision.map(|(epoch, number)| Revision { epoch, number }),
                replica_age: age.map(Duration::from_micros),
                duration: Duration::from_micros(took),
            };
            let (by_hand, general) = both(&record);
            prop_assert_eq!(by_hand, general);
        }
    }

    #[test]
    fn times_are_as_the_general_formatter_writes_them() {
        let at = |seconds, micros: u32| {
            let now = Timestamp::from_timestamp(seconds, micros * 1000).expect("in range");
            let mut line = Line(Vec::new());
            line.time(now);
            String::from_utf8(line.0).expect("text")
        };
        assert_eq!(at(0, 0), "{\"timestamp\":\"1970-01-01T00:00:00.000000Z\"");
        assert_eq!(
            at(1_763_797_000, 42),
            "{\"timestamp\":\"2025-11-22T07:36:40.000042Z\""
        );
        assert_eq!(
            at(1_763_797_000, 999_999),
            "{\"timestamp\":\"2025-11-22T07:36:40.999999Z\""
        );
    }
}

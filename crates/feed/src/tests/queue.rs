//! Edges that do not read. The control plane keeps a short queue for each and nothing more.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::Change;
use sentinel_token::PlainEdgeKey;
use tokio_stream::StreamExt as _;
use tonic::Request;
use tonic::transport::Endpoint;

use crate::frame::{Frame, Heartbeat};
use crate::interest::{Extent, Interest};
use crate::proto::feed_client::FeedClient;
use crate::proto::feed_server::Feed as _;
use crate::proto::{CheckRequest, SubscribeRequest, message};
use crate::question::{Asked, Question};
use crate::server::{FeedSource, Service};
use crate::signed::Signed;
use crate::testing::{ControlPlane, rev, tuple};

fn subscribe(key: &PlainEdgeKey) -> Request<SubscribeRequest> {
    let mut request = Request::new(SubscribeRequest {
        epoch: 1,
        revision: 1,
        nonce: vec![0; 16].into(),
        assertion_key: Vec::new().into(),
        ..SubscribeRequest::default()
    });
    let bearer = format!("Bearer {}", key.secret().expose());
    request
        .metadata_mut()
        .insert("authorization", bearer.parse().expect("a header value"));
    request
}

fn commit_many(plane: &ControlPlane, count: usize) {
    for n in 0..count {
        let changes = (0..20).map(|user| Change::Put(tuple(&n.to_string(), &format!("user-{user}"))));
        plane.commit(changes.collect());
    }
}

#[tokio::test]
async fn who_reads_late_gets_everything_in_order_although_little_was_queued() {
    let plane = ControlPlane::new([]);
    let address = plane.serve().await;
    let channel = Endpoint::from_shared(format!("http://{address}")).expect("a URL");
    let mut client = FeedClient::new(channel.connect().await.expect("connected"));
    let mut stream = client
        .subscribe(subscribe(&plane.enrol()))
        .await
        .expect("served")
        .into_inner();
    // Far more than broadcast channel, queue and flow control hold.
    commit_many(&plane, 1_000);
    let mut at = rev(1);
    while at < plane.state().revision() {
        let message = stream
            .message()
            .await
            .expect("no error")
            .expect("not ended")
            .message;
        if let Some(message::Message::Frame(signed)) = message {
            let frame = Frame::open(&Signed::from_proto(signed), plane.key.public()).expect("signed");
            assert_eq!(frame.from, at);
            at = frame.to;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_at_all_is_cut_off() {
    let plane = ControlPlane::new([]);
    let service = Service::new(Arc::clone(&plane) as Arc<dyn FeedSource>);
    let request = subscribe(&plane.enrol());
    let stream = service.subscribe(request).await.expect("served").into_inner();
    commit_many(&plane, 50);
    tokio::time::sleep(Duration::from_mins(1)).await;
    let got: Vec<_> = stream.collect().await;
    assert!(
        got.len() < 20,
        "{} messages were kept for an edge that does not read",
        got.len()
    );
    assert!(got.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn who_reads_slowly_does_not_keep_what_was_taken_from_it() {
    let plane = ControlPlane::new([]);
    let service = Service::new(Arc::clone(&plane) as Arc<dyn FeedSource>);
    let key = plane.enrol();
    commit_many(&plane, 400);
    let mut stream = service
        .subscribe(subscribe(&key))
        .await
        .expect("served")
        .into_inner();
    let asked = Asked {
        questions: vec![Question::Role {
            workspace: uuid::Uuid::from_u128(1).into(),
            user: uuid::Uuid::from_u128(2).into(),
            least: sentinel_core::WorkspaceRole::Viewer,
        }],
        at_least: rev(1),
        nonce: [0; 16],
        budget: Duration::from_secs(1),
    };
    let check = async || {
        let bearer = format!("Bearer {}", key.secret().expose());
        let mut request = Request::new(CheckRequest {
            asked: asked.to_bytes().into(),
        });
        let value = bearer.parse().expect("a header value");
        request.metadata_mut().insert("authorization", value);
        service
            .check(request)
            .await
            .map(drop)
            .map_err(|status| status.code())
    };
    for _ in 0..3 {
        stream.next().await.expect("not ended").expect("a frame");
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(check().await, Ok(()));
    }
    plane.revoke(&key);
    stream.next().await.expect("not ended").expect("a frame");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(check().await, Err(tonic::Code::Unauthenticated));
    let mut rest: Vec<_> = stream.collect().await;
    let last = rest.pop().expect("why it ended");
    assert_eq!(
        last.err().map(|status| status.code()),
        Some(tonic::Code::Unauthenticated)
    );
    assert!(rest.len() < 20, "{} more frames", rest.len());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_log_in_the_database_is_told_to_start_afresh() {
    let plane = ControlPlane::new([]);
    plane
        .archive_reaches_back
        .store(true, std::sync::atomic::Ordering::SeqCst);
    commit_many(&plane, 5);
    plane.restart();
    plane.hold_archive(rev(1));
    let service = Service::new(Arc::clone(&plane) as Arc<dyn FeedSource>);
    let request = subscribe(&plane.enrol());
    let mut stream = service.subscribe(request).await.expect("served").into_inner();
    let first = tokio::time::timeout(Duration::from_secs(2), stream.next()).await;
    let first = first
        .expect("while the edge waits")
        .expect("not ended")
        .expect("no error");
    assert!(matches!(first.message, Some(message::Message::Reset(_))));
}

#[tokio::test(start_paused = true)]
async fn heartbeats_come_four_times_a_second_and_never_before_the_frames_they_speak_of() {
    let plane = ControlPlane::new([]);
    let service = Service::new(Arc::clone(&plane) as Arc<dyn FeedSource>);
    let request = subscribe(&plane.enrol());
    let mut stream = service.subscribe(request).await.expect("served").into_inner();
    let begin = tokio::time::Instant::now();
    let (mut at, mut beats, mut sequence) = (rev(1), 0, 0);
    while beats < 20 {
        let message = stream.next().await.expect("not ended").expect("no error").message;
        match message.expect("a message") {
            message::Message::Frame(signed) => {
                at = Frame::open(&Signed::from_proto(signed), plane.key.public())
                    .expect("signed")
                    .to;
            }
            message::Message::Heartbeat(signed) => {
                let signed = Signed::from_proto(signed);
                let beat = crate::frame::Heartbeat::open(&signed, plane.key.public()).expect("signed");
                assert!(beat.head <= at && beat.sequence > sequence);
                (beats, sequence) = (beats + 1, beat.sequence);
                plane.add("a", &beats.to_string());
            }
            message::Message::Reset(_) => panic!("nothing to reset"),
        }
    }
    assert!(begin.elapsed() <= Duration::from_secs(6));
}

#[tokio::test(start_paused = true)]
async fn who_keeps_a_part_hears_of_itself_while_the_books_are_made() {
    let plane = ControlPlane::new([]);
    let source = Arc::clone(&plane) as Arc<dyn FeedSource>;
    let service = Service::new(Arc::clone(&source));
    let interest = Interest::new(Extent::Of(["docs".parse().expect("a name")].into()), Extent::All);
    let mut request = subscribe(&plane.enrol());
    request.get_mut().interest = interest.to_proto();
    let mut stream = service.subscribe(request).await.expect("served").into_inner();
    let mut beat = async || {
        let next = tokio::time::timeout(Duration::from_secs(2), stream.next()).await;
        let message = next.expect("a word").expect("not ended").expect("no error");
        match message.message {
            Some(message::Message::Heartbeat(signed)) => {
                let signed = Signed::from_proto(signed);
                Heartbeat::open_for(&signed, plane.key.public(), interest.fingerprint()).expect("signed")
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((beat().await.head, beat().await.age), (rev(1), Duration::ZERO));
    let books = source.replica().books();
    let making = books.turn().expect("nobody makes them");
    books.close();
    let mut age = Duration::ZERO;
    for _ in 0..8 {
        let older = beat().await;
        assert!(older.head == rev(1) && older.age > age, "{older:?}");
        age = older.age;
    }
    drop(making);
    while beat().await.age > Duration::ZERO {}
}

#[tokio::test]
async fn calls_without_an_edge_key_or_a_nonce_are_refused() {
    let plane = ControlPlane::new([]);
    let service = Service::new(Arc::clone(&plane) as Arc<dyn FeedSource>);
    let key = plane.enrol();
    let bare = Request::new(SubscribeRequest::default());
    assert_eq!(
        service.subscribe(bare).await.err().map(|s| s.code()),
        Some(tonic::Code::Unauthenticated)
    );
    for bearer in ["", "Bearer", "Bearer sk_x", "Basic eDp5", &key.secret().expose()] {
        let mut request = Request::new(crate::proto::SnapshotRequest::default());
        request
            .metadata_mut()
            .insert("authorization", bearer.parse().expect("a header value"));
        assert_eq!(
            service.snapshot(request).await.err().map(|s| s.code()),
            Some(tonic::Code::Unauthenticated)
        );
    }
    let mut request = subscribe(&key);
    request.get_mut().nonce = vec![0; 3].into();
    assert_eq!(
        service.subscribe(request).await.err().map(|s| s.code()),
        Some(tonic::Code::InvalidArgument)
    );
}

#[test]
fn the_service_can_be_mounted_by_a_router() {
    fn mountable<S>(_: &S)
    where
        S: tonic::codegen::Service<
                tonic::codegen::http::Request<tonic::body::Body>,
                Error = std::convert::Infallible,
            > + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
    {
    }
    let plane = ControlPlane::new([]);
    mountable(&crate::server::service(plane));
    assert!(crate::server::PATH.starts_with(&format!("/{}/", crate::proto::feed_server::SERVICE_NAME)));
}

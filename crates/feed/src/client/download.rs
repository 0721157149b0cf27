//! Fetching a snapshot: the manifest first, then exactly the bytes that it promises.

use std::time::Duration;

use bytes::Bytes;
use sentinel_token::FeedVerifyKey;
use sentinel_token::hash::Sha256;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Request, Streaming};

use super::error::FollowError;
use crate::frame::{MessageError, SnapshotManifest};
use crate::interest::Interest;
use crate::proto::feed_client::FeedClient;
use crate::proto::snapshot_part::Part;
use crate::proto::{SnapshotPart, SnapshotRequest};
use crate::signed::Signed;

/// How long the next piece may take; before the first one the control plane writes the whole.
const PATIENCE: Duration = Duration::from_secs(10);

/// Memory is taken for at most this much before it has arrived.
const RESERVE: usize = 64 << 20;

/// A snapshot whose bytes are the ones that were signed.
pub(super) struct Downloaded {
    pub(super) manifest: SnapshotManifest,
    pub(super) signed: Signed,
    pub(super) body: Bytes,
}

pub(super) async fn download(
    mut client: FeedClient<Channel>,
    request: Request<SnapshotRequest>,
    key: &FeedVerifyKey,
    interest: &Interest,
) -> Result<Downloaded, FollowError> {
    let answered = timeout(PATIENCE, client.snapshot(request)).await;
    let mut parts = answered.map_err(|_| FollowError::Silent(PATIENCE))??.into_inner();
    let Some(Part::Manifest(signed)) = next(&mut parts).await? else {
        return Err(FollowError::Protocol("a snapshot must begin with its manifest"));
    };
    let signed = Signed::from_proto(signed);
    let manifest = SnapshotManifest::open(&signed, key)?;
    if manifest.interest != *interest {
        return Err(MessageError::OtherInterest.into());
    }
    let expected = usize::try_from(manifest.body_bytes)
        .map_err(|_| FollowError::Protocol("a snapshot must fit into memory"))?;

    let mut body = Vec::with_capacity(expected.min(RESERVE));
    let mut hash = Sha256::new();
    while let Some(part) = next(&mut parts).await? {
        let Part::Body(piece) = part else {
            return Err(FollowError::Protocol("a snapshot must have one manifest"));
        };
        if piece.len() > expected - body.len() {
            return Err(FollowError::Protocol(
                "a snapshot must not be longer than its manifest says",
            ));
        }
        hash.update(&piece);
        body.extend_from_slice(&piece);
    }
    if body.len() != expected || hash.finish() != manifest.body_sha256 {
        return Err(FollowError::Snapshot("it is not the one that was signed".into()));
    }
    Ok(Downloaded {
        manifest,
        signed,
        body: body.into(),
    })
}

async fn next(parts: &mut Streaming<SnapshotPart>) -> Result<Option<Part>, FollowError> {
    let part = timeout(PATIENCE, parts.message())
        .await
        .map_err(|_| FollowError::Silent(PATIENCE))??;
    match part {
        None => Ok(None),
        Some(SnapshotPart { part: Some(part) }) => Ok(Some(part)),
        Some(SnapshotPart { part: None }) => {
            Err(FollowError::Protocol("a part of a snapshot must not be empty"))
        }
    }
}

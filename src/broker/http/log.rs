//! The log, for people (events in words, newest first) and for whoever does not take our word: checkpoint, tiles,
//! raw leaves and proofs.

use super::{
    App,
    extract::{Params, Reader},
    list::{self, answer, raw},
    problem::{self, ApiError},
};
use crate::{
    broker::views::event::event_record,
    event_log::{
        export::{consistency_line, entries_chunk, inclusion_line},
        log::ReadError,
        tiles::TilePath,
    },
    wire::{EventRecord, Page, header as names},
};
use axum::{
    body::{Body, Bytes},
    extract::{Path, State as Shared},
    http::{HeaderName, HeaderValue, header},
    response::Response,
};
use futures_util::StreamExt as _;
use serde::Deserialize;

/// How many events are looked through for one page with a filter.
const LOOKED_THROUGH: u64 = 50_000;
/// How many are read at once.
const CHUNK: u64 = 1_024;

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::OutsideLog { .. } => Self::new(&problem::NOT_FOUND, error.to_string()),
            ReadError::Reversed { .. } => Self::new(&problem::MALFORMED, error.to_string()),
            ReadError::Store(source) => Self::new(
                &problem::UNAVAILABLE,
                format!("the log cannot be read: {source}"),
            )
            .retry_after(5),
            ReadError::TileMissing { .. } | ReadError::LeafMissing { .. } => Self::internal(&error),
        }
    }
}

/// What part of the events is wanted.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventParams {
    /// Events that match.
    #[param(example = "type:request", max_length = 1000)]
    pub filter: Option<String>,
    /// Events of a page, 1 to 1,000; 100 if left out.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// Events, newest first. With a filter a page may be short of `limit` although there are more (`next` says so): at
/// most 50,000 events are looked through at once; `total` then counts what this page found.
#[utoipa::path(get, path = "/v1/log/events", tag = "log", params(EventParams),
    responses((status = 200, body = Page<EventRecord>)))]
pub async fn events(
    Shared(app): Shared<App>,
    reader: Reader,
    Params(params): Params<EventParams>,
) -> Result<Response, ApiError> {
    reader.reads_all()?;
    let filter = list::filter::<EventRecord>(params.filter.as_deref())?;
    let limit = list::limit(params.limit)?;
    let sequence = reader.state.sequence;
    // The cursor is the sequence of the last event that was looked at; the next page is about those before it.
    let mut before = match params.cursor.as_deref() {
        Some(text) => text.parse().map_err(|_| {
            ApiError::new(
                &problem::MALFORMED,
                "in the query: cursor: expected `next` of an earlier page",
            )
        })?,
        None => sequence + 1,
    }
    .min(sequence + 1);
    let floor = before.saturating_sub(LOOKED_THROUGH).max(1);
    let mut items = Vec::new();
    while before > floor && items.len() < limit {
        let wanted = if filter.is_all() {
            (limit - items.len()) as u64
        } else {
            CHUNK
        };
        let first = before.saturating_sub(wanted.min(CHUNK)).max(floor);
        let chunk = app.engine().events(first, (before - first) as u32).await?;
        if chunk.is_empty() {
            break;
        }
        for recorded in chunk.iter().rev() {
            before = recorded.sequence();
            let record = event_record(&reader.state, recorded);
            if filter.is_all() || filter.matches(&record, reader.now) {
                items.push(record);
                if items.len() == limit {
                    break;
                }
            }
        }
    }
    let total = if filter.is_all() {
        sequence
    } else {
        items.len() as u64
    };
    let page = Page {
        items,
        next: (before > 1).then(|| before.to_string()),
        total,
        sequence,
    };
    Ok(answer(sequence, &page))
}

/// The latest signed checkpoint.
#[utoipa::path(get, path = "/v1/log/checkpoint", tag = "log",
    responses((status = 200, body = String, content_type = "text/plain", description = "C2SP tlog-checkpoint")))]
pub async fn checkpoint(Shared(app): Shared<App>, reader: Reader) -> Result<Response, ApiError> {
    reader.reads_all()?;
    let checkpoint = app.engine().log().checkpoint();
    Ok(raw(
        checkpoint.head.size,
        "text/plain; charset=utf-8",
        checkpoint.note.clone(),
    ))
}

/// The latest signed checkpoint, where C2SP tlog-tiles has it.
#[utoipa::path(get, path = "/log/checkpoint", tag = "log",
    responses((status = 200, body = String, content_type = "text/plain", description = "C2SP tlog-checkpoint")))]
pub async fn tiles_checkpoint(app: Shared<App>, reader: Reader) -> Result<Response, ApiError> {
    checkpoint(app, reader).await
}

/// A tile: hashes, or a bundle of entries (C2SP tlog-tiles).
pub async fn tile(
    Shared(app): Shared<App>,
    reader: Reader,
    Path(path): Path<String>,
) -> Result<Response, ApiError> {
    reader.reads_all()?;
    let path: TilePath = path.parse().map_err(|_| {
        ApiError::new(
            &problem::MALFORMED,
            "expected a tile as C2SP tlog-tiles spells it: LEVEL/N or entries/N, with .p/WIDTH for a partial one",
        )
    })?;
    let found = app.engine().log().tile(path).await?;
    let bytes = found
        .ok_or_else(|| ApiError::new(&problem::NOT_FOUND, "the log has not so many leaves yet"))?;
    let mut response = raw(
        app.engine().log().head().size,
        "application/octet-stream",
        bytes,
    );
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, max-age=31536000, immutable"),
    );
    Ok(response)
}

/// Which leaf.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReceiptParams {
    /// Index of the leaf, from 0.
    pub index: u64,
}

/// A leaf's receipt that stands by itself (C2SP tlog-proof), with the latest checkpoint in it.
#[utoipa::path(get, path = "/log/proof", tag = "log", params(ReceiptParams),
    responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn receipt(
    Shared(app): Shared<App>,
    reader: Reader,
    Params(params): Params<ReceiptParams>,
) -> Result<Response, ApiError> {
    reader.reads_all()?;
    let note = app.engine().log().proof_note(params.index).await?;
    Ok(raw(
        app.engine().log().head().size,
        "text/plain; charset=utf-8",
        note,
    ))
}

/// Which leaves.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EntriesParams {
    /// Index of the first leaf, from 0.
    pub from: Option<u64>,
    /// How many at most; all there are if left out.
    pub limit: Option<u64>,
}

/// One raw leaf.
#[derive(Debug, utoipa::ToSchema)]
#[expect(
    dead_code,
    reason = "only its schema is used: the line is written by the log's export"
)]
pub struct Entry {
    /// Index of the leaf, from 0.
    index: u64,
    /// Its bytes, base64.
    leaf: String,
}

/// Raw leaves, one a line, up to the head at the time of the call.
#[utoipa::path(get, path = "/v1/log/entries", tag = "log", params(EntriesParams),
    responses((status = 200, body = Entry, content_type = "application/x-ndjson")))]
pub async fn entries(
    Shared(app): Shared<App>,
    reader: Reader,
    Params(params): Params<EntriesParams>,
) -> Result<Response, ApiError> {
    reader.reads_all()?;
    let size = app.engine().log().head().size;
    let from = params.from.unwrap_or_default();
    let end = from
        .saturating_add(params.limit.unwrap_or(u64::MAX))
        .min(size);
    let pieces = futures_util::stream::unfold(from, move |at| {
        let app = app.clone();
        async move {
            if at >= end {
                return None;
            }
            match entries_chunk(app.engine().log(), at, end).await {
                Ok((lines, next)) if next > at => Some((Ok(Bytes::from(lines)), next)),
                Ok(_) => None,
                // The body breaks off, so that half a log is never taken for a whole one.
                Err(error) => {
                    tracing::error!(%error, "an export broke off");
                    Some((Err(std::io::Error::other("the log could not be read")), end))
                }
            }
        }
    });
    // The server asks once more after the end.
    let mut response = Response::new(Body::from_stream(pieces.fuse()));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(names::NDJSON),
    );
    headers.insert(HeaderName::from_static(names::SEQUENCE), size.into());
    Ok(response)
}

/// Which leaf, in which tree.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct InclusionParams {
    /// Index of the leaf, from 0.
    pub index: u64,
    /// How many leaves the tree has; the latest if left out.
    pub size: Option<u64>,
}

/// A proof that a leaf is in a tree.
#[derive(Debug, utoipa::ToSchema)]
#[expect(
    dead_code,
    reason = "only its schema is used: the body is written by the log's export"
)]
pub struct Inclusion {
    /// `inclusion`.
    r#type: String,
    /// Index of the leaf, from 0.
    index: u64,
    /// How many leaves the tree has.
    size: u64,
    /// Base64, leaf side first.
    hashes: Vec<String>,
}

/// Proves that a leaf is in the tree (RFC 6962).
#[utoipa::path(get, path = "/v1/log/proof/inclusion", tag = "log", params(InclusionParams),
    responses((status = 200, body = Inclusion)))]
pub async fn inclusion(
    Shared(app): Shared<App>,
    reader: Reader,
    Params(params): Params<InclusionParams>,
) -> Result<Response, ApiError> {
    reader.reads_all()?;
    let head = app.engine().log().head().size;
    let size = params.size.unwrap_or(head);
    let proof = app
        .engine()
        .log()
        .inclusion_proof(params.index, size)
        .await?;
    Ok(raw(head, "application/json", inclusion_line(&proof)))
}

/// Which two trees.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ConsistencyParams {
    /// How many leaves the older tree has.
    pub old: u64,
    /// How many the newer has; the latest if left out.
    pub new: Option<u64>,
}

/// A proof that one tree is a prefix of another.
#[derive(Debug, utoipa::ToSchema)]
#[expect(
    dead_code,
    reason = "only its schema is used: the body is written by the log's export"
)]
pub struct Consistency {
    /// `consistency`.
    r#type: String,
    /// How many leaves the older tree has.
    old: u64,
    /// How many the newer has.
    new: u64,
    /// Base64.
    hashes: Vec<String>,
}

/// Proves that an older tree is a prefix of a newer (RFC 6962).
#[utoipa::path(get, path = "/v1/log/proof/consistency", tag = "log", params(ConsistencyParams),
    responses((status = 200, body = Consistency)))]
pub async fn consistency(
    Shared(app): Shared<App>,
    reader: Reader,
    Params(params): Params<ConsistencyParams>,
) -> Result<Response, ApiError> {
    reader.reads_all()?;
    let head = app.engine().log().head().size;
    let new = params.new.unwrap_or(head);
    let proof = app
        .engine()
        .log()
        .consistency_proof(params.old, new)
        .await?;
    Ok(raw(head, "application/json", consistency_line(&proof)))
}

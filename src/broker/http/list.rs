//! Lists: pages whose cursor names the last row, so that they are stable under inserts, and whole lists as a stream
//! of lines or columnar blocks that is never in memory at once.

use super::{
    extract::etag,
    problem::{self, ApiError},
};
use crate::wire::{
    ListHeader, Page, columns,
    filter::{Filter, Row},
    header as names,
};
use axum::{
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, convert::Infallible, ops::Bound, sync::Arc};

/// Rows of a page unless told otherwise.
const LIMIT: u32 = 100;
/// The most rows of a page.
const LIMIT_MAX: u32 = 1_000;
/// Rows of the first piece of a stream: something to draw at once.
const FIRST_PIECE: usize = 256;

/// What part of a list is wanted.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// Rows that match; the language of the console's `/`.
    #[param(example = "env:prod", max_length = 1000)]
    pub filter: Option<String>,
    /// The field to sort by; with `-` before it, the other way round.
    pub sort: Option<String>,
    /// Rows of a page, 1 to 1,000; 100 if left out.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// What rows are sorted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key<'a> {
    /// By code point.
    Text(Cow<'a, str>),
    /// By size; what has none is last.
    Number(i64),
}

impl<'a> Key<'a> {
    /// Text that is there already.
    pub fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// A time, in milliseconds; what never comes is last.
    pub fn time(at: Option<DateTime<Utc>>) -> Self {
        Self::Number(at.map_or(i64::MAX, |at| at.timestamp_millis()))
    }
}

/// Where the page before ended.
#[derive(Debug, Serialize, Deserialize)]
struct Cursor<'a> {
    s: Cow<'a, str>,
    k: Key<'a>,
    i: u128,
}

/// A kind of list: how its objects are sorted.
pub trait Sorted {
    /// The fields that it can be sorted by; the first is used if none is named.
    const SORTS: &'static [&'static str];

    /// What it is sorted by, for one of [`Sorted::SORTS`].
    fn key(&self, sort: &str) -> Key<'_>;

    /// Tells rows with the same key apart.
    fn bits(&self) -> u128;
}

/// How to sort: the field, and whether the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sort {
    field: &'static str,
    descending: bool,
}

impl Sort {
    fn parse(text: Option<&str>, known: &'static [&'static str]) -> Result<Self, ApiError> {
        let text = text.unwrap_or(known[0]);
        // The default may be descending; its field without the sign turns it round.
        let (name, descending) = match text.strip_prefix('-') {
            Some(name) => (name, true),
            None => (text, false),
        };
        known
            .iter()
            .map(|field| field.trim_start_matches('-'))
            .find(|field| *field == name)
            .map(|field| Self { field, descending })
            .ok_or_else(|| {
                let names: Vec<_> = known
                    .iter()
                    .map(|field| field.trim_start_matches('-'))
                    .collect();
                ApiError::new(
                    &problem::MALFORMED,
                    format!("in the query: sort: expected one of {}", names.join(", ")),
                )
            })
    }

    fn text(self) -> String {
        let sign = if self.descending { "-" } else { "" };
        format!("{sign}{}", self.field)
    }
}

/// Parses a filter for rows of type `R`.
///
/// # Errors
/// 400 with the place and what would make sense there.
pub fn filter<R: Row>(text: Option<&str>) -> Result<Filter, ApiError> {
    Filter::parse_for::<R>(text.unwrap_or_default()).map_err(|error| {
        ApiError::new(
            &problem::MALFORMED,
            format!("in the query: filter: {error}"),
        )
    })
}

/// The page of `items` that `params` ask for.
///
/// # Errors
/// 400 for parameters that make no sense.
pub fn page<'a, T, R>(
    params: &ListParams,
    sequence: u64,
    now: DateTime<Utc>,
    items: impl Iterator<Item = &'a T>,
    row: impl Fn(&T) -> R,
) -> Result<Page<R>, ApiError>
where
    T: Sorted + 'a,
    R: Row,
{
    let filter = filter::<R>(params.filter.as_deref())?;
    let sort = Sort::parse(params.sort.as_deref(), T::SORTS)?;
    let limit = limit(params.limit)?;
    let after = params
        .cursor
        .as_deref()
        .map(|text| parse_cursor(text, sort))
        .transpose()?;
    let order = |a: &(Key<'_>, u128), b: &(Key<'_>, u128)| {
        let order = a.cmp(b);
        if sort.descending {
            order.reverse()
        } else {
            order
        }
    };
    let mut total = 0;
    let mut rest = Vec::new();
    for item in items {
        if !filter.is_all() && !filter.matches(&row(item), now) {
            continue;
        }
        total += 1;
        let place = (item.key(sort.field), item.bits());
        if after
            .as_ref()
            .is_none_or(|after| order(&place, after).is_gt())
        {
            rest.push((place, item));
        }
    }
    let more = rest.len() > limit;
    if more {
        rest.select_nth_unstable_by(limit, |a, b| order(&a.0, &b.0));
        rest.truncate(limit);
    }
    rest.sort_unstable_by(|a, b| order(&a.0, &b.0));
    let next = match rest.last() {
        Some(((key, bits), _)) if more => Some(print_cursor(&Cursor {
            s: Cow::Owned(sort.text()),
            k: key.clone(),
            i: *bits,
        })),
        _ => None,
    };
    Ok(Page {
        items: rest.iter().map(|(_, item)| row(item)).collect(),
        next,
        total,
        sequence,
    })
}

/// How many rows a page has.
///
/// # Errors
/// 400 if it is none, or too many.
pub fn limit(asked: Option<u32>) -> Result<usize, ApiError> {
    let limit = asked.unwrap_or(LIMIT);
    if (1..=LIMIT_MAX).contains(&limit) {
        Ok(limit as usize)
    } else {
        Err(ApiError::new(
            &problem::MALFORMED,
            format!("in the query: limit: expected 1 to {LIMIT_MAX}"),
        ))
    }
}

fn print_cursor(cursor: &Cursor<'_>) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(cursor).expect("text and numbers have a JSON form"))
}

fn parse_cursor(text: &str, sort: Sort) -> Result<(Key<'static>, u128), ApiError> {
    let refused = || {
        ApiError::new(
            &problem::MALFORMED,
            "in the query: cursor: expected `next` of an earlier page of the same list in the same order",
        )
    };
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
    let cursor: Cursor<'_> = serde_json::from_slice(&bytes).map_err(|_| refused())?;
    if cursor.s != sort.text() {
        return Err(refused());
    }
    let key = match cursor.k {
        Key::Text(text) => Key::Text(Cow::Owned(text.into_owned())),
        Key::Number(number) => Key::Number(number),
    };
    Ok((key, cursor.i))
}

/// How a whole list is written as a stream.
pub struct Form {
    media: &'static str,
    /// Rows of one piece.
    size: usize,
    head: fn(&ListHeader) -> Vec<u8>,
}

impl Form {
    /// A JSON document a line.
    pub const LINES: Self = Self {
        media: names::NDJSON,
        size: 512,
        head: |header| lines([header]),
    };
    /// Frames of columns.
    pub const COLUMNS: Self = Self {
        media: names::COLUMNS,
        size: columns::BLOCK_ROWS,
        head: columns::header_frame,
    };
}

/// The whole list of what there is in `all` and the caller `sees` (all of it, where that is not asked) as a stream, whose
/// head has its length and sequence. `row` is asked of each item to filter by; a `piece` is made of some of the selected
/// ones whenever the one before was sent. A list in the order of its making, with nothing left out, is read as it is sent.
///
/// # Errors
/// 400 for parameters that make no sense.
pub fn whole<K, T, R>(
    form: Form,
    params: &ListParams,
    (sequence, now): (u64, DateTime<Utc>),
    all: &OrdMap<K, Arc<T>>,
    sees: Option<&dyn Fn(&T) -> bool>,
    row: impl Fn(&T) -> R,
    piece: impl Fn(&[Arc<T>]) -> Vec<u8> + Send + 'static,
) -> Result<Response, ApiError>
where
    K: Ord + Copy + Send + Sync + 'static,
    T: Sorted + Send + Sync + 'static,
    R: Row,
{
    let filter = filter::<R>(params.filter.as_deref())?;
    if params.limit.is_some() || params.cursor.is_some() {
        return Err(ApiError::new(
            &problem::MALFORMED,
            "in the query: a stream is the whole list: leave out limit and cursor",
        ));
    }
    if filter.is_all() && params.sort.is_none() && sees.is_none() {
        let (all, count) = (all.clone(), all.len());
        let mut last = None;
        let take = move |most| {
            let after = last.map_or(Bound::Unbounded, Bound::Excluded);
            let some = all.range((after, Bound::Unbounded)).take(most);
            let (keys, some): (Vec<K>, Vec<_>) =
                some.map(|(key, item)| (*key, Arc::clone(item))).unzip();
            last = keys.last().copied().or(last);
            some
        };
        return Ok(stream(form, sequence, count, take, piece));
    }
    let mut selected: Vec<_> = all
        .values()
        .filter(|item| sees.is_none_or(|sees| sees(item)))
        .filter(|item| filter.is_all() || filter.matches(&row(item), now))
        .cloned()
        .collect();
    if params.sort.is_some() {
        let sort = Sort::parse(params.sort.as_deref(), T::SORTS)?;
        selected.sort_by(|a, b| {
            let order = (a.key(sort.field), a.bits()).cmp(&(b.key(sort.field), b.bits()));
            if sort.descending {
                order.reverse()
            } else {
                order
            }
        });
    }
    let count = selected.len();
    let mut selected = selected.into_iter();
    let take = move |most| selected.by_ref().take(most).collect();
    Ok(stream(form, sequence, count, take, piece))
}

/// Streams `count` items piece by piece: the head, and then what `piece` makes of what `take` gives, at most so many at a
/// time.
fn stream<T: Send + Sync + 'static>(
    form: Form,
    sequence: u64,
    count: usize,
    mut take: impl FnMut(usize) -> Vec<Arc<T>> + Send + 'static,
    piece: impl Fn(&[Arc<T>]) -> Vec<u8> + Send + 'static,
) -> Response {
    let count = count as u64;
    let mut head = Some((form.head)(&ListHeader { count, sequence }));
    let pieces = std::iter::from_fn(move || {
        let most = if head.is_some() {
            form.size.min(FIRST_PIECE)
        } else {
            form.size
        };
        let mut bytes = head.take().unwrap_or_default();
        let some = take(most);
        if !some.is_empty() {
            bytes.extend(piece(&some));
        }
        (!bytes.is_empty()).then(|| Ok::<_, Infallible>(Bytes::from(bytes)))
    });
    let body = Body::from_stream(futures_util::stream::iter(pieces));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form.media));
    headers.insert(HeaderName::from_static(names::SEQUENCE), sequence.into());
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// A JSON document a line.
pub fn lines<R: Serialize>(rows: impl IntoIterator<Item = R>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut bytes, &row).expect("a row is plain data");
        bytes.push(b'\n');
    }
    bytes
}

/// An answer read from the state at `sequence`.
pub fn answer<T: Serialize>(sequence: u64, body: &T) -> Response {
    let bytes = serde_json::to_vec(body).expect("an answer is plain data");
    raw(sequence, "application/json", bytes)
}

/// The same for a body that is there already.
pub fn raw(sequence: u64, media: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Body::from(body.into()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(HeaderName::from_static(names::SEQUENCE), sequence.into());
    response
}

/// Adds a resource's entity tag: the sequence of its last change.
pub fn tagged(mut response: Response, sequence: u64) -> Response {
    let tag = HeaderValue::from_str(&etag(sequence)).expect("digits in quotes");
    response.headers_mut().insert(header::ETAG, tag);
    response
}

/// The caller has it already.
pub fn not_modified(sequence: u64) -> Response {
    tagged(StatusCode::NOT_MODIFIED.into_response(), sequence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::filter::{Field, Value};

    struct Item(u128, &'static str, i64);

    impl Sorted for Item {
        const SORTS: &'static [&'static str] = &["name", "size"];
        fn key(&self, sort: &str) -> Key<'_> {
            match sort {
                "size" => Key::Number(self.2),
                _ => Key::text(self.1),
            }
        }
        fn bits(&self) -> u128 {
            self.0
        }
    }

    #[derive(Debug, Clone, PartialEq)]
    struct Shown(&'static str);

    impl Row for Shown {
        const FIELDS: &'static [Field] = &[Field::Name];
        fn value(&self, field: Field) -> Value<'_> {
            match field {
                Field::Name => Value::Text(self.0),
                _ => Value::None,
            }
        }
        fn words(&self, found: &mut dyn FnMut(&str) -> bool) -> bool {
            found(self.0)
        }
    }

    fn get(
        params: &ListParams,
        items: &[Item],
    ) -> Result<(Vec<&'static str>, Option<String>, u64), ApiError> {
        let page = page(params, 7, DateTime::UNIX_EPOCH, items.iter(), |item| {
            Shown(item.1)
        })?;
        Ok((
            page.items.iter().map(|shown| shown.0).collect(),
            page.next,
            page.total,
        ))
    }

    #[test]
    fn pages_are_stable_under_inserts() {
        let mut items = vec![
            Item(1, "b", 3),
            Item(2, "d", 2),
            Item(3, "f", 1),
            Item(4, "d", 9),
        ];
        let mut params = ListParams {
            limit: Some(2),
            ..ListParams::default()
        };
        let (first, next, total) = get(&params, &items).unwrap();
        assert_eq!((first, total), (vec!["b", "d"], 4));
        // One comes before, one after the place where the page ended.
        items.push(Item(5, "a", 0));
        items.push(Item(6, "e", 0));
        params.cursor = next;
        let (second, next, total) = get(&params, &items).unwrap();
        assert_eq!((second, total), (vec!["d", "e"], 6));
        params.cursor = next;
        let (third, next, _) = get(&params, &items).unwrap();
        assert_eq!((third, next), (vec!["f"], None));
    }

    #[test]
    fn order_and_filter_are_as_asked() {
        let items = [Item(1, "b", 3), Item(2, "d", 2), Item(3, "f", 1)];
        let ask = |sort: &str, filter: &str| {
            let params = ListParams {
                sort: Some(sort.into()),
                filter: Some(filter.into()),
                ..ListParams::default()
            };
            get(&params, &items).map(|(names, ..)| names)
        };
        assert_eq!(ask("size", "").unwrap(), ["f", "d", "b"]);
        assert_eq!(ask("-name", "").unwrap(), ["f", "d", "b"]);
        assert_eq!(ask("name", "name=d").unwrap(), ["d"]);
        assert!(ask("colour", "").is_err());
        assert!(ask("name", "risk>3").is_err());
    }

    #[test]
    fn odd_parameters_are_refused() {
        let items = [Item(1, "b", 3), Item(2, "c", 3)];
        for limit in [0, 1_001] {
            let params = ListParams {
                limit: Some(limit),
                ..ListParams::default()
            };
            assert!(get(&params, &items).is_err());
        }
        let by_name = ListParams {
            limit: Some(1),
            ..ListParams::default()
        };
        let (_, next, _) = get(&by_name, &items).unwrap();
        let other_order = ListParams {
            cursor: next,
            sort: Some("size".into()),
            ..ListParams::default()
        };
        assert!(get(&other_order, &items).is_err());
        let nonsense = ListParams {
            cursor: Some("AAAA".into()),
            ..ListParams::default()
        };
        assert!(get(&nonsense, &items).is_err());
    }
}

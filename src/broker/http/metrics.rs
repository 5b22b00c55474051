//! Figures for Prometheus. One recorder a process; figures that can be counted from the state are counted when
//! somebody asks. No label carries anything that a caller chose.

use super::App;
use crate::{
    broker::views::rotation::{measures, took},
    domain::State,
};
use metrics::{Counter, Histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use parking_lot::RwLock;
use std::{
    collections::HashMap,
    sync::{
        LazyLock, OnceLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

const DURATION: &str = "http_server_request_duration_seconds";
const BUCKETS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0,
];

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
static SUBSCRIBERS: AtomicI64 = AtomicI64::new(0);
static ANSWERED: AtomicU64 = AtomicU64::new(0);
/// The recorder keeps every value until they are put into buckets, which it only does when it is asked to: after so
/// many answers, or it would grow for as long as nobody reads the figures.
const TOGETHER: u64 = 8_192;
/// Histograms by method and status, then by route.
type Durations = HashMap<(&'static str, u16), HashMap<String, Histogram>>;
/// The histograms of [`DURATION`] that were made: to find one by its labels takes the recorder longer than an answer
/// may take.
static DURATIONS: LazyLock<RwLock<Durations>> = LazyLock::new(RwLock::default);
static INTROSPECTED: LazyLock<[Counter; 2]> = LazyLock::new(|| {
    ["inactive", "active"]
        .map(|result| metrics::counter!("countersign_introspections_total", "result" => result))
});
static AUTHORIZED: LazyLock<[Counter; 2]> = LazyLock::new(|| {
    ["deny", "allow"].map(|result| metrics::counter!("countersign_authz_total", "result" => result))
});

/// Installs the recorder, once a process. Something else may have installed one already; then there is none of ours.
pub fn install() -> Option<&'static PrometheusHandle> {
    RECORDER
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Full(DURATION.to_owned()), BUCKETS)
                .ok()?
                .build_recorder();
            let handle = recorder.handle();
            metrics::set_global_recorder(recorder).ok()?;
            describe();
            Some(handle)
        })
        .as_ref()
}

fn describe() {
    metrics::describe_histogram!(
        DURATION,
        metrics::Unit::Seconds,
        "Time to answer, by route, method and status"
    );
    metrics::describe_gauge!(
        "countersign_log_size",
        "Leaves of the log, which is the sequence"
    );
    metrics::describe_gauge!(
        "countersign_queue_depth",
        "Work that waits: for people, for issuing, for delivering, for revoking at the issuer"
    );
    metrics::describe_gauge!(
        "countersign_stream_subscribers",
        "Connections that follow the events"
    );
    metrics::describe_gauge!("countersign_objects", "Objects of the state, by kind");
    metrics::describe_gauge!(
        "countersign_issuer_ready",
        "Whether an issuer answers, 1 or 0"
    );
    metrics::describe_gauge!(
        "countersign_webhook_ready",
        "Whether a receiver of webhooks took the last event, 1 or 0"
    );
    metrics::describe_gauge!(
        "countersign_webhook_behind",
        "Events that a receiver of webhooks has yet to be told of, or passed over"
    );
    for (name, what) in [
        (
            "countersign_rotations",
            "Rotations so far, by what they came to",
        ),
        (
            "countersign_rotation_setbacks",
            "Rotations that failed or were rolled back, by what for",
        ),
        (
            "countersign_rotation_downtime_seconds",
            "Time in which a credential had no accepted version before its newer one was in use",
        ),
        (
            "countersign_rotation_on_schedule_share",
            "Rotations that kept their date, of all that had one; 0 to 1",
        ),
        (
            "countersign_rotation_success_share",
            "Rotations whose newer version stayed in use, of all that ended; 0 to 1",
        ),
        (
            "countersign_rotation_seconds_mean",
            "From a rotation's beginning to its newer version in use, mean of the latest",
        ),
        (
            "countersign_rotation_seconds_p95",
            "From a rotation's beginning to its newer version in use, 95th percentile of the latest",
        ),
    ] {
        metrics::describe_gauge!(name, what);
    }
    metrics::describe_counter!(
        "countersign_webhook_calls_total",
        "Calls of receivers of webhooks, by result"
    );
    metrics::describe_gauge!(
        "countersign_destination_ready",
        "Whether a destination takes secrets, 1 or 0"
    );
    metrics::describe_counter!(
        "countersign_deliveries_total",
        "Tries at putting a secret at its destination, by result"
    );
    metrics::describe_counter!(
        "countersign_commands_total",
        "Commands of callers, by name and result"
    );
    metrics::describe_counter!(
        "countersign_authz_total",
        "Calls that gateways asked about, by result"
    );
    metrics::describe_counter!(
        "countersign_usage_findings_total",
        "What gateways reported that cannot be, by kind"
    );
    metrics::describe_gauge!(
        "countersign_gateway_waiting",
        "Revocations that a gateway has yet to apply"
    );
    metrics::describe_gauge!(
        "countersign_gateway_late",
        "Of these, those over its objective"
    );
    metrics::describe_gauge!(
        "countersign_gateway_seen_seconds",
        "Seconds since a gateway was last heard of"
    );
    metrics::describe_counter!(
        "countersign_introspections_total",
        "Tokens that were asked about, by result"
    );
}

/// Notes an answer.
pub fn answered(route: &str, method: &str, status: u16, took: Duration) {
    let method = match method {
        "GET" => "GET",
        "POST" => "POST",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        _ => "other",
    };
    let key = (method, status);
    let known = DURATIONS.read();
    match known.get(&key).and_then(|routes| routes.get(route)) {
        Some(histogram) => histogram.record(took),
        None => {
            drop(known);
            let histogram = metrics::histogram!(DURATION, "route" => route.to_owned(), "method" => method, "status" => status.to_string());
            histogram.record(took);
            let mut known = DURATIONS.write();
            known
                .entry(key)
                .or_default()
                .insert(route.to_owned(), histogram);
        }
    }
    let count = ANSWERED.fetch_add(1, Ordering::Relaxed);
    if count % TOGETHER == TOGETHER - 1
        && let Some(handle) = install()
    {
        tokio::task::spawn_blocking(|| handle.run_upkeep());
    }
}

/// Notes a command and how it ended: `done`, `replayed`, or the slug of its refusal.
pub fn commanded(command: &'static str, result: &'static str) {
    metrics::counter!("countersign_commands_total", "command" => command, "result" => result)
        .increment(1);
}

/// Notes an introspection.
pub fn introspected(active: bool) {
    INTROSPECTED[usize::from(active)].increment(1);
}

/// Notes an answer of the gateways' decision point.
pub fn authorized(accepted: bool) {
    AUTHORIZED[usize::from(accepted)].increment(1);
}

/// Counts a stream's subscriber for as long as it lives.
#[derive(Debug)]
pub struct Subscriber(());

impl Subscriber {
    /// One more.
    pub fn begin() -> Self {
        SUBSCRIBERS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        SUBSCRIBERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What rotations came to, from the log.
fn rotations(state: &State) {
    let rotations = &state.rotations;
    let mut durations = took(rotations.all.values());
    let measured = measures(&rotations.totals, &mut durations);
    for (what, count) in [
        ("started", measured.started),
        ("promoted", measured.promoted),
        ("completed", measured.completed),
        ("extended", measured.extended),
    ] {
        metrics::gauge!("countersign_rotations", "what" => what).set(count as f64);
    }
    for (end, counts) in [
        ("failed", &measured.failed),
        ("rolled_back", &measured.rolled_back),
    ] {
        for (setback, count) in counts {
            metrics::gauge!("countersign_rotation_setbacks", "end" => end, "for" => setback.clone())
                .set(*count as f64);
        }
    }
    metrics::gauge!("countersign_rotation_downtime_seconds").set(measured.downtime_s as f64);
    for (name, value) in [
        (
            "countersign_rotation_on_schedule_share",
            measured.on_schedule,
        ),
        ("countersign_rotation_success_share", measured.success),
        ("countersign_rotation_seconds_mean", measured.mean_s),
        ("countersign_rotation_seconds_p95", measured.p95_s),
    ] {
        if let Some(value) = value {
            metrics::gauge!(name).set(value);
        }
    }
}

/// The text that Prometheus reads. `None` if another recorder has the process.
pub(super) fn render(app: &App) -> Option<String> {
    let engine = app.engine();
    let handle = install()?;
    let state = engine.state();
    metrics::gauge!("countersign_log_size").set(state.sequence as f64);
    metrics::gauge!("countersign_stream_subscribers")
        .set(SUBSCRIBERS.load(Ordering::Relaxed) as f64);
    for (queue, depth) in [
        ("awaiting_approval", state.awaiting.len()),
        ("issuance", state.to_issue.len()),
        ("delivery", state.to_deliver.len()),
        ("enforcement", state.to_enforce.len()),
        ("propagation", state.unapplied().count()),
        ("rotation", state.rotations.to_do.len()),
        ("overlap", state.rotations.overlapping.len()),
    ] {
        metrics::gauge!("countersign_queue_depth", "queue" => queue).set(depth as f64);
    }
    for (kind, count) in [
        ("credential", state.credentials.len()),
        ("request", state.requests.len()),
        ("revocation", state.revocations.len()),
        ("client", state.clients.len()),
        ("operator", state.operators.len()),
    ] {
        metrics::gauge!("countersign_objects", "kind" => kind).set(count as f64);
    }
    let views = app.views(&state, crate::clock::now());
    for gateway in state.gateways.values() {
        if gateway.removed_at.is_some() {
            continue;
        }
        // A gateway's name is an admin's choice, not a caller's.
        let row = views.gateway_row(gateway, engine.gateways());
        let labels = [("gateway", row.name)];
        metrics::gauge!("countersign_gateway_waiting", &labels).set(row.waiting as f64);
        metrics::gauge!("countersign_gateway_late", &labels).set(row.late as f64);
        if let Some(seen) = row.seen_at {
            let seconds = (views.now - seen).num_milliseconds() as f64 / 1_000.0;
            metrics::gauge!("countersign_gateway_seen_seconds", &labels).set(seconds);
        }
    }
    rotations(&state);
    let health = engine.health();
    for webhook in health.webhooks {
        let name = webhook.webhook;
        metrics::gauge!("countersign_webhook_ready", "webhook" => name.clone())
            .set(f64::from(u8::from(webhook.ready)));
        metrics::gauge!("countersign_webhook_behind", "webhook" => name).set(webhook.behind as f64);
    }
    for destination in health.destinations {
        metrics::gauge!("countersign_destination_ready", "destination" => destination.destination)
            .set(f64::from(u8::from(destination.ready)));
    }
    for issuer in health.issuers {
        metrics::gauge!("countersign_issuer_ready", "issuer" => issuer.issuer)
            .set(f64::from(u8::from(issuer.ready)));
    }
    handle.run_upkeep();
    Some(handle.render())
}

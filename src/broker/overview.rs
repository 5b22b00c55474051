//! The first screen's figures, counted from one snapshot in one pass over each collection. A count of the credentials
//! is kept for some seconds, and what changed in the state since is taken out of it and put in again; then all of it is
//! counted anew, so no figure can drift from the log.

#[cfg(test)]
mod tests;

use super::{
    usage::Usage,
    views::{Views, living},
};
use crate::{
    domain::{
        Cadence, ClientId, Credential, Enforcement, Kind, ProposalState, Request, RequestState,
        ReviewState, State, request::Outcome,
    },
    wire::overview::{
        ApprovalFigures, Bucket, HeatRow, HygieneFigures, IssuanceFigures, Overview,
        RevocationFigures, RotationFigures,
    },
    wire::{EventRecord, IssuerHealth, RevocationRow},
};
use chrono::{DateTime, TimeDelta, Utc};
use imbl::ordmap::DiffItem;
use std::{
    collections::{BTreeSet, HashSet},
    hint::black_box,
    sync::Arc,
    time::Duration,
};

/// How many days ahead the heat strip looks.
const HEAT_DAYS: usize = 14;
/// How many credentials are counted together. A fleet is larger than any cache: to wait for one credential after the
/// other is most of what counting them costs.
const TOGETHER: usize = 32;
/// For how long a count of the credentials is kept: what only the passing of time changes may be as old.
pub const KEPT: Duration = Duration::from_secs(10);
/// How many revocations that wait for their issuer are shown.
const PENDING: usize = 8;
/// For how long a credential may go unused.
const UNUSED: TimeDelta = TimeDelta::days(45);
/// The owner of what nobody answers for.
const NOBODY: &str = "nobody";
/// Spans of time to expiry: word, end in seconds, filter.
const SPANS: &[(&str, i64, &str)] = &[
    ("<1h", 3_600, "left>=0s left<1h !state:revoked"),
    ("<24h", 86_400, "left>=1h left<24h !state:revoked"),
    ("<7d", 7 * 86_400, "left>=24h left<7d !state:revoked"),
    ("<30d", 30 * 86_400, "left>=7d left<30d !state:revoked"),
    ("<90d", 90 * 86_400, "left>=30d left<90d !state:revoked"),
    (">90d", i64::MAX, "left>=90d !state:revoked"),
];
/// Ends of the spans of age of what waits for people, in seconds; the last is open.
const AGES: [i64; 3] = [300, 900, 3_600];

/// Counts everything. `degraded` and `recent` come from outside the state.
pub fn overview(
    state: &Arc<State>,
    usage: &Usage,
    reviews: Cadence,
    now: DateTime<Utc>,
    degraded: Vec<IssuerHealth>,
    recent: Vec<EventRecord>,
    kept: &mut Option<Kept>,
) -> Overview {
    let views = Views {
        state,
        usage,
        reviews,
        now,
    };
    *kept = kept
        .take()
        .and_then(|kept| kept.follow(state, usage, reviews, now));
    let counts = &kept
        .get_or_insert_with(|| Kept::new(state, usage, reviews, now))
        .counts;
    let (lifetimes, rotation, hygiene) = counts.figures();
    Overview {
        sequence: state.sequence,
        now,
        lifetimes,
        rotation,
        issuance: issuance(state, now),
        approvals: approvals(&views),
        revocations: revocations(&views),
        hygiene,
        degraded,
        recent,
    }
}

/// A count of the credentials, and the state that it is of.
#[derive(Debug)]
pub struct Kept {
    state: Arc<State>,
    counts: Fleet,
}

impl Kept {
    fn new(state: &Arc<State>, usage: &Usage, reviews: Cadence, now: DateTime<Utc>) -> Self {
        let mut counts = Fleet::new(state, reviews, now);
        // In the order of the credentials, as these are: two walks side by side cost a tenth of as many look-ups.
        let mut used = state.usage.iter().peekable();
        let mut credentials = state.credentials.values();
        let mut together: Vec<&Credential> = Vec::with_capacity(TOGETHER);
        loop {
            together.clear();
            together.extend(credentials.by_ref().take(TOGETHER).map(AsRef::as_ref));
            if together.is_empty() {
                break;
            }
            fetch(&together);
            for credential in &together {
                while used.next_if(|(id, _)| **id < credential.id).is_some() {}
                let rolled_up = used.next_if(|(id, _)| **id == credential.id);
                let last_used = rolled_up.and_then(|(_, used)| used.last_used_at);
                counts.count(usage, credential, last_used, 1);
            }
        }
        let state = Arc::clone(state);
        Self { state, counts }
    }

    /// The count brought to `state`, as of the time of the count; `None` if all has to be counted anew.
    fn follow(
        mut self,
        state: &Arc<State>,
        usage: &Usage,
        reviews: Cadence,
        now: DateTime<Utc>,
    ) -> Option<Self> {
        let age = now - self.counts.now;
        let same_around = self.counts.reviews == reviews
            && self.state.clients.ptr_eq(&state.clients)
            && self.state.usage.ptr_eq(&state.usage);
        if !same_around || !age.to_std().is_ok_and(|age| age < KEPT) {
            return None;
        }
        let longest_overdue = self.counts.rotation.oldest_overdue.clone();
        let mut count = |credential: &Credential, by| {
            let rolled_up = state.usage.get(&credential.id);
            let last_used = rolled_up.and_then(|used| used.last_used_at);
            self.counts.count(usage, credential, last_used, by);
            by > 0 || longest_overdue.as_deref() != Some(&*credential.name)
        };
        let good = self
            .state
            .credentials
            .diff(&state.credentials)
            .all(|change| match change {
                DiffItem::Add(_, new) => count(new, 1),
                DiffItem::Update {
                    old: (_, old),
                    new: (_, new),
                } => count(old, -1) && count(new, 1),
                DiffItem::Remove(_, old) => count(old, -1),
            });
        self.state = Arc::clone(state);
        good.then_some(self)
    }
}

/// Has the memory that `credentials` lie in on its way, all of it at once.
fn fetch(credentials: &[&Credential]) {
    for credential in credentials {
        black_box((
            credential.id,
            credential.client,
            credential.revoked,
            credential.quarantined_at,
            credential.cadence_s,
            credential.versions.as_ptr(),
        ));
    }
    for credential in credentials {
        black_box(
            (credential.versions.last())
                .map(|version| (version.state, version.created_at, version.ends_at())),
        );
    }
}

/// What one pass over the credentials counts.
#[derive(Debug)]
struct Fleet {
    now: DateTime<Utc>,
    reviews: Cadence,
    midnight: DateTime<Utc>,
    in_service: HashSet<ClientId>,
    spans: [u64; SPANS.len()],
    never: u64,
    rotation: RotationFigures,
    heat: [[u64; HEAT_DAYS]; Kind::ALL.len()],
    hygiene: HygieneFigures,
}

impl Fleet {
    fn new(state: &State, reviews: Cadence, now: DateTime<Utc>) -> Self {
        let clients = state.clients.values();
        Self {
            now,
            reviews,
            in_service: clients
                .filter(|client| client.offboarded_at.is_none())
                .map(|client| client.id)
                .collect(),
            midnight: now
                .date_naive()
                .and_hms_opt(0, 0, 0)
                .map_or(now, |midnight| midnight.and_utc()),
            spans: [0; SPANS.len()],
            never: 0,
            rotation: RotationFigures::default(),
            heat: [[0; HEAT_DAYS]; Kind::ALL.len()],
            hygiene: HygieneFigures::default(),
        }
    }

    /// Counts a credential in (`by` is 1) or out (-1). `rolled_up` is when the log says that it was last used.
    fn count(
        &mut self,
        usage: &Usage,
        credential: &Credential,
        rolled_up: Option<DateTime<Utc>>,
        by: i64,
    ) {
        let now = self.now;
        if !living(credential.state(now)) {
            return;
        }
        let add = |figure: &mut u64, counts: bool| {
            if counts {
                // What was used meanwhile may be taken out of where it was not put in.
                *figure = figure.saturating_add_signed(by);
            }
        };
        add(&mut self.rotation.living, true);
        match credential.expires_at() {
            Some(end) => {
                let left = (end - now).num_seconds();
                let span = SPANS
                    .iter()
                    .position(|(_, until, _)| left < *until)
                    .unwrap_or(SPANS.len() - 1);
                add(&mut self.spans[span], true);
            }
            None => {
                add(&mut self.never, true);
                add(&mut self.hygiene.never_expiring, true);
            }
        }
        self.count_rotation(credential, add);
        let quarantined = credential.quarantined_at.is_some();
        add(&mut self.hygiene.quarantined, quarantined);
        let orphan = credential.owner == NOBODY || !self.in_service.contains(&credential.client);
        add(&mut self.hygiene.orphaned, orphan);
        let overdue = credential.review(&self.reviews, now) == Some(ReviewState::Overdue);
        add(&mut self.hygiene.review_overdue, overdue);
        let long_ago = |at: DateTime<Utc>| now - at > UNUSED;
        // What was used since is only asked where it decides.
        let unused = long_ago(rolled_up.unwrap_or(credential.created_at))
            && usage.since(credential.id).last_used_at.is_none_or(long_ago);
        add(&mut self.hygiene.unused_45d, unused);
    }

    fn count_rotation(&mut self, credential: &Credential, add: impl Fn(&mut u64, bool)) {
        let now = self.now;
        if credential.cadence_s.is_none() {
            return;
        }
        add(&mut self.rotation.covered, true);
        let Some(due) = credential.rotation_due_at() else {
            return;
        };
        if due <= now {
            add(&mut self.rotation.overdue, true);
            if self
                .rotation
                .oldest_overdue_since
                .is_none_or(|oldest| due < oldest)
            {
                self.rotation.oldest_overdue_since = Some(due);
                self.rotation.oldest_overdue = Some(credential.name.to_string());
            }
        } else if due <= now + TimeDelta::hours(24) {
            add(&mut self.rotation.due_24h, true);
        }
        // What is overdue is due today.
        let day = (due.max(now) - self.midnight).num_days();
        let kind = Kind::ALL.iter().position(|kind| *kind == credential.kind);
        if let (Some(kind), Ok(day @ 0..HEAT_DAYS)) = (kind, usize::try_from(day)) {
            add(&mut self.heat[kind][day], true);
        }
    }

    fn figures(&self) -> (Vec<Bucket>, RotationFigures, HygieneFigures) {
        let mut lifetimes: Vec<Bucket> = SPANS
            .iter()
            .zip(self.spans)
            .map(|((label, _, filter), count)| Bucket {
                label: (*label).to_owned(),
                count,
                filter: (*filter).to_owned(),
            })
            .collect();
        lifetimes.push(Bucket {
            label: "never".to_owned(),
            count: self.never,
            filter: "never !state:revoked !state:expired".to_owned(),
        });
        let heat = Kind::ALL
            .iter()
            .zip(self.heat)
            .map(|(kind, days)| HeatRow {
                kind: kind.to_string(),
                days: days.to_vec(),
            })
            .collect();
        let rotation = RotationFigures {
            heat,
            ..self.rotation.clone()
        };
        (lifetimes, rotation, self.hygiene.clone())
    }
}

/// Requests received after `from`, newest first. Identifiers sort by time, so they are at the end.
fn since(state: &State, from: DateTime<Utc>) -> impl Iterator<Item = &Request> {
    state
        .requests
        .values()
        .rev()
        .map(AsRef::as_ref)
        .take_while(move |request| request.submitted_at > from)
}

/// When it was known that the request may be issued: with the last approval, or at once.
fn approved_at(request: &Request) -> Option<DateTime<Utc>> {
    let evaluation = request.evaluation.as_ref()?;
    match evaluation.outcome {
        Outcome::Allow => Some(request.submitted_at),
        Outcome::Deny => None,
        Outcome::Needs => {
            let needed = evaluation
                .quorum
                .as_ref()
                .map_or(usize::MAX, |quorum| usize::from(quorum.count));
            (request.standing().count() >= needed)
                .then(|| request.standing().last().map(|approval| approval.at))
                .flatten()
        }
    }
}

fn issuance(state: &State, now: DateTime<Utc>) -> IssuanceFigures {
    let mut figures = IssuanceFigures {
        per_hour: vec![0; 24],
        ..IssuanceFigures::default()
    };
    let mut took = Vec::new();
    for request in since(state, now - TimeDelta::hours(24)) {
        let hours_ago = (now - request.submitted_at).num_hours().clamp(0, 23);
        figures.per_hour[23 - hours_ago as usize] += 1;
        figures.denied += u64::from(request.state == RequestState::Denied);
        let made = request
            .issued
            .and_then(|(credential, number)| state.credentials.get(&credential)?.version(number));
        let under_way = u32::from(request.state == RequestState::Issuing);
        let failed = request
            .attempts
            .saturating_sub(under_way + u32::from(request.issued.is_some()));
        figures.failed += u64::from(failed);
        if request.issued.is_some() {
            figures.issued += 1;
        }
        if let (Some(made), Some(approved)) = (made, approved_at(request)) {
            took.push((made.created_at - approved).num_milliseconds().max(0) as u64);
        }
    }
    took.sort_unstable();
    figures.p50_ms = percentile(&took, 50);
    figures.p95_ms = percentile(&took, 95);
    figures.p99_ms = percentile(&took, 99);
    let attempts = figures.issued + figures.failed;
    figures.good_bp = (attempts > 0).then(|| (figures.issued * 10_000 / attempts) as u32);
    figures
}

fn approvals(views: &Views<'_>) -> ApprovalFigures {
    let (state, now) = (views.state, views.now);
    let mut figures = ApprovalFigures {
        ages: vec![0; AGES.len() + 1],
        ..ApprovalFigures::default()
    };
    let mut soonest: Option<&Request> = None;
    let mut bursts = HashSet::new();
    for request in state
        .awaiting
        .iter()
        .filter_map(|id| state.requests.get(id))
    {
        figures.open += 1;
        let run = request.run();
        let another = !state.asking.is_burst(run) || bursts.insert(run);
        figures.items += u64::from(another);
        let soon = request
            .deadline
            .is_some_and(|deadline| deadline <= now + TimeDelta::minutes(20));
        figures.ending_soon += u64::from(soon);
        let age = (now - request.submitted_at).num_seconds();
        let span = AGES.iter().position(|end| age < *end).unwrap_or(AGES.len());
        figures.ages[span] += 1;
        let end = |request: &Request| request.deadline.unwrap_or(DateTime::<Utc>::MAX_UTC);
        if soonest.is_none_or(|held| end(request) < end(held)) {
            soonest = Some(request);
        }
    }
    figures.soonest = soonest.map(|request| views.request_row(request));
    let waiting = || {
        let proposed = state.proposals.values();
        proposed.filter(|held| held.state == ProposalState::AwaitingApproval)
    };
    figures.policies = waiting().count() as u64;
    let first = waiting().min_by_key(|held| held.deadline);
    figures.policy = first.map(|held| super::views::policy::proposal_row(held));
    let owed = |request: &&Request| request.review_owed().is_some();
    figures.reviews_owed = since(state, now - TimeDelta::days(30)).filter(owed).count() as u64;
    let mut took: Vec<u64> = since(state, now - TimeDelta::days(30))
        .filter_map(|request| {
            let decided = match (&request.ended_by, request.state) {
                (Some(ending), RequestState::Denied) if ending.by != "policy" => Some(ending.at),
                _ => request.quorum().and_then(|_| approved_at(request)),
            };
            decided.map(|at| (at - request.submitted_at).num_seconds().max(0) as u64)
        })
        .collect();
    took.sort_unstable();
    figures.decide_p50_s = percentile(&took, 50);
    figures.decide_p95_s = percentile(&took, 95);
    figures
}

fn revocations(views: &Views<'_>) -> RevocationFigures {
    let from = views.now - TimeDelta::days(30);
    let (mut count, mut took) = (0, Vec::new());
    for revocation in views
        .state
        .revocations
        .values()
        .filter(|revocation| revocation.effective_at > from)
    {
        count += 1;
        if let Enforcement::Enforced { at, .. } = revocation.enforcement {
            took.push((at - revocation.effective_at).num_milliseconds().max(0) as u64);
        }
    }
    took.sort_unstable();
    RevocationFigures {
        count,
        p50_ms: percentile(&took, 50),
        p95_ms: percentile(&took, 95),
        max_ms: took.last().copied(),
        pending: views
            .state
            .to_enforce
            .iter()
            .filter_map(|id| views.state.revocations.get(id))
            .take(PENDING)
            .map(|revocation| views.revocation_row(revocation))
            .collect(),
        late: late(views),
    }
}

/// The oldest that gateways have yet to apply though their objectives are over. Of each gateway's the oldest are looked
/// at: a gateway that is away for long owes more than anybody reads.
fn late(views: &Views<'_>) -> Vec<RevocationRow> {
    let state = views.state;
    let serving = state
        .gateways
        .values()
        .filter(|gateway| gateway.removed_at.is_none());
    let owed: BTreeSet<_> = serving
        .flat_map(|gateway| state.unapplied_by(gateway.id).take(PENDING))
        .collect();
    let rows = owed
        .into_iter()
        .filter_map(|(_, id)| state.revocations.get(&id))
        .map(|revocation| views.revocation_row(revocation));
    rows.filter(|row| row.late > 0).take(PENDING).collect()
}

/// The smallest of `sorted` that at least `percent` percent do not exceed (nearest rank).
fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

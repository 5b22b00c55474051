//! What a fleet of 100,000 and of a million costs the console: reading the list, sorting it, and every letter of
//! a filter, once until the first screenful is there and once until all of it is. And what a key costs on the whole
//! screen, from the key to the bytes: the cursor moves, the list scrolls by a row, by half a page.
//!
//! `cargo bench --bench console`

use std::hint::black_box;
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use countersign::console::backend::{Options, Pace, Screen};
use countersign::console::command::Command;
use countersign::console::effect::Effect;
use countersign::console::event::{Event, LinkState};
use countersign::console::fleet::{Fleet, Sort, SortColumn, View};
use countersign::console::input::Input;
use countersign::console::keys::script;
use countersign::console::model::{Context, Model, Shared};
use countersign::console::run::{Incoming, Runner, World};
use countersign::console::theme::Theme;
use countersign::wire::columns::{BLOCK_ROWS, Decoded, Decoder, Shown, block_frame, header_frame};
use countersign::wire::filter::Filter;
use countersign::wire::{
    CredentialId, CredentialRow, CredentialState, Environment, Kind, ListHeader, Tier,
};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_692_327, 0).expect("a time")
}

/// A believable list, as it travels.
fn list(count: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let mut draw = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % below
    };
    let teams = [
        "payments", "ledger", "netops", "data", "platform", "storage", "obs", "cart",
    ];
    let uses = [
        "svc-api",
        "svc-etl",
        "wh-reader",
        "pg-rw",
        "kafka-tls",
        "deploy",
    ];
    let mut bytes = header_frame(&ListHeader {
        count: count as u64,
        sequence: 1,
    });
    let mut rows = Vec::with_capacity(BLOCK_ROWS);
    for number in 0..count {
        let team = teams[draw(8) as usize];
        let issued_at = now() - TimeDelta::seconds(draw(5_000_000) as i64);
        let bits = (issued_at.timestamp_millis() as u128) << 80 | u128::from(draw(u64::MAX)) << 33;
        rows.push(CredentialRow {
            id: CredentialId::from_bits(bits | number as u128),
            name: format!("{team}/{}-{number:07}", uses[draw(6) as usize]),
            environment: Environment::ALL[draw(3) as usize],
            kind: Kind::ALL[draw(4) as usize],
            client: format!("{team}-{}", draw(40)),
            owner: team.into(),
            tier: Tier::ALL[draw(4) as usize],
            state: CredentialState::Active,
            version: draw(40) as u32 + 1,
            accepted: 1,
            issued_at,
            expires_at: (draw(60) > 0).then(|| now() + TimeDelta::seconds(draw(7_776_000) as i64)),
            rotate_by: Some(issued_at + TimeDelta::days(30)),
            last_used_at: Some(now() - TimeDelta::seconds(draw(86_400) as i64)),
            sequence: number as u64 + 1,
        });
        if rows.len() == BLOCK_ROWS || number + 1 == count {
            bytes.extend(block_frame(rows.iter().map(Shown::from)));
            rows.clear();
        }
    }
    bytes
}

fn read(bytes: &[u8]) -> Fleet {
    let mut fleet = Fleet::default();
    let mut decoder = Decoder::default();
    for part in bytes.chunks(64 << 10) {
        for decoded in decoder.push(part).expect("our own list") {
            match decoded {
                Decoded::Header(header) => fleet.expect_rows(header.count),
                Decoded::Rows(block) => fleet.extend(&block),
            }
        }
    }
    fleet
}

fn filtered(view: &mut View, text: &str, fleet: &Fleet, whole: bool) {
    let filter = Filter::parse(text).expect("a filter");
    view.set_filter(&filter, fleet, now());
    while whole && view.busy() {
        view.advance(fleet, now());
    }
}

/// Nobody carries anything out.
struct Nowhere;

impl World for Nowhere {
    fn carry_out(&mut self, _effect: Effect) {}
}

/// The live console on a terminal of 120 by 40 that counts for nothing, with the list on it.
fn runner(bytes: &[u8]) -> Runner<std::io::Sink, Nowhere> {
    let mut shared = Shared::new(Context::default(), now(), (120, 40), 7);
    shared.fleet = read(bytes);
    let screen = Screen::new(std::io::sink(), 120, 40, Options::default(), Pace::off());
    let mut runner = Runner::new(Model::new(shared), screen, Theme::default(), Nowhere);
    for event in [
        Event::Loaded(true),
        Event::Link(LinkState::Live { latency_ms: 9 }),
        Event::Command(Command::ShowCredentials),
    ] {
        runner
            .take(Incoming::Event(event))
            .expect("a sink takes it");
    }
    runner.paint(now()).expect("a sink takes it");
    runner
}

fn press(runner: &mut Runner<std::io::Sink, Nowhere>, keys: &str) {
    for key in script(keys) {
        let key = Incoming::Input(Input::Key(key));
        runner.take(key).expect("a sink takes it");
        runner.paint(now()).expect("a sink takes it");
    }
}

fn keys(criterion: &mut Criterion) {
    let bytes = list(100_000);
    let mut runner = runner(&bytes);
    let down = "j".repeat(60);
    let mut group = criterion.benchmark_group("a key on the whole screen, 100000 rows");
    for (what, lead, there, back) in [
        ("move", "gg", "j", "k"),
        ("scroll", down.as_str(), "j", ""),
        ("page", "gg", "<pgdn>", "<pgup>"),
    ] {
        press(&mut runner, lead);
        let runner = std::cell::RefCell::new(&mut runner);
        group.bench_function(what, |bench| {
            bench.iter_batched(
                || press(&mut runner.borrow_mut(), back),
                |()| press(&mut runner.borrow_mut(), there),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn console(criterion: &mut Criterion) {
    for count in [100_000, 1_000_000] {
        let bytes = list(count);
        let fleet = read(&bytes);
        let mut group = criterion.benchmark_group(format!(
            "{count} rows, {} B a row on the wire, {} B in memory",
            bytes.len() / count,
            fleet.memory() / count + 8
        ));
        group.sample_size(10);
        group.bench_function("read the list", |bench| {
            bench.iter(|| black_box(read(&bytes)));
        });
        let mut sorted = View::default();
        let sort = Sort {
            column: SortColumn::Left,
            descending: false,
        };
        group.bench_function("sort", |bench| {
            bench.iter(|| sorted.set_sort(sort, &fleet, now()));
        });
        let typed = [
            "l",
            "le",
            "ledger",
            "0123456",
            "env:prod & left<24h",
            "nosuchname",
        ];
        for text in typed {
            for whole in [false, true] {
                let what = if whole { "all" } else { "first screenful" };
                group.bench_function(format!("{text}: {what}"), |bench| {
                    bench.iter_custom(|rounds| {
                        let mut view = sorted.clone();
                        let mut spent = std::time::Duration::ZERO;
                        for _ in 0..rounds {
                            filtered(&mut view, "", &fleet, true);
                            let begin = Instant::now();
                            filtered(&mut view, text, &fleet, whole);
                            spent += begin.elapsed();
                        }
                        spent
                    });
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, keys, console);
criterion_main!(benches);

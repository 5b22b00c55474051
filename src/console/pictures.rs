//! The pictures of the documents: every screen, drawn by the program itself from fixed data.

use super::backend::{Frame, Options, Pace, Screen};
use super::effect::Call;
use super::event::{Event, LinkState, Reply};
use super::fixture;
use super::model::{Context, Model, Shared};
use super::record::Recording;
use super::screens::{ScreenId, samples};
use super::theme::Theme;
use super::update::update;
use super::view::view;
use crate::wire::{CredentialDetail, CredentialId, Environment, Page, RequestRow};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::time::Instant;

/// The sizes that every screen must be right at.
const SIZES: [(u16, u16); 2] = [(80, 24), (120, 40)];

/// Every picture by its name, such as `overview-80x24`.
pub fn all() -> Vec<(String, Buffer)> {
    let mut pictures = Vec::new();
    for size in SIZES {
        let named = |name: &str| format!("{name}-{}x{}", size.0, size.1);
        pictures.push((named("overview"), draw(&answered(size, ScreenId::Overview))));
        let mut holdings = answered(size, ScreenId::Overview);
        fixture::press(&mut holdings, ":operator ravi.p<enter>");
        answer_all(&mut holdings);
        pictures.push((named("holdings"), draw(&holdings)));
        let mut queue = answered(size, ScreenId::Approvals);
        pictures.push((named("approvals"), draw(&queue)));
        fixture::press(&mut queue, "j<enter>");
        answer_all(&mut queue);
        pictures.push((named("review"), draw(&queue)));
        fixture::press(&mut queue, "<pgdn><pgdn><pgdn>.");
        pictures.push((named("act-menu"), draw(&queue)));
        let mut fleet = fixture::model(size, ScreenId::Credentials);
        fixture::press(&mut fleet, "j<space>jjj");
        // The detail of where the cursor was at first, then of where it rests.
        for _ in 0..2 {
            answer_all(&mut fleet);
            update(&mut fleet, &Event::Tick(fixture::now()));
        }
        answer_all(&mut fleet);
        pictures.push((named("credentials"), draw(&fleet)));
        fixture::press(&mut fleet, "?");
        pictures.push((named("help"), draw(&fleet)));
        let mut rotating = answered(size, ScreenId::Rotation);
        fixture::press(&mut rotating, "jjjjj");
        answer_all(&mut rotating);
        pictures.push((named("rotation"), draw(&rotating)));
        fixture::press(&mut rotating, "<tab><enter>");
        pictures.push((named("calendar"), draw(&rotating)));
        fixture::press(&mut rotating, "<tab>");
        pictures.push((named("compliance"), draw(&rotating)));
        let mut revoked = answered(size, ScreenId::Revocations);
        fixture::press(&mut revoked, "j");
        fixture::press(&mut revoked, "k");
        answer_all(&mut revoked);
        pictures.push((named("revocations"), draw(&revoked)));
        fixture::press(&mut revoked, "<tab>");
        pictures.push((named("gateways"), draw(&revoked)));
        pictures.push((named("audit"), draw(&answered(size, ScreenId::Audit))));
        pictures.push((named("policy"), draw(&answered(size, ScreenId::Policy))));
    }
    pictures
}

/// A picture's glyphs, a line a row: what a test without fonts compares.
pub fn text(buffer: &Buffer) -> String {
    let area = buffer.area;
    let mut text = String::new();
    for y in 0..area.height {
        let row: String = (0..area.width).map(|x| buffer[(x, y)].symbol()).collect();
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// A console on one screen, signed in, live, and with an answer to everything that it has asked.
fn answered(size: (u16, u16), screen: ScreenId) -> Model {
    let context = Context {
        name: "prod".into(),
        url: "https://countersign.example".into(),
        environment: Some(Environment::Production),
        ..Context::default()
    };
    let mut shared = Shared::new(context, samples::now(), size, 7);
    shared.session = Some(samples::session());
    shared.heard_at = Some(samples::now());
    shared.chain = samples::whole();
    let mut model = Model::new(shared);
    model.current = screen;
    update(
        &mut model,
        &Event::Link(LinkState::Live { latency_ms: 184 }),
    );
    answer_all(&mut model);
    model
}

fn answer_all(model: &mut Model) {
    // An answer may make a screen ask for more; three rounds are more than any screen needs.
    for _ in 0..3 {
        for (id, call) in model.shared.calls.clone() {
            let reply = match call {
                Call::Session => Reply::Session(Box::new(samples::session())),
                Call::Overview => {
                    let mut overview = samples::overview();
                    overview.recent = samples::log::page().items;
                    overview.recent.truncate(16);
                    Reply::Overview(Box::new(overview))
                }
                Call::Requests { .. } => Reply::Requests(queue()),
                Call::Credential(id) => Reply::Credential(Box::new(credential(model, id))),
                Call::Request(_) => Reply::Request(Box::new(samples::detail())),
                Call::Events { .. } => Reply::Events(samples::log::page()),
                Call::HeldBy(_) => Reply::HeldBy(Box::new(samples::held::held())),
                Call::Revocations { .. } => {
                    let rows = samples::revocations::rows();
                    Reply::Revocations(samples::revocations::page(rows))
                }
                Call::Revocation(_) => Reply::Revocation(Box::new(samples::revocations::detail())),
                Call::Rotations { .. } => Reply::Rotations(Box::new(samples::rotation::calendar())),
                Call::Rotation(_) => Reply::Rotation(Box::new(samples::rotation::detail())),
                Call::Gateways => Reply::Gateways(samples::revocations::gateways()),
                Call::Policies => Reply::Policies(Box::new(samples::policy::policies())),
                Call::Policy(_) => Reply::Policy(Box::new(samples::policy::version())),
                Call::Proposal(_) => Reply::Proposal(Box::new(samples::policy::proposal())),
                Call::Simulate(_) => Reply::Simulation(Box::new(samples::policy::simulation())),
                _ => continue,
            };
            update(model, &Event::Reply(id, Box::new(Ok(reply))));
        }
    }
}

/// The one credential that is known in full, or another one's row with the same detail.
fn credential(model: &Model, id: CredentialId) -> CredentialDetail {
    let mut detail = fixture::credential();
    let fleet = &model.shared.fleet;
    if let Some(row) = fleet.find(id).and_then(|row| fleet.get(row)) {
        detail.row = row;
    }
    detail
}

/// The sample queue without the rows that are there to be hostile: the bundled font has no such letters.
fn queue() -> Page<RequestRow> {
    let mut items = samples::requests();
    items.retain(|row| drawable(&row.requester) && drawable(&row.credential));
    Page {
        next: None,
        total: items.len() as u64,
        sequence: 918_204,
        items,
    }
}

/// The bundled font draws Latin letters only.
fn drawable(text: &str) -> bool {
    text.is_ascii()
}

/// The last screen of a recorded session, and what to know of it.
pub fn last_screen(recording: &Recording) -> String {
    let model = recording.replay();
    let mut shown = text(&draw(&model));
    if let Some(notice) = recording.notice() {
        shown.push_str(&notice);
        shown.push('\n');
    }
    shown
}

fn draw(model: &Model) -> Buffer {
    let (width, height) = model.shared.size;
    let mut screen = Screen::new(Vec::new(), width, height, Options::default(), Pace::off());
    let mut drawn = Buffer::empty(Rect::new(0, 0, width, height));
    let paint = |frame: &mut Frame<'_>| {
        view(model, frame, &Theme::default());
        drawn = frame.buffer.clone();
    };
    screen
        .draw(Instant::now(), paint)
        .expect("writing into memory cannot fail");
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn no_picture_is_stale() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("screenshots");
        for (name, buffer) in all() {
            let file = folder.join(format!("{name}.txt"));
            let committed = std::fs::read_to_string(&file)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert_eq!(
                committed,
                text(&buffer),
                "{name} is stale: cargo run --features dev --bin dev screenshots"
            );
            for drawn in ["svg", "png"] {
                let file = folder.join(format!("{name}.{drawn}"));
                assert!(file.exists(), "{} is missing", file.display());
            }
        }
    }
}

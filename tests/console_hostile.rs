//! The built console on a terminal, before servers that lie, stall, flood and break off: what is wrong stands on the
//! screen in words, keys are answered meanwhile, memory stays bounded, and `q` quits.

#![expect(
    clippy::unwrap_used,
    reason = "a panic in a test's helper is its report"
)]

#[path = "hostile_server/certificates.rs"]
mod certificates;
#[path = "hostile_server/manners.rs"]
mod manners;
mod support;
#[path = "support/tty.rs"]
mod tty;

use certificates::{authority, tls_server};
use manners::{Hostility, answer, carry_out, head};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use support::BrokerProcess;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tty::{AND_WAIT, Tty, builder};

/// What a console may hold at most while it is flooded, in kB: a fifth of what is sent to it beside what it holds on a
/// quiet broker.
const MEMORY_MAX_KB: u64 = 200_000;
const COLUMNS: &str = "content-type: application/vnd.countersign.columns\r\n";
const JSON: &str = "content-type: application/json\r\n";
const HUNDRED_MB: u64 = 100_000_000;

/// Which paths are treated how; the others go to `behind`, if there is one.
type Manners = fn(&str) -> Option<Hostility>;

/// A server that treats every connection by the path that it asks for.
async fn serve(manners: Manners, behind: Option<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            tokio::spawn(one(socket, manners, behind.clone()));
        }
    });
    url
}

async fn one(
    mut socket: TcpStream,
    manners: Manners,
    behind: Option<String>,
) -> std::io::Result<()> {
    let request = head(&mut socket).await?;
    let text = String::from_utf8_lossy(&request).into_owned();
    let path = text.split(' ').nth(1).unwrap_or_default();
    if let Some(hostility) = manners(path) {
        return carry_out(socket, hostility, Arc::new(AtomicU64::new(0))).await;
    }
    let Some(behind) = behind else {
        return carry_out(socket, answer("404 No", "", ""), Arc::default()).await;
    };
    // One request a connection, so that each is treated by its own path.
    let once = text.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    let mut there = TcpStream::connect(behind.trim_start_matches("http://")).await?;
    there.write_all(once.as_bytes()).await?;
    tokio::io::copy_bidirectional(&mut socket, &mut there).await?;
    Ok(())
}

/// The console on a terminal, running.
struct Console {
    tty: Tty,
    process: String,
}

impl Console {
    fn open(url: &str, token: &str) -> Self {
        Self::begin(Tty::open(url, token, AND_WAIT, 120, 40))
    }

    fn begin(tty: Tty) -> Self {
        tty.send("\n");
        tty.wait_until("the console", |shown| {
            let screen = shown.emulator.screen();
            screen.alternate_screen() && screen.contents().contains("Overview")
        });
        let process = tty.program();
        Self { tty, process }
    }

    /// Waits for words that may be broken over lines.
    fn says(&self, words: &str) {
        self.tty.wait_until(words, |shown| {
            let text = shown.emulator.screen().contents();
            let flat: Vec<&str> = text.split_whitespace().collect();
            flat.join(" ").contains(words)
        });
    }

    /// It answers keys, holds no more than it may, and quits when it is told to.
    fn goes_on_well(self, name: &str) {
        self.tty.send("?");
        self.says("KEYS");
        self.tty.send("\x1b");
        self.tty.send("3");
        self.says("sort left");
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process)).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak: u64 = peak
            .and_then(|text| text.split_whitespace().next())
            .and_then(|text| text.parse().ok())
            .unwrap();
        assert!(peak < MEMORY_MAX_KB, "{name}: {peak} kB");
        self.tty.send("q");
        self.tty.wait_for("ended:0:");
    }
}

fn garbage() -> Vec<u8> {
    (0..200_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

fn bytes(headers: &str, body: &[u8]) -> Hostility {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}connection: close\r\n\r\n");
    Hostility::Bytes([head.as_bytes(), body].concat())
}

fn flood(headers: &str) -> Hostility {
    Hostility::Flood {
        head: format!("HTTP/1.1 200 OK\r\n{headers}connection: close\r\n\r\n\""),
        bytes: HUNDRED_MB,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_hostile_altogether_is_named_and_survived() {
    let cases: &[(&str, Manners, &str)] = &[
        (
            "wrong types",
            |_| Some(answer("200 OK", JSON, "[1,2")),
            "and got application/json",
        ),
        (
            "half a body",
            |_| {
                Some(bytes(
                    &format!("{COLUMNS}content-length: 5000\r\n"),
                    &[9, 0, 0, 0, b'{'],
                ))
            },
            "broke before the answer was complete",
        ),
        (
            "a list that breaks off",
            |_| Some(bytes(COLUMNS, &[9, 0, 0, 0, b'{'])),
            "the list breaks off",
        ),
        (
            "garbage",
            |_| Some(bytes(COLUMNS, &garbage())),
            "cannot understand the broker's answer",
        ),
        (
            "100 MB",
            |_| Some(flood(COLUMNS)),
            "cannot understand the broker's answer",
        ),
        (
            "429",
            |_| Some(answer("429 Slow", "retry-after: 60\r\n", "slow")),
            "answered 429 without saying why",
        ),
        (
            "503",
            |_| Some(answer("503 Down", "retry-after: 60\r\n", "")),
            "answered 503 without saying why",
        ),
        (
            "no HTTP",
            |_| Some(Hostility::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())),
            "broke before the answer was complete",
        ),
        (
            "elsewhere",
            |_| Some(answer("302 Found", "location: http://127.0.0.1:1/\r\n", "")),
            "points elsewhere",
        ),
        (
            "a title that a terminal obeys",
            |_| {
                Some(answer(
                    "403 No",
                    "content-type: application/problem+json\r\n",
                    "{\"type\":\"\",\"title\":\"\\u001b[2J\\u202eNo\",\"status\":403,\"detail\":\"\\u0007\",\"instance\":\"\",\"fault\":\"caller\"}",
                ))
            },
            "\\u{1b}[2J\\u{202e}No",
        ),
        (
            "nobody signs in here",
            |_| Some(answer("401 Who", "", "")),
            "Sign in by `countersign login`",
        ),
    ];
    for &(name, manners, words) in cases {
        let url = serve(manners, None).await;
        let check = move || {
            let console = Console::open(&url, "cs_a_token");
            console.says(words);
            console.goes_on_well(name);
        };
        tokio::task::spawn_blocking(check).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_keeps_nobody_from_the_keys() {
    let silence = |_: &str| {
        Some(Hostility::Silence {
            head: String::new(),
        })
    };
    let drip = |_: &str| {
        Some(Hostility::Drip {
            head: format!("HTTP/1.1 200 OK\r\n{COLUMNS}\r\n"),
        })
    };
    for (name, manners, words) in [
        ("silence", silence as Manners, "connecting"),
        // Blanks are no list: the first four of them claim a frame of half a gigabyte.
        ("a drip", drip as Manners, "a frame of 538976288 bytes"),
    ] {
        let url = serve(manners, None).await;
        let check = move || {
            let console = Console::open(&url, "cs_a_token");
            console.says(words);
            console.goes_on_well(name);
        };
        tokio::task::spawn_blocking(check).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_in_one_place_is_said_and_the_rest_works() {
    let broker = BrokerProcess::start("");
    let cases: &[(&str, Manners, &str)] = &[
        (
            "an overview of wrong types",
            |path| {
                path.starts_with("/v1/overview")
                    .then(|| answer("200 OK", JSON, "{\"sequence\":\"many\"}"))
            },
            "overview: cannot understand the broker's answer",
        ),
        (
            "half an overview",
            |path| {
                path.starts_with("/v1/overview")
                    .then(|| bytes(&format!("{JSON}content-length: 900\r\n"), b"{\"seq"))
            },
            "overview: the connection to",
        ),
        (
            "an overview of 100 MB",
            |path| path.starts_with("/v1/overview").then(|| flood(JSON)),
            "overview: the broker's answer is larger than 16777216 bytes",
        ),
        (
            "an overview that is too much to ask for",
            |path| {
                path.starts_with("/v1/overview")
                    .then(|| answer("429 Slow", "retry-after: 60\r\n", ""))
            },
            "overview: ",
        ),
        (
            "a session that is none",
            |path| {
                path.starts_with("/v1/session")
                    .then(|| answer("200 OK", JSON, "[]"))
            },
            "who is signed in is not known: cannot understand",
        ),
        (
            "garbage for a stream",
            |path| {
                path.starts_with("/v1/events")
                    .then(|| bytes("content-type: text/event-stream\r\n", &garbage()))
            },
            "Tried again at",
        ),
        (
            "a stream that floods",
            |path| {
                path.starts_with("/v1/events").then(|| Hostility::Flood { head: "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\nid: 1\ndata: ".into(), bytes: HUNDRED_MB })
            },
            "an event is larger than",
        ),
        (
            "a stream of wrong types",
            |path| {
                path.starts_with("/v1/events").then(|| {
                    bytes(
                        "content-type: text/event-stream\r\n",
                        b"id: 3\ndata: {\"event\":7}\n\n",
                    )
                })
            },
            "event 3 cannot be understood",
        ),
        (
            "a log that is none",
            |path| {
                path.starts_with("/log/checkpoint").then(|| {
                    answer(
                        "200 OK",
                        "content-type: text/plain\r\n",
                        "not a checkpoint\n",
                    )
                })
            },
            "ALARM",
        ),
    ];
    for &(name, manners, words) in cases {
        let url = serve(manners, Some(broker.url().to_owned())).await;
        let token = broker.admin_token();
        let check = move || {
            let console = Console::open(&url, &token);
            console.says(words);
            console.goes_on_well(name);
        };
        tokio::task::spawn_blocking(check).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_has_expired_is_named() {
    let ours = authority("ours");
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, &ours.pem).unwrap();
    let expired = tls_server(&ours, |params| {
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    let url = format!("https://localhost:{}", expired.port());
    let check = move || {
        let program = support::broker::program();
        let words = ["sh", "-c", AND_WAIT, "sh", program.to_str().unwrap()];
        let mut shell = builder(&url, "cs_a_token", &words);
        shell.env("COUNTERSIGN_CA_FILE", ca_file);
        let console = Console::begin(Tty::spawn(shell, 120, 40));
        console.says("its certificate has expired");
        console.goes_on_well("an expired certificate");
    };
    tokio::task::spawn_blocking(check).await.unwrap();
}

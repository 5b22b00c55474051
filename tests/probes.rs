//! Probes against what they are for: a real nginx that checks a key, a real PostgreSQL that checks a login.

#![expect(
    clippy::unwrap_used,
    reason = "a panic in a test's helper is its report"
)]

mod support;

use countersign::{
    probes::{Probe, ProbeOutcome, from_table},
    secret::SecretMaterial,
};
use std::path::Path;
use support::{Postgres, START, free_port, process::Server, wait_until};

fn probe(text: &str) -> Box<dyn Probe> {
    from_table(toml::from_str(text).unwrap()).unwrap()
}

fn key(text: &str) -> SecretMaterial {
    SecretMaterial::new(text.to_owned())
}

fn login(user: &str, password: &str) -> SecretMaterial {
    SecretMaterial::from_fields(&[("username", user), ("password", password)])
}

fn failed(reason: &str) -> ProbeOutcome {
    ProbeOutcome::Failed {
        reason: reason.to_owned(),
    }
}

/// An nginx that takes one key at `/`, sends it on at `/moved`, and passes `/slow` to somebody who never answers.
async fn nginx(folder: &Path, silent: u16) -> (Server, u16) {
    let port = free_port();
    let shown = folder.display();
    let config = format!(
        "daemon off; pid {shown}/pid; error_log {shown}/error.log; worker_processes 1;\n\
         events {{ worker_connections 64; }}\n\
         http {{ access_log off; client_body_temp_path {shown}/a; proxy_temp_path {shown}/b; fastcgi_temp_path {shown}/c;\n\
         uwsgi_temp_path {shown}/d; scgi_temp_path {shown}/e;\n\
         server {{ listen 127.0.0.1:{port};\n\
         location = / {{ if ($http_authorization != \"Bearer right\") {{ return 401; }} return 204; }}\n\
         location = /moved {{ return 307 http://127.0.0.1:{silent}/; }}\n\
         location = /slow {{ proxy_pass http://127.0.0.1:{silent}; }} }} }}\n"
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let command = [
        "nginx",
        "-c",
        file.to_str().unwrap(),
        "-p",
        folder.to_str().unwrap(),
    ];
    let command = command.map(str::to_owned);
    let mut server = Server::start("TERM", &command, &folder.join("log"));
    wait_until(START, "nginx listens", async || {
        server.assert_running("nginx");
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    })
    .await;
    (server, port)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_used_as_its_service_would() {
    let folder = tempfile::tempdir().unwrap();
    // It listens, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf = silent.local_addr().unwrap().port();
    let (_nginx, port) = nginx(folder.path(), deaf).await;
    let at = |path: &str| {
        probe(&format!(
            "type = \"http\"\nurl = \"http://127.0.0.1:{port}{path}\"\nstatus = 204\ntimeout_s = 1\n"
        ))
    };
    assert_eq!(
        at("/").probe(&key("right")).await,
        ProbeOutcome::Passed {
            seen: "it answered 204".into()
        }
    );
    assert_eq!(
        at("/").probe(&key("wrong")).await,
        failed("it answered 401 where 204 was expected")
    );
    assert_eq!(
        at("/moved").probe(&key("right")).await,
        failed("it answered 307 where 204 was expected"),
        "the key is not sent on"
    );
    assert_eq!(
        at("/slow").probe(&key("right")).await,
        ProbeOutcome::NoAnswer {
            reason: "it did not answer within 1 s".into()
        }
    );
    assert!(matches!(
        at("/").probe(&login("a", "b")).await,
        ProbeOutcome::Failed { reason } if reason.contains("no bearer token")
    ));
    let gone = probe(&format!(
        "type = \"http\"\nurl = \"http://127.0.0.1:{}/\"\n",
        free_port()
    ));
    assert_eq!(
        gone.probe(&key("right")).await,
        ProbeOutcome::NoAnswer {
            reason: "it cannot be reached".into()
        }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_tried_at_its_database() {
    let mut postgres = Postgres::start();
    postgres.ask("CREATE ROLE app LOGIN PASSWORD 'right'");
    let url = postgres.url();
    let place = url.rsplit_once('@').unwrap().1;
    let database = probe(&format!(
        "type = \"postgres\"\nurl = \"postgres://{place}\"\ntimeout_s = 5\n"
    ));
    assert!(matches!(
        database.probe(&login("app", "right")).await,
        ProbeOutcome::Passed { .. }
    ));
    let ProbeOutcome::Failed { reason } = database.probe(&login("app", "hunter2")).await else {
        panic!("a wrong password logs in");
    };
    assert!(reason.contains("authentication failed"), "{reason}");
    assert!(!reason.contains("hunter2"), "{reason}");
    postgres.ask("ALTER ROLE app NOLOGIN");
    let ProbeOutcome::Failed { reason } = database.probe(&login("app", "right")).await else {
        panic!("a closed login logs in");
    };
    assert!(reason.contains("not permitted to log in"), "{reason}");
    postgres.stop();
    assert!(matches!(
        database.probe(&login("app", "right")).await,
        ProbeOutcome::NoAnswer { .. }
    ));
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf = probe(&format!(
        "type = \"postgres\"\nurl = \"postgres://127.0.0.1:{}/x\"\ntimeout_s = 1\n",
        silent.local_addr().unwrap().port()
    ));
    assert_eq!(
        deaf.probe(&login("app", "right")).await,
        ProbeOutcome::NoAnswer {
            reason: "it did not answer within 1 s".into()
        }
    );
}

#[test]
fn what_cannot_work_is_said_with_its_field() {
    for (text, expected) in [
        ("type = \"ping\"", "type: expected http or postgres"),
        (
            "type = \"http\"\nurl = \"http://api.example/\"",
            "url: plain http",
        ),
        (
            "type = \"http\"\nurl = \"https://x/\"\nstatus = 302",
            "status: expected a final",
        ),
        (
            "type = \"http\"\nurl = \"https://x/\"\ntimeout_s = 61",
            "timeout_s: expected 1 to 60",
        ),
        (
            "type = \"postgres\"\nurl = \"postgres://a:b@127.0.0.1/x\"",
            "url: expected no login",
        ),
        (
            "type = \"postgres\"\nurl = \"https://x/\"",
            "url: expected postgres://",
        ),
        (
            "type = \"postgres\"\nurl = \"postgres://db.example/x\"",
            "url: the password would go",
        ),
    ] {
        let table = toml::from_str(text).unwrap();
        let said = from_table(table).err().unwrap().to_string();
        assert!(said.starts_with(expected), "{said}");
    }
    let tls = "type = \"postgres\"\nurl = \"postgres://db.example/x?sslmode=require\"";
    assert!(from_table(toml::from_str(tls).unwrap()).is_ok());
}

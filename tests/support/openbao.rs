//! A private OpenBao server: the real binary, in-memory storage, a file audit device, initialised and unsealed by
//! its API; with database roles on a test PostgreSQL and a broker token that has just the rights of `assets/openbao`.

use super::postgres::{PASSWORD, Postgres};
use super::process::Server;
use super::{START, free_port, wait_until};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub struct OpenBao {
    server: Server,
    folder: TempDir,
    port: u16,
    root_token: String,
    unseal_key: String,
    http: reqwest::Client,
}

/// Makes a login, and ends it with its open sessions.
const CREATE: &str = "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'; \
                      GRANT pg_read_all_data TO \"{{name}}\"";
const REVOKE: [&str; 4] = [
    "DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{{name}}') THEN \
     ALTER ROLE \"{{name}}\" NOLOGIN; END IF; END $$",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{{name}}'",
    "DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{{name}}') THEN \
     DROP OWNED BY \"{{name}}\"; END IF; END $$",
    "DROP ROLE IF EXISTS \"{{name}}\"",
];

impl OpenBao {
    /// A fresh server, unsealed and active, with nothing mounted yet. Its storage is memory: it can be sealed and
    /// unsealed, and is empty once stopped.
    pub async fn start() -> Self {
        Self::start_on(|_| "storage \"inmem\" {}".to_owned()).await
    }

    /// The same on a disk, for a test that stops it and starts it again.
    pub async fn start_durable() -> Self {
        Self::start_on(|folder| {
            let path = folder.join("raft");
            std::fs::create_dir(&path).expect("the folder is writable");
            format!(
                "storage \"raft\" {{\n  path = \"{}\"\n  node_id = \"one\"\n}}",
                path.display()
            )
        })
        .await
    }

    async fn start_on(storage: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("cs-bao-")
            .tempdir()
            .expect("a temporary folder");
        let (port, cluster_port) = (free_port(), free_port());
        let config = format!(
            "{}\napi_addr = \"http://127.0.0.1:{port}\"\ncluster_addr = \"http://127.0.0.1:{cluster_port}\"\n\
             listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  cluster_address = \"127.0.0.1:{cluster_port}\"\n  \
             tls_disable = true\n}}\n\
             audit \"file\" \"file\" {{\n  options {{\n    file_path = \"{}\"\n  }}\n}}\n",
            storage(folder.path()),
            folder.path().join("audit.log").display()
        );
        let config_file = folder.path().join("config.hcl");
        std::fs::write(&config_file, config).expect("the folder is writable");
        let server = launch(folder.path());
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client without options");
        let mut bao = Self {
            server,
            folder,
            port,
            root_token: String::new(),
            unseal_key: String::new(),
            http,
        };
        bao.initialise().await;
        bao
    }

    /// `http://127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn root_token(&self) -> &str {
        &self.root_token
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn log(&self) -> String {
        self.server.log()
    }

    /// Its audit log: one JSON object a line.
    pub fn audit_log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("audit.log")).unwrap_or_default()
    }

    /// Kills it.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Starts a durable one again, at the same port with what it held, unsealed and active.
    pub async fn start_again(&mut self) {
        self.server = launch(self.folder.path());
        self.answers().await;
        self.unseal().await;
    }

    /// Seals it: it answers, and does nothing.
    pub async fn seal(&self) {
        self.root("PUT", "sys/seal", json!({})).await;
    }

    /// Unseals it, and waits until it works again.
    pub async fn unseal(&self) {
        let body = json!({"key": self.unseal_key});
        self.root("PUT", "sys/unseal", body).await;
        wait_until(START, "OpenBao is active", async || {
            self.call("", "GET", "sys/health", Value::Null).await.ok()
        })
        .await;
    }

    /// A call as root; the answer's JSON (`null` for no content). Panics on failure.
    pub async fn root(&self, method: &str, path: &str, body: Value) -> Value {
        match self.call(&self.root_token, method, path, body).await {
            Ok(answer) => answer,
            Err((status, answer)) => {
                panic!("{method} {path} gave {status}: {answer}\n{}", self.log())
            }
        }
    }

    /// A call with this token; status and JSON when it fails.
    pub async fn call(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Value,
    ) -> Result<Value, (u16, Value)> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self
            .http
            .request(method, format!("{}/v1/{path}", self.address()))
            .header("Content-Type", "application/json");
        if !token.is_empty() {
            request = request.header("X-Vault-Token", token);
        }
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        let answer = request
            .send()
            .await
            .map_err(|error| (0, Value::from(error.to_string())))?;
        let status = answer.status();
        let text = answer
            .text()
            .await
            .map_err(|error| (0, Value::from(error.to_string())))?;
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            Ok(json)
        } else {
            Err((status.as_u16(), json))
        }
    }

    /// Mounts `database/` on this PostgreSQL with the roles `app-ro` (1 h by default, 24 h at most), `app-short` (60 s
    /// at most), `stuck` (its revocation fails) and `broken` (its creation fails); writes the broker's policies and
    /// its token role; logs `x-countersign-request` in clear.
    pub async fn set_up_database(&self, postgres: &Postgres) {
        self.root("POST", "sys/mounts/database", json!({"type": "database"}))
            .await;
        let url = format!(
            "postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{}/postgres?sslmode=disable&connect_timeout=5",
            postgres.port()
        );
        let connection = json!({
            "plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "connection_url": url,
            "username": "postgres", "password": PASSWORD,
        });
        self.root("POST", "database/config/app", connection).await;
        self.add_role("app-ro", "1h", "24h", CREATE, &REVOKE).await;
        self.add_role("app-short", "30s", "60s", CREATE, &REVOKE)
            .await;
        self.add_role(
            "stuck",
            "1h",
            "24h",
            CREATE,
            &["SELECT no_such_function('{{name}}')"],
        )
        .await;
        self.add_role(
            "broken",
            "1h",
            "24h",
            "CREATE NONSENSE \"{{name}}\"",
            &REVOKE,
        )
        .await;
        for name in ["countersign", "countersign-issue"] {
            let file =
                Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("assets/openbao/{name}.hcl"));
            let policy = std::fs::read_to_string(&file).expect("the policy is in assets/openbao");
            self.root(
                "PUT",
                &format!("sys/policies/acl/{name}"),
                json!({"policy": policy}),
            )
            .await;
        }
        self.log_request_header().await;
        let role = json!({
            "allowed_policies": "countersign-issue", "orphan": true, "renewable": false, "token_no_default_policy": true,
        });
        self.root("POST", "auth/token/roles/countersign", role)
            .await;
    }

    /// Has the audit log name what each call is for.
    async fn log_request_header(&self) {
        let header = "sys/config/auditing/request-headers/x-countersign-request";
        self.root("POST", header, json!({"hmac": false})).await;
    }

    /// Adds or replaces a role of the database engine.
    pub async fn add_role(
        &self,
        name: &str,
        default_ttl: &str,
        max_ttl: &str,
        create: &str,
        revoke: &[&str],
    ) {
        let role = json!({
            "db_name": "app", "default_ttl": default_ttl, "max_ttl": max_ttl,
            "creation_statements": [create], "revocation_statements": revoke,
        });
        self.root("POST", &format!("database/roles/{name}"), role)
            .await;
    }

    /// A broker token as `assets/openbao/countersign.hcl` says to make one.
    pub async fn broker_token(&self) -> String {
        let body = json!({
            "policies": ["countersign"], "no_default_policy": true, "no_parent": true, "period": "24h",
            "display_name": "countersign-broker",
        });
        let answer = self.root("POST", "auth/token/create", body).await;
        answer["auth"]["client_token"]
            .as_str()
            .expect("a token")
            .to_owned()
    }

    /// The same, in a file of mode 0600 in this server's folder.
    pub async fn broker_token_file(&self) -> PathBuf {
        let token = self.broker_token().await;
        self.token_file(&token)
    }

    fn token_file(&self, token: &str) -> PathBuf {
        use std::os::unix::fs::OpenOptionsExt as _;
        let (mut file, path) = tempfile::Builder::new()
            .prefix("broker-token-")
            .make_in(self.folder.path(), |path| {
                std::fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(path)
            })
            .and_then(|file| file.keep().map_err(Into::into))
            .expect("the folder is writable");
        std::io::Write::write_all(&mut file, token.as_bytes()).expect("the file is writable");
        path
    }

    /// Mounts KV v2 at `secret/` unless it is there, and gives the table of a `kv2` destination on it, without its
    /// header: its token has just the rights of `countersign-deliver.hcl`.
    pub async fn kv2_toml(&self, prefixes: &[&str]) -> String {
        let mount = json!({"type": "kv", "options": {"version": "2"}});
        // There already, after the first call.
        let _ = self
            .call(&self.root_token, "POST", "sys/mounts/secret", mount)
            .await;
        let policy = include_str!("../../assets/openbao/countersign-deliver.hcl");
        let name = "countersign-deliver";
        let path = format!("sys/policies/acl/{name}");
        self.root("PUT", &path, json!({"policy": policy})).await;
        let body = json!({
            "policies": [name], "no_default_policy": true, "no_parent": true, "period": "24h", "display_name": name,
        });
        let answer = self.root("POST", "auth/token/create", body).await;
        let token = answer["auth"]["client_token"].as_str().expect("a token");
        self.log_request_header().await;
        // A new mount is upgraded for a moment.
        wait_until(START, "KV v2 works", async || {
            let path = "secret/config";
            self.call(&self.root_token, "GET", path, Value::Null)
                .await
                .ok()
        })
        .await;
        format!(
            "type = \"kv2\"\naddress = {:?}\ntoken_file = \"{}\"\nprefixes = {prefixes:?}\n",
            self.address(),
            self.token_file(token).display(),
        )
    }

    /// The `[openbao]` section for a broker that uses this pair of servers, as TOML without its header.
    pub async fn config_toml(&self, postgres: &Postgres) -> String {
        format!(
            "address = {:?}\ntoken_file = \"{}\"\ntoken_role = \"countersign\"\npostgres_url = {:?}\n\
             roles = [\"database/creds/app-ro\", \"database/creds/app-short\", \"database/creds/stuck\", \
             \"database/creds/broken\"]\n",
            self.address(),
            self.broker_token_file().await.display(),
            postgres.url(),
        )
    }

    async fn initialise(&mut self) {
        self.answers().await;
        let body = json!({"secret_shares": 1, "secret_threshold": 1});
        let init = self.root("PUT", "sys/init", body).await;
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        self.root_token = text(&init["root_token"]);
        self.unseal_key = text(&init["keys"][0]);
        self.unseal().await;
    }

    async fn answers(&mut self) {
        wait_until(START, "OpenBao answers", async || {
            self.server.assert_running("OpenBao");
            let state = self.call("", "GET", "sys/seal-status", Value::Null);
            state.await.ok()
        })
        .await;
    }
}

fn launch(folder: &Path) -> Server {
    let command = [
        find_bao(),
        "server".into(),
        "-config".into(),
        folder.join("config.hcl").display().to_string(),
    ];
    Server::start("KILL", &command, &folder.join("log"))
}

/// The real binary: `COUNTERSIGN_TEST_BAO`, then `PATH`, then where `tests/run.sh` puts it.
fn find_bao() -> String {
    if let Some(path) = std::env::var_os("COUNTERSIGN_TEST_BAO") {
        return path.into_string().expect("COUNTERSIGN_TEST_BAO is UTF-8");
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target"),
        PathBuf::from,
    );
    let on_path = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let found = on_path
        .chain([target.join("tools/bin")])
        .map(|folder| folder.join("bao"))
        .find(|path| path.is_file());
    found
        .expect("bao is not installed: run tests/run.sh, or set COUNTERSIGN_TEST_BAO")
        .display()
        .to_string()
}

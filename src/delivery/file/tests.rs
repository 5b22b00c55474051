//! Against the file system itself.

use super::*;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

/// A root that holds the folder `payments`.
struct Scene {
    _home: tempfile::TempDir,
    root: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        // What is temporary may itself lie behind a link.
        let root = home.path().canonicalize().unwrap().join("secrets");
        std::fs::create_dir_all(root.join("payments")).unwrap();
        Self { _home: home, root }
    }

    fn folder(&self, extra: &str) -> Folder {
        let text = format!("root = {:?}\nprefixes = [\"payments\"]\n{extra}", self.root);
        Folder::new(toml::from_str(&text).unwrap()).unwrap()
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.join(folder)).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

async fn put(
    folder: &Folder,
    path: &str,
    secret: &SecretMaterial,
) -> Result<Delivered, DeliveryError> {
    let order = DeliveryOrder {
        id: "crd_1".into(),
        credential: "payments/checkout-db".into(),
        environment: "production".into(),
        version: 1,
        path: path.into(),
        expires_at: None,
        over: None,
    };
    folder.deliver(&order, secret).await
}

fn login(password: &str) -> SecretMaterial {
    SecretMaterial::from_fields(&[("username", "v-x"), ("password", password)])
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn said(result: Result<Delivered, DeliveryError>) -> String {
    match result {
        Err(error @ DeliveryError::Refused { .. }) => error.to_string(),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test]
async fn a_file_is_private_replaced_in_one_step_and_read_back() {
    let scene = Scene::new();
    let folder = scene.folder("");
    folder.ready().await.unwrap();
    let path = scene.root.join("payments/db.json");
    let first = put(&folder, "payments/db.json", &login("one")).await;
    assert_eq!(
        first.unwrap(),
        Delivered {
            place: path.display().to_string(),
            proven: true
        }
    );
    let open = std::fs::File::open(&path).unwrap();
    let before = open.metadata().unwrap().ino();
    let again = put(&folder, "payments/db.json", &login("two")).await;
    again.unwrap();
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "{\"password\":\"two\",\"username\":\"v-x\"}\n"
    );
    assert_ne!(std::fs::metadata(&path).unwrap().ino(), before);
    let mut old = String::new();
    std::io::Read::read_to_string(&mut &open, &mut old).unwrap();
    assert!(old.contains("one"), "whoever reads it sees it whole");
    assert_eq!(mode(&path), 0o600);
    assert_eq!(scene.names("payments"), ["db.json"], "nothing else is left");
}

#[tokio::test]
async fn readers_never_see_half_a_file() {
    let scene = Scene::new();
    let folder = scene.folder("");
    let (short, long) = ("x".to_owned(), "y".repeat(200_000));
    let first = put(&folder, "payments/db.json", &login(&short)).await;
    first.unwrap();
    let path = scene.root.join("payments/db.json");
    let reader = tokio::task::spawn_blocking(move || {
        for _ in 0..2_000 {
            let text = std::fs::read_to_string(&path).unwrap();
            let fields = SecretMaterial::new(text).fields();
            let length = fields["password"].expose().len();
            assert!(length == 1 || length == 200_000, "{length}");
        }
    });
    while !reader.is_finished() {
        for password in [&long, &short] {
            let next = put(&folder, "payments/db.json", &login(password)).await;
            next.unwrap();
        }
    }
    reader.await.unwrap();
}

#[tokio::test]
async fn mode_owner_and_form_are_as_configured() {
    let scene = Scene::new();
    // Giving a file away needs a right that only root has; to give it to oneself does not.
    let own = std::fs::metadata(&scene.root).unwrap();
    let (uid, gid) = if own.uid() == 0 {
        (12_345, 23_456)
    } else {
        (own.uid(), own.gid())
    };
    let extra = format!("mode = \"0440\"\nuid = {uid}\ngid = {gid}\nformat = \"plain\"\n");
    let folder = scene.folder(&extra);
    let key = SecretMaterial::new("cs_prod_abc".into());
    let path = scene.root.join("payments/key");
    for _ in 0..2 {
        put(&folder, "payments/key", &key).await.unwrap();
        let held = std::fs::metadata(&path).unwrap();
        assert_eq!((held.uid(), held.gid()), (uid, gid));
        assert_eq!(mode(&path), 0o440);
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "cs_prod_abc");
    let refused = put(&folder, "payments/key", &login("x")).await;
    assert!(said(refused).contains("format \"json\""));
}

#[tokio::test]
async fn links_and_other_ways_out_are_refused_and_nothing_is_written() {
    let scene = Scene::new();
    let folder = scene.folder("");
    let outside = scene.root.parent().unwrap().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("passwd"), "as it was").unwrap();
    symlink(&outside, scene.root.join("payments/away")).unwrap();
    symlink(outside.join("passwd"), scene.root.join("payments/link")).unwrap();
    std::fs::create_dir(scene.root.join("payments/folder")).unwrap();
    for (path, expected) in [
        ("payments/away/passwd", "is a link or no folder"),
        ("payments/link", "is a link; expected a file"),
        ("payments/folder", "is no file"),
        ("payments/missing/x", "does not exist; make it"),
        ("payments/../x", "none of which begins"),
        ("ops/x", "expected a path below payments"),
    ] {
        let result = put(&folder, path, &login("secret-word")).await;
        let text = said(result);
        assert!(text.contains(expected), "{path}: {text}");
        assert!(!text.contains("secret-word"));
    }
    assert_eq!(
        std::fs::read_to_string(outside.join("passwd")).unwrap(),
        "as it was"
    );
    // A root behind a link is refused as well.
    let link = scene.root.parent().unwrap().join("root-link");
    symlink(&scene.root, &link).unwrap();
    let behind = Scene {
        root: link,
        _home: tempfile::tempdir().unwrap(),
    };
    let behind = behind.folder("");
    assert!(behind.ready().await.unwrap_err().contains("is a link"));
}

#[tokio::test]
async fn what_a_stop_left_behind_is_cleared_away() {
    let scene = Scene::new();
    let left = scene.root.join("payments/.db.json.countersign");
    std::fs::write(&left, "half of a sec").unwrap();
    let folder = scene.folder("");
    let written = put(&folder, "payments/db.json", &login("x")).await;
    written.unwrap();
    assert_eq!(scene.names("payments"), ["db.json"]);
}

#[test]
fn what_cannot_work_is_said_with_its_field() {
    for (text, expected) in [
        (
            "root = \"x\"\nprefixes = [\"a\"]",
            "root: expected an absolute",
        ),
        ("root = \"/x\"\nprefixes = []", "prefixes: name 1 to"),
        (
            "root = \"/x\"\nprefixes = [\"a\"]\nmode = \"0644\"",
            "mode: expected 0400",
        ),
        (
            "root = \"/x\"\nprefixes = [\"a\"]\nmode = \"rw\"",
            "mode: expected 0400",
        ),
        (
            "root = \"/x\"\nprefixes = [\"a\"]\nmode = \"4600\"",
            "mode: expected 0400",
        ),
    ] {
        let error = Folder::new(toml::from_str(text).unwrap()).err().unwrap();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

//! The pictures in `screenshots/` show what the program draws now.

use countersign::console::pictures;
use std::path::Path;

#[test]
fn no_picture_is_stale() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("screenshots");
    for (name, buffer) in pictures::all() {
        let file = folder.join(format!("{name}.txt"));
        let committed = std::fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(
            committed,
            pictures::text(&buffer),
            "{name} is stale: cargo run --features dev --bin dev screenshots"
        );
        for drawn in ["svg", "png"] {
            let file = folder.join(format!("{name}.{drawn}"));
            assert!(file.exists(), "{} is missing", file.display());
        }
    }
}

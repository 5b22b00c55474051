//! Which paths a destination takes: those below its configured prefixes, and nothing that a file system or a URL would
//! read as a way elsewhere.

use super::{ConfigError, wrong};
use crate::domain::destination::{PATH_MAX, is_path};

/// The most prefixes of one destination.
const PREFIXES_MAX: usize = 64;

/// The prefixes of one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths(Vec<String>);

impl Paths {
    /// These prefixes: whole segments, such as `payments` for `payments/checkout-db`.
    ///
    /// # Errors
    /// [`ConfigError::Value`] if there is none, or one that is no path.
    pub fn new(prefixes: Vec<String>) -> Result<Self, ConfigError> {
        if prefixes.is_empty() || prefixes.len() > PREFIXES_MAX {
            let problem = format!("name 1 to {PREFIXES_MAX}, such as \"payments\"");
            return wrong("prefixes", problem);
        }
        let trimmed = prefixes.iter().map(|prefix| prefix.trim_end_matches('/'));
        let trimmed: Vec<_> = trimmed.map(str::to_owned).collect();
        match trimmed.iter().find(|prefix| !is_path(prefix)) {
            Some(bad) => wrong(
                "prefixes",
                format!("{bad:?} is not a path like \"payments\""),
            ),
            None => Ok(Self(trimmed)),
        }
    }

    /// Whether `path` may be delivered to.
    ///
    /// # Errors
    /// What would be accepted.
    pub fn admit(&self, path: &str) -> Result<(), String> {
        if !is_path(path) {
            return Err(format!(
                "expected a path of at most {PATH_MAX} of A-Z a-z 0-9 . _ - in parts divided by /, none of which begins with a dot"
            ));
        }
        let below = |prefix: &String| {
            path.strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if self.0.iter().any(below) {
            Ok(())
        } else {
            Err(format!("expected a path below {}", self.0.join(" or ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_below_a_prefix_and_by_whole_segments() {
        let paths = Paths::new(vec!["payments/".into(), "ops/db".into()]).unwrap();
        for good in ["payments", "payments/checkout-db", "ops/db/A_1.json"] {
            assert_eq!(paths.admit(good), Ok(()), "{good}");
        }
        for other in ["payments2/x", "ops", "ops/dbx", "x/payments"] {
            assert_eq!(
                paths.admit(other),
                Err("expected a path below payments or ops/db".to_owned()),
                "{other}"
            );
        }
        for bad in [
            "",
            "/payments/x",
            "payments/../x",
            "payments//x",
            "payments/x/",
            "payments/.x",
            "payments/x?a",
            "payments/%2e",
            "payments/x y",
            "payments/x\0",
            "payments\\x",
        ] {
            assert!(
                paths.admit(bad).unwrap_err().contains("none of which"),
                "{bad}"
            );
        }
        assert!(
            paths
                .admit(&format!("payments/{}", "x".repeat(300)))
                .is_err()
        );
    }

    #[test]
    fn prefixes_are_paths() {
        for bad in [
            vec![],
            vec![String::new()],
            vec!["..".into()],
            vec!["/".into()],
        ] {
            let said = Paths::new(bad).unwrap_err().to_string();
            assert!(said.starts_with("prefixes: "), "{said}");
        }
    }
}

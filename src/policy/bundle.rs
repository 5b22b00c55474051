//! A policy as people write it: files of rules, of data and of cases, one subject each.
//!
//! - `NAME.rego` at the top: rules.
//! - `NAME.json` at the top: data, which the rules see as `data.NAME`.
//! - `change.json`: data too, and who may change the policy.
//! - `reviews.json`: data too, and how often access is reviewed.
//! - `rotation.json`: data too, and how often what rotates, and when not.
//! - `cases/NAME.json`: what the policy must decide.

use std::{collections::BTreeMap, fs, io, path::Path};

use aws_lc_rs::digest;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::{Cadence, rotation::RotationPolicy};

use super::{
    cases::Suite,
    decision::{Quorum, StepUp},
    error::PolicyError,
};

/// The longest policy with its cases, in bytes: no more is read, whoever offers it.
pub const MAX_BYTES: usize = 256 * 1024;
/// The most files.
pub const MAX_FILES: usize = 64;
/// The file that says who may change the policy.
pub const CHANGE: &str = "change.json";
/// The file that says how often access is reviewed.
const REVIEWS: &str = "reviews.json";
/// The file that says how often what rotates.
const ROTATION: &str = "rotation.json";

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../assets/policy/", $name)))),*]
    };
}

/// The files of the policy that ships with the program.
const SHIPPED: &[(&str, &str)] = shipped![
    "break_glass.json",
    "break_glass.rego",
    "cases/break_glass.json",
    "cases/databases.json",
    "cases/environments.json",
    "cases/lifetimes.json",
    "cases/partners.json",
    "cases/requests.json",
    "cases/risk.json",
    "change.json",
    "databases.json",
    "databases.rego",
    "environments.rego",
    "issue.rego",
    "lifetimes.json",
    "lifetimes.rego",
    "partners.json",
    "partners.rego",
    "request.rego",
    "reviews.json",
    "risk.rego",
    "rotation.json",
    "tiers.json",
    "tiers.rego",
    "weights.json",
];

/// The files of a policy, sorted into what they are. Nothing is compiled yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    files: BTreeMap<String, String>,
    data: Value,
    suites: Vec<(String, Suite)>,
    change: Change,
    reviews: Cadence,
    rotation: RotationPolicy,
}

/// Who may change a policy, and how long they may take.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// How many, from which groups; whoever proposes never counts.
    pub quorum: Quorum,
    /// How long a proposal waits, in seconds.
    pub approval_ttl_s: u64,
    /// How a decision about a proposal must be proven; a signature where it does not say.
    #[serde(default = "signed")]
    pub step_up: StepUp,
}

const fn signed() -> StepUp {
    StepUp::SshSignature
}

impl Default for Change {
    /// What holds where a policy does not say: two of `security` sign, within a week.
    fn default() -> Self {
        Self {
            quorum: Quorum {
                count: 2,
                groups: vec!["security".to_owned()],
            },
            approval_ttl_s: 604_800,
            step_up: signed(),
        }
    }
}

/// What a file is, by its name.
enum Part<'a> {
    Rules,
    Data(&'a str),
    Cases,
}

fn part(name: &str) -> Option<Part<'_>> {
    let plain = |stem: &str| {
        !stem.is_empty()
            && stem
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    if let Some(stem) = name
        .strip_prefix("cases/")
        .and_then(|name| name.strip_suffix(".json"))
    {
        plain(stem).then_some(Part::Cases)
    } else if let Some(stem) = name.strip_suffix(".rego") {
        plain(stem).then_some(Part::Rules)
    } else {
        let stem = name.strip_suffix(".json")?;
        // The rules' own package begins with this word.
        (plain(stem) && stem != "countersign").then_some(Part::Data(stem))
    }
}

impl Bundle {
    /// Sorts `files`, by name.
    ///
    /// # Errors
    /// [`PolicyError`] with file and line: too long, not of a known kind, not JSON, or not of the right shape.
    pub fn new(files: BTreeMap<String, String>) -> Result<Self, PolicyError> {
        let bytes = files.values().map(String::len).sum();
        if bytes > MAX_BYTES || files.len() > MAX_FILES {
            return Err(PolicyError::TooLong {
                bytes,
                files: files.len(),
            });
        }
        let mut data = Map::new();
        let mut suites = Vec::new();
        let mut change = Change::default();
        let mut reviews = Cadence::default();
        let mut rotation = RotationPolicy::default();
        for (name, text) in &files {
            match part(name) {
                Some(Part::Rules) => {}
                Some(Part::Data(stem)) => {
                    let value: Value = json(name, text)?;
                    if !value.is_object() {
                        return Err(PolicyError::File {
                            name: name.clone(),
                            line: 1,
                            reason: "expected an object".to_owned(),
                        });
                    }
                    match name.as_str() {
                        CHANGE => change = json(name, text)?,
                        REVIEWS => reviews = json(name, text)?,
                        ROTATION => rotation = json(name, text)?,
                        _ => {}
                    }
                    data.insert(stem.to_owned(), value);
                }
                Some(Part::Cases) => suites.push((name.clone(), json(name, text)?)),
                None => {
                    return Err(PolicyError::File {
                        name: name.clone(),
                        line: 0,
                        reason: "expected NAME.rego, NAME.json or cases/NAME.json, with a name of a-z 0-9 _"
                            .to_owned(),
                    });
                }
            }
        }
        if change.quorum.count == 0 || change.quorum.groups.is_empty() || change.approval_ttl_s == 0
        {
            return Err(PolicyError::File {
                name: CHANGE.to_owned(),
                line: 1,
                reason: "it lets nobody change the policy: expected a count from 1, at least one group, and time"
                    .to_owned(),
            });
        }
        if let Some(reason) = reviews.fault() {
            return Err(PolicyError::File {
                name: REVIEWS.to_owned(),
                line: 1,
                reason,
            });
        }
        if let Some(reason) = rotation.complaint() {
            return Err(PolicyError::File {
                name: ROTATION.to_owned(),
                line: 1,
                reason,
            });
        }
        Ok(Self {
            files,
            data: Value::Object(data),
            suites,
            change,
            reviews,
            rotation,
        })
    }

    /// The policy that ships with the program.
    pub fn shipped() -> Self {
        let files = SHIPPED
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        Self::new(files).expect("the shipped files are sound: a test proves it")
    }

    /// The policy in the folder at `path`. Files of other kinds are left alone, so that notes may lie beside it.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn read(path: &Path) -> Result<Self, PolicyError> {
        let mut files = BTreeMap::new();
        let mut bytes = 0;
        for (folder, prefix) in [(path.to_owned(), ""), (path.join("cases"), "cases/")] {
            let failed = |source| PolicyError::Read {
                path: folder.clone(),
                source,
            };
            let entries = match fs::read_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && !prefix.is_empty() => {
                    continue;
                }
                entries => entries.map_err(failed)?,
            };
            for entry in entries {
                let entry = entry.map_err(failed)?;
                let Ok(file) = entry.file_name().into_string() else {
                    continue;
                };
                let name = format!("{prefix}{file}");
                if part(&name).is_none() || !entry.path().is_file() {
                    continue;
                }
                bytes += entry.metadata().map_err(failed)?.len() as usize;
                if bytes > MAX_BYTES || files.len() == MAX_FILES {
                    return Err(PolicyError::TooLong {
                        bytes,
                        files: files.len() + 1,
                    });
                }
                let path = entry.path();
                let text = fs::read_to_string(&path)
                    .map_err(|source| PolicyError::Read { path, source })?;
                files.insert(name, text);
            }
        }
        Self::new(files)
    }

    /// Names and texts.
    pub fn files(&self) -> &BTreeMap<String, String> {
        &self.files
    }

    /// Who may change this policy.
    pub fn change(&self) -> &Change {
        &self.change
    }

    /// How often access is reviewed under it.
    pub fn reviews(&self) -> Cadence {
        self.reviews
    }

    /// How often what rotates under it.
    pub fn rotation(&self) -> &RotationPolicy {
        &self.rotation
    }

    /// The rules, by file.
    pub(super) fn modules(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter(|(name, _)| matches!(part(name), Some(Part::Rules)))
            .map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// What the rules see under `data`.
    pub(super) fn data(&self) -> &Value {
        &self.data
    }

    /// The cases, by file.
    pub(super) fn suites(&self) -> &[(String, Suite)] {
        &self.suites
    }

    /// Lower-case hexadecimal SHA-256 of the JCS (RFC 8785) bytes of the files.
    pub fn digest(&self) -> String {
        use std::fmt::Write;
        let bytes = crate::canonical::to_vec(&self.files).expect("text serialises");
        digest::digest(&digest::SHA256, &bytes)
            .as_ref()
            .iter()
            .fold(String::with_capacity(64), |mut hex, byte| {
                write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
                hex
            })
    }
}

/// Reads JSON, with the line of what is wrong.
fn json<T: serde::de::DeserializeOwned>(name: &str, text: &str) -> Result<T, PolicyError> {
    serde_json::from_str(text).map_err(|error| PolicyError::File {
        name: name.to_owned(),
        line: error.line(),
        reason: error.to_string(),
    })
}

//! A template file: what is in it, what its variables stand for, and what it comes to. Everything that is wrong with
//! it is said with file, line and what would be accepted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;
use toml::Spanned;

use crate::cli::args::span;
use crate::cli::error::CliError;
use crate::config::{ConfigError, parse_toml};
use crate::wire::check::Check;
use crate::wire::{Destination, Environment, Kind, Role, Tier};

/// The longest file, in bytes.
const FILE_BYTES: u64 = 64 * 1024;
/// The longest value of a variable, in bytes.
const VALUE_BYTES: usize = 256;
/// The most first requests.
const REQUESTS_MAX: usize = 16;

type Text = Spanned<String>;

/// The file's fields.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    summary: String,
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
    client: Option<Spanned<ClientFields>>,
    #[serde(default, rename = "request")]
    requests: Vec<Spanned<RequestFields>>,
    operator: Option<Spanned<OperatorFields>>,
}

/// What a placeholder stands for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// What to give.
    pub about: String,
    /// What it is if nothing is given.
    pub default: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientFields {
    name: Text,
    owner: Text,
    contact: Option<Text>,
    environment: Text,
    tier: Text,
    #[serde(default)]
    dependents: Vec<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestFields {
    credential: Text,
    kind: Text,
    issuer: Option<Text>,
    role: Option<Text>,
    audience: Text,
    #[serde(default)]
    scopes: Vec<Text>,
    ttl: Text,
    reason: Text,
    #[serde(default)]
    tags: Vec<Text>,
    deliver_to: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OperatorFields {
    name: Text,
    display_name: Option<Text>,
    #[serde(default)]
    robot: bool,
    #[serde(default)]
    groups: Vec<Text>,
    #[serde(default)]
    roles: BTreeMap<String, Spanned<Vec<Text>>>,
    client: Option<Text>,
    token_ttl: Text,
}

/// A template, read and sound.
#[derive(Debug)]
pub struct Template {
    path: PathBuf,
    text: String,
    fields: Fields,
}

/// What a template for a client comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewcomerClient {
    /// Its name.
    pub name: String,
    /// The team that answers for it.
    pub owner: String,
    /// How to reach them.
    pub contact: String,
    /// Where it runs.
    pub environment: Environment,
    /// How much harm its credentials could do.
    pub tier: Tier,
    /// Services that stop when its credentials do.
    pub dependents: Vec<String>,
    /// What to ask for first.
    pub requests: Vec<FirstRequest>,
}

/// A request that a newcomer starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstRequest {
    /// The credential's name.
    pub credential: String,
    /// What is made.
    pub kind: Kind,
    /// The configured issuer.
    pub issuer: Option<String>,
    /// What the issuer is asked for.
    pub role: String,
    /// Whom it may be shown to.
    pub audience: String,
    /// What it allows.
    pub scopes: Vec<String>,
    /// For how long, in seconds.
    pub ttl_s: u64,
    /// Why.
    pub reason: String,
    /// Regulatory tags.
    pub tags: Vec<String>,
    /// Where the secret is put.
    pub destination: Option<Destination>,
}

/// What a template for a person or robot comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewcomerOperator {
    /// The handle.
    pub name: String,
    /// The name as people write it.
    pub display_name: String,
    /// Not a person.
    pub robot: bool,
    /// Groups.
    pub groups: BTreeSet<String>,
    /// Roles per environment.
    pub roles: BTreeMap<Environment, BTreeSet<Role>>,
    /// The client that it acts for, by name.
    pub client: Option<String>,
    /// How long the first token lives, in seconds.
    pub token_ttl_s: u64,
}

/// What a template is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Newcomer {
    /// A client.
    Client(NewcomerClient),
    /// A person or robot.
    Operator(NewcomerOperator),
}

impl Template {
    /// Reads a file.
    ///
    /// # Errors
    /// [`CliError::Config`] with the line and what would be accepted.
    pub fn read(path: &Path) -> Result<Self, CliError> {
        use std::io::Read as _;
        let failed = |source| ConfigError::Read {
            path: path.to_owned(),
            source,
        };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        let mut file = file.take(FILE_BYTES + 1);
        file.read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > FILE_BYTES {
            return Err(CliError::Usage(format!(
                "{} is longer than a template may be: {FILE_BYTES} bytes",
                path.display()
            )));
        }
        Self::parse(path, text)
    }

    /// Reads a text; `path` is for messages. Whatever does not depend on a variable without a default is checked.
    ///
    /// # Errors
    /// As [`Template::read`].
    pub fn parse(path: &Path, text: String) -> Result<Self, CliError> {
        let fields: Fields = parse_toml(path, &text)?;
        let template = Self {
            path: path.to_owned(),
            text,
            fields,
        };
        let defaults = template.defaults();
        template.come_to(&defaults)?;
        Ok(template)
    }

    /// What it is for, in one line.
    pub fn summary(&self) -> &str {
        &self.fields.summary
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// `client` or `operator`.
    pub fn noun(&self) -> &'static str {
        if self.fields.client.is_some() {
            "client"
        } else {
            "operator"
        }
    }

    /// Its variables.
    pub fn variables(&self) -> &BTreeMap<String, Variable> {
        &self.fields.variables
    }

    /// What it comes to with these values.
    ///
    /// # Errors
    /// [`CliError::Usage`] for a variable that is missing or unknown, [`CliError::Config`] with the line for what it
    /// comes to and cannot be.
    pub fn fill(&self, given: &[(String, String)]) -> Result<Newcomer, CliError> {
        let mut values = self.defaults();
        for (name, value) in given {
            if !self.fields.variables.contains_key(name) {
                let known: Vec<_> = self.fields.variables.keys().map(String::as_str).collect();
                return Err(CliError::Usage(format!(
                    "--set {name}: this template has no such variable; it has {}",
                    known.join(", ")
                )));
            }
            if value.len() > VALUE_BYTES || value.chars().any(char::is_control) {
                return Err(CliError::Usage(format!(
                    "--set {name}: expected one line of at most {VALUE_BYTES} bytes"
                )));
            }
            values.insert(name.clone(), value.clone());
        }
        let missing: Vec<_> = self
            .fields
            .variables
            .iter()
            .filter(|(name, _)| !values.contains_key(*name))
            .map(|(name, variable)| format!("--set {name}=… ({})", variable.about))
            .collect();
        if !missing.is_empty() {
            return Err(CliError::Usage(format!(
                "this template needs {}",
                missing.join(", ")
            )));
        }
        let unused = || CliError::Usage("this template has nothing in it".to_owned());
        self.come_to(&values)?.ok_or_else(unused)
    }

    fn defaults(&self) -> BTreeMap<String, String> {
        let variables = self.fields.variables.iter();
        variables
            .filter_map(|(name, variable)| Some((name.clone(), variable.default.clone()?)))
            .collect()
    }

    /// What it comes to; none while a variable that it needs has no value.
    fn come_to(&self, values: &BTreeMap<String, String>) -> Result<Option<Newcomer>, CliError> {
        let filling = Filling {
            template: self,
            values,
        };
        match (&self.fields.client, &self.fields.operator) {
            (Some(client), None) => {
                let client = filling.client(client.as_ref(), &self.fields.requests)?;
                Ok(client.map(Newcomer::Client))
            }
            (None, Some(operator)) => {
                if let Some(request) = self.fields.requests.first() {
                    let reason = "requests are made for clients; expected [client] beside it";
                    return Err(self.wrong(request.span().start, reason));
                }
                let operator = filling.operator(operator.as_ref())?;
                Ok(operator.map(Newcomer::Operator))
            }
            _ => Err(self.wrong(0, "expected one of [client] and [operator]")),
        }
    }

    /// What is wrong at this byte of the text.
    fn wrong(&self, at: usize, reason: impl Into<String>) -> CliError {
        let before = self.text.get(..at).unwrap_or("");
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        CliError::Config(ConfigError::Parse {
            path: self.path.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            reason: reason.into(),
        })
    }
}

/// A template with values for its variables. What depends on one without a value is none, and not checked.
struct Filling<'a> {
    template: &'a Template,
    values: &'a BTreeMap<String, String>,
}

impl Filling<'_> {
    fn wrong(&self, text: &Text, reason: impl Into<String>) -> CliError {
        self.template.wrong(text.span().start, reason)
    }

    /// The text with its `{placeholders}` filled in.
    fn text(&self, text: &Text) -> Result<Option<String>, CliError> {
        let mut filled = Some(String::new());
        let mut rest = text.as_ref().as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| self.wrong(text, "a { without its }"))?;
            if !self.template.fields.variables.contains_key(name) {
                let known: Vec<_> = self.template.fields.variables.keys().cloned().collect();
                return Err(self.wrong(
                    text,
                    format!(
                        "{{{name}}} is no variable; expected one of {}",
                        known.join(", ")
                    ),
                ));
            }
            filled = filled
                .zip(self.values.get(name))
                .map(|(filled, value)| filled + before + value);
            rest = after;
        }
        Ok(filled.map(|filled| filled + rest))
    }

    /// The same, held against what the broker takes.
    fn checked(
        &self,
        text: &Text,
        hold: impl Fn(&mut Check, &str),
    ) -> Result<Option<String>, CliError> {
        let Some(filled) = self.text(text)? else {
            return Ok(None);
        };
        let mut check = Check::default();
        hold(&mut check, &filled);
        match check.complaint() {
            Some(complaint) => Err(self.wrong(text, format!("{filled:?}: {complaint}"))),
            None => Ok(Some(filled)),
        }
    }

    fn name(&self, text: &Text) -> Result<Option<String>, CliError> {
        self.checked(text, |check, filled| check.name("", filled))
    }

    fn scope(&self, text: &Text) -> Result<Option<String>, CliError> {
        self.checked(text, |check, filled| check.scope("", filled))
    }

    fn prose(&self, text: Option<&Text>) -> Result<Option<String>, CliError> {
        match text {
            Some(text) => self.checked(text, |check, filled| check.text("", filled, false)),
            None => Ok(Some(String::new())),
        }
    }

    fn word<T: FromStr<Err: std::fmt::Display>>(&self, text: &Text) -> Result<Option<T>, CliError> {
        let Some(filled) = self.text(text)? else {
            return Ok(None);
        };
        let parsed = filled.parse();
        parsed
            .map(Some)
            .map_err(|error| self.wrong(text, format!("{filled:?} is {error}")))
    }

    fn seconds(&self, text: &Text) -> Result<Option<u64>, CliError> {
        let Some(filled) = self.text(text)? else {
            return Ok(None);
        };
        let span = span(&filled).map_err(|reason| self.wrong(text, reason))?;
        let mut check = Check::default();
        check.ttl("", span.as_secs());
        match check.complaint() {
            Some(complaint) => Err(self.wrong(text, format!("{filled:?}: {complaint}"))),
            None => Ok(Some(span.as_secs())),
        }
    }

    /// A list of distinct entries.
    fn list<T: Ord + Clone>(
        &self,
        list: &[Text],
        entry: impl Fn(&Text) -> Result<Option<T>, CliError>,
    ) -> Result<Option<Vec<T>>, CliError> {
        let (mut all, mut seen) = (Some(Vec::new()), BTreeSet::new());
        for text in list {
            let found = entry(text)?;
            if let Some(found) = &found
                && !seen.insert(found.clone())
            {
                return Err(self.wrong(text, "is in the list already"));
            }
            all = all.zip(found).map(|(mut all, found)| {
                all.push(found);
                all
            });
        }
        Ok(all)
    }

    fn client(
        &self,
        fields: &ClientFields,
        requests: &[Spanned<RequestFields>],
    ) -> Result<Option<NewcomerClient>, CliError> {
        let name = self.name(&fields.name)?;
        let owner = self.name(&fields.owner)?;
        let contact = self.prose(fields.contact.as_ref())?;
        let environment = self.word(&fields.environment)?;
        let tier = self.word(&fields.tier)?;
        let dependents = self.list(&fields.dependents, |text| self.scope(text))?;
        if let Some(request) = requests.get(REQUESTS_MAX) {
            let reason = format!("expected at most {REQUESTS_MAX} requests");
            return Err(self.template.wrong(request.span().start, reason));
        }
        let mut first = Some(Vec::new());
        for request in requests {
            let request = self.request(request.as_ref())?;
            first = first.zip(request).map(|(mut first, request)| {
                first.push(request);
                first
            });
        }
        let all = || {
            Some(NewcomerClient {
                name: name?,
                owner: owner?,
                contact: contact?,
                environment: environment?,
                tier: tier?,
                dependents: dependents?,
                requests: first?,
            })
        };
        Ok(all())
    }

    fn request(&self, fields: &RequestFields) -> Result<Option<FirstRequest>, CliError> {
        let credential = self.name(&fields.credential)?;
        let kind = self.word(&fields.kind)?;
        let issuer = match &fields.issuer {
            Some(issuer) => self.scope(issuer)?.map(Some),
            None => Some(None),
        };
        let role = match &fields.role {
            Some(role) => self.scope(role)?,
            None => Some(String::new()),
        };
        let audience = self.scope(&fields.audience)?;
        let scopes = self.list(&fields.scopes, |text| self.scope(text))?;
        let ttl_s = self.seconds(&fields.ttl)?;
        let reason = self.checked(&fields.reason, |check, filled| check.text("", filled, true))?;
        let tags = self.list(&fields.tags, |text| self.scope(text))?;
        let destination = match &fields.deliver_to {
            Some(to) => self.word(to)?.map(Some),
            None => Some(None),
        };
        let all = || {
            Some(FirstRequest {
                credential: credential?,
                kind: kind?,
                issuer: issuer?,
                role: role?,
                audience: audience?,
                scopes: scopes?,
                ttl_s: ttl_s?,
                reason: reason?,
                tags: tags?,
                destination: destination?,
            })
        };
        Ok(all())
    }

    fn operator(&self, fields: &OperatorFields) -> Result<Option<NewcomerOperator>, CliError> {
        let name = self.name(&fields.name)?;
        let display_name = self.prose(fields.display_name.as_ref())?;
        let groups = self.list(&fields.groups, |text| self.name(text))?;
        let client = match &fields.client {
            Some(client) => self.name(client)?.map(Some),
            None => Some(None),
        };
        let token_ttl_s = self.seconds(&fields.token_ttl)?;
        let mut roles = Some(BTreeMap::new());
        for (environment, words) in &fields.roles {
            let environment: Environment = environment.parse().map_err(|error| {
                let reason = format!("{environment:?} is {error}");
                self.template.wrong(words.span().start, reason)
            })?;
            let words = self.list(words.as_ref(), |text| self.word::<Role>(text))?;
            roles = roles.zip(words).map(|(mut roles, words)| {
                roles.insert(environment, words.into_iter().collect());
                roles
            });
        }
        let all = || {
            Some(NewcomerOperator {
                name: name?,
                display_name: display_name?,
                robot: fields.robot,
                groups: groups?.into_iter().collect(),
                roles: roles?,
                client: client?,
                token_ttl_s: token_ttl_s?,
            })
        };
        Ok(all())
    }
}

//! `audit approval` and `audit denial`: one decision, as files that stock OpenSSH checks.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use clap::{Args, ValueHint};
use serde::{Deserialize, Serialize};

use super::app::App;
use super::error::CliError;
use super::output::{self, Sheet};
use crate::client::{Client, ListQuery};
use crate::wire::signing::{Decision, LogHead, approval_namespace, parse_statement};
use crate::wire::{ApprovalId, EventRecord, PolicyStatement, ProposalId, RequestId, Statement};

/// How many events are looked through at once.
const PAGE: u64 = 500;

/// Arguments of `audit approval`.
#[derive(Debug, Args)]
pub struct Approval {
    /// The approval (apr_…), or the request or proposal whose latest signature is meant (req_…, prp_…)
    #[arg(value_name = "APPROVAL")]
    approval: String,
    #[command(flatten)]
    export: Export,
}

/// Arguments of `audit denial`.
#[derive(Debug, Args)]
pub struct Denial {
    /// The request or proposal that was denied (req_…, prp_…)
    #[arg(value_name = "REQUEST|PROPOSAL")]
    subject: String,
    #[command(flatten)]
    export: Export,
}

/// Where the files go.
#[derive(Debug, Args)]
struct Export {
    /// Write statement, signature, the signer's line and the proof that it is in the log to a new folder
    #[arg(long = "export", value_name = "DIR", value_hint = ValueHint::DirPath)]
    folder: Option<PathBuf>,
}

/// A decision, as its leaf has it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Leaf {
    Approval { approval: Given },
    Denial { ending: Ended },
    Review { by: String, proof: Option<Proof> },
}

#[derive(Debug, Deserialize)]
struct Given {
    id: ApprovalId,
    by_name: String,
    at: DateTime<Utc>,
    proof: Proof,
}

#[derive(Debug, Deserialize)]
struct Ended {
    by: String,
    at: DateTime<Utc>,
    proof: Option<Proof>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
enum Proof {
    Token {},
    SshSignature(Signed),
}

#[derive(Debug, Deserialize)]
struct Signed {
    fingerprint: String,
    payload: String,
    signature: String,
    allowed_signer: String,
}

/// A decision, whatever it is about.
struct Held {
    approval: Option<ApprovalId>,
    by: String,
    at: DateTime<Utc>,
    proof: Option<Proof>,
}

impl Held {
    fn of(event: &EventRecord) -> Option<Self> {
        Some(match serde_json::from_value(event.data.clone()).ok()? {
            Leaf::Approval { approval } => Self {
                approval: Some(approval.id),
                by: approval.by_name,
                at: approval.at,
                proof: Some(approval.proof),
            },
            Leaf::Denial { ending } => Self {
                approval: None,
                by: ending.by,
                at: ending.at,
                proof: ending.proof,
            },
            Leaf::Review { by, proof } => Self {
                approval: None,
                by,
                at: event.at,
                proof,
            },
        })
    }

    fn name(&self, event: &EventRecord) -> String {
        match self.approval {
            Some(id) => id.to_string(),
            None => format!("the denial of {}", event.subject),
        }
    }
}

/// What was signed.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Said {
    Request(Box<Statement>),
    Policy(Box<PolicyStatement>),
}

impl Said {
    fn parse(payload: &str) -> Result<Self, CliError> {
        if let Ok(statement) = parse_statement(payload) {
            return Ok(Self::Policy(Box::new(statement)));
        }
        let statement = parse_statement(payload);
        let statement = statement.map_err(|error| CliError::Unverified(error.to_string()))?;
        Ok(Self::Request(Box::new(statement)))
    }

    fn decision(&self) -> Decision {
        match self {
            Self::Request(said) => said.decision,
            Self::Policy(said) => said.decision,
        }
    }

    fn log(&self) -> &LogHead {
        match self {
            Self::Request(said) => &said.log,
            Self::Policy(said) => &said.log,
        }
    }

    /// What was decided about what, in one line.
    fn words(&self) -> String {
        match self {
            Self::Request(said) => format!(
                "{} {} in {} for {} s, digest {}",
                said.decision,
                said.plan.credential,
                said.plan.environment,
                said.plan.ttl_s,
                said.request.digest.short()
            ),
            Self::Policy(said) => format!(
                "{} the policy {} as version {}, in place of version {}",
                said.decision,
                said.proposal.digest.short(),
                said.proposal.version,
                said.base.version
            ),
        }
    }
}

/// What is known of the decision, for programs.
#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<ApprovalId>,
    subject: &'a str,
    decision: Decision,
    sequence: u64,
    by: &'a str,
    key: &'a str,
    namespace: String,
    statement: &'a Said,
    verify: String,
}

/// Shows an approval, and exports it.
///
/// # Errors
/// [`CliError::NotFound`], and whatever keeps the files from being written.
pub async fn run(app: &mut App<'_>, args: &Approval) -> Result<(), CliError> {
    let name = &args.approval;
    const GIVEN: &str = "(type:approval.given | type:policy.approval_given)";
    let (filter, wanted) = match name.parse::<ApprovalId>() {
        Ok(id) => (GIVEN.to_owned(), Some(id)),
        Err(_) => (format!("{GIVEN} & subject:{}", subject(name)?), None),
    };
    let client = app.connect().await?;
    let (event, held) = find(&client, "approval", filter, wanted, name).await?;
    show(app, &client, &args.export, &event, &held).await
}

/// Shows a denial, and exports it.
///
/// # Errors
/// As [`run`].
pub async fn run_denial(app: &mut App<'_>, args: &Denial) -> Result<(), CliError> {
    const DENIED: &str = "(type:request.denied | type:review.failed | type:policy.denied)";
    let filter = format!("{DENIED} & subject:{}", subject(&args.subject)?);
    let client = app.connect().await?;
    let (event, held) = find(&client, "denial", filter, None, &args.subject).await?;
    show(app, &client, &args.export, &event, &held).await
}

/// A request's or proposal's identifier, and nothing else: it goes into a filter.
fn subject(name: &str) -> Result<&str, CliError> {
    if name.parse::<RequestId>().is_ok() || name.parse::<ProposalId>().is_ok() {
        return Ok(name);
    }
    Err(CliError::Usage(
        "expected a request (req_…) or a proposal (prp_…); of an approval also apr_…".to_owned(),
    ))
}

async fn show(
    app: &mut App<'_>,
    client: &Client,
    export: &Export,
    event: &EventRecord,
    held: &Held,
) -> Result<(), CliError> {
    let name = held.name(event);
    let signed = match &held.proof {
        Some(Proof::SshSignature(signed)) => signed,
        Some(Proof::Token {}) => {
            return Err(CliError::Unverified(format!(
                "{name} was given by the session of {}: it was not signed",
                held.by
            )));
        }
        None => {
            return Err(CliError::Unverified(format!(
                "{name} is by {}, and nobody signed it",
                held.by
            )));
        }
    };
    let statement = Said::parse(&signed.payload)?;
    let namespace = approval_namespace(&statement.log().origin);
    let at = held.at.format("%Y%m%d%H%M%SZ");
    let verify = format!(
        "ssh-keygen -Y verify -n {namespace} -f allowed_signers -I {} -O verify-time={at} -s statement.json.sig < statement.json",
        held.by
    );
    if let Some(folder) = &export.folder {
        let proof = client.leaf_proof(event.sequence - 1).await;
        let proof = proof.map_err(CliError::call("prove that it is in the log"))?;
        write(folder, signed, &proof, &verify)?;
        app.say(&format!(
            "Written to {}; check it there with: {verify}",
            folder.display()
        ))?;
    }
    let report = Report {
        approval: held.approval,
        subject: &event.subject,
        decision: statement.decision(),
        sequence: event.sequence,
        by: &held.by,
        key: &signed.fingerprint,
        namespace,
        statement: &statement,
        verify: verify.clone(),
    };
    let style = app.style();
    output::one(&mut *app.io.out, style, &report, event, |style| {
        let mut sheet = Sheet::default();
        sheet.line(&format!(
            "{name} by {} at {}, sequence {}",
            held.by,
            style.full(held.at),
            event.sequence
        ));
        sheet.line(&format!("signed by {}", signed.fingerprint));
        sheet.line(&statement.words());
        sheet.line(&format!("on the log of {} leaves", statement.log().size));
        sheet.finish()
    })?;
    Ok(())
}

async fn find(
    client: &Client,
    what: &'static str,
    filter: String,
    wanted: Option<ApprovalId>,
    name: &str,
) -> Result<(EventRecord, Held), CliError> {
    let mut query = ListQuery::filter(filter).limit(PAGE);
    loop {
        let page = client.log_events(&query).await;
        let page = page.map_err(CliError::call("search the log"))?.value;
        for event in page.items {
            let Some(held) = Held::of(&event) else {
                continue;
            };
            if wanted.is_none() || held.approval == wanted {
                return Ok((event, held));
            }
        }
        query.cursor = Some(page.next.ok_or(CliError::NotFound {
            what,
            name: name.to_owned(),
        })?);
    }
}

/// A new folder with what an auditor needs; what is there already is not touched.
fn write(folder: &Path, signed: &Signed, proof: &str, verify: &str) -> Result<(), CliError> {
    let doing = || CliError::files(format!("write the decision to {}", folder.display()));
    std::fs::create_dir(folder).map_err(doing())?;
    let command = format!("{verify}\n");
    let line = format!("{}\n", signed.allowed_signer);
    let files: [(&str, &str); 5] = [
        ("statement.json", &signed.payload),
        ("statement.json.sig", &signed.signature),
        ("allowed_signers", &line),
        ("leaf.tlog-proof", proof),
        ("verify.sh", &command),
    ];
    for (name, text) in files {
        std::fs::write(folder.join(name), text).map_err(doing())?;
    }
    Ok(())
}

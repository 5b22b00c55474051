//! `audit approval`: one approval, as files that stock OpenSSH checks.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use serde::{Deserialize, Serialize};

use super::app::App;
use super::error::CliError;
use super::output::{self, Sheet};
use crate::client::{Client, ListQuery};
use crate::wire::signing::{approval_namespace, parse_statement};
use crate::wire::{ApprovalId, EventRecord, RequestId, Statement};

/// How many events are looked through at once.
const PAGE: u64 = 500;

/// Arguments of `audit approval`.
#[derive(Debug, Args)]
pub struct Approval {
    /// The approval (apr_…), or the request whose latest signature is meant (req_…)
    #[arg(value_name = "APPROVAL")]
    approval: String,
    /// Write statement, signature, the signer's line and the proof that it is in the log to a new folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    export: Option<PathBuf>,
}

/// An approval, as its leaf has it.
#[derive(Debug, Deserialize)]
struct Given {
    approval: Held,
}

#[derive(Debug, Deserialize)]
struct Held {
    id: ApprovalId,
    by_name: String,
    at: chrono::DateTime<chrono::Utc>,
    proof: Proof,
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

/// What is known of the approval, for programs.
#[derive(Debug, Serialize)]
struct Report<'a> {
    approval: ApprovalId,
    sequence: u64,
    by: &'a str,
    key: &'a str,
    namespace: String,
    statement: &'a Statement,
    verify: String,
}

/// Which approval is meant.
enum Which {
    Approval(ApprovalId),
    Request(RequestId),
}

/// Shows an approval, and exports it.
///
/// # Errors
/// [`CliError::NotFound`], and whatever keeps the files from being written.
pub async fn run(app: &mut App<'_>, args: &Approval) -> Result<(), CliError> {
    let which = match (args.approval.parse(), args.approval.parse()) {
        (Ok(id), _) => Which::Approval(id),
        (_, Ok(id)) => Which::Request(id),
        _ => {
            return Err(CliError::Usage(
                "expected an approval (apr_…) or a request (req_…)".to_owned(),
            ));
        }
    };
    let client = app.connect().await?;
    let (event, held) = find(&client, &which, &args.approval).await?;
    let Proof::SshSignature(signed) = &held.proof else {
        return Err(CliError::Unverified(format!(
            "{} was given by the session of {}, unsigned: policy asked for no signature",
            held.id, held.by_name
        )));
    };
    let statement = parse_statement(&signed.payload)
        .map_err(|error| CliError::Unverified(error.to_string()))?;
    let namespace = approval_namespace(&statement.aud);
    let at = held.at.format("%Y%m%d%H%M%SZ");
    let verify = format!(
        "ssh-keygen -Y verify -n {namespace} -f allowed_signers -I {} -O verify-time={at} -s statement.json.sig < statement.json",
        held.by_name
    );
    if let Some(folder) = &args.export {
        let proof = client.leaf_proof(event.sequence - 1).await;
        let proof = proof.map_err(CliError::call("prove that the approval is in the log"))?;
        write(folder, signed, &proof, &verify)?;
        app.say(&format!(
            "Written to {}; check it there with: {verify}",
            folder.display()
        ))?;
    }
    let report = Report {
        approval: held.id,
        sequence: event.sequence,
        by: &held.by_name,
        key: &signed.fingerprint,
        namespace,
        statement: &statement,
        verify: verify.clone(),
    };
    let style = app.style();
    output::one(&mut *app.io.out, style, &report, &event, |style| {
        let mut sheet = Sheet::default();
        sheet.line(&format!(
            "{} by {} at {}, sequence {}",
            held.id,
            held.by_name,
            style.full(held.at),
            event.sequence
        ));
        sheet.line(&format!("signed by {}", signed.fingerprint));
        sheet.line(&format!(
            "{} {} in {} for {} s, digest {}",
            statement.decision,
            statement.plan.credential,
            statement.plan.environment,
            statement.plan.ttl_s,
            statement.request.digest.short()
        ));
        sheet.line(&format!("on the log of {} leaves", statement.log.size));
        sheet.finish()
    })?;
    Ok(())
}

async fn find(client: &Client, which: &Which, name: &str) -> Result<(EventRecord, Held), CliError> {
    let filter = match which {
        Which::Approval(_) => "type:approval.given".to_owned(),
        Which::Request(id) => format!("type:approval.given & subject:{id}"),
    };
    let mut query = ListQuery::filter(filter).limit(PAGE);
    loop {
        let page = client.log_events(&query).await;
        let page = page.map_err(CliError::call("search the log"))?.value;
        for event in page.items {
            let Ok(given) = serde_json::from_value::<Given>(event.data.clone()) else {
                continue;
            };
            let wanted = match which {
                Which::Approval(id) => given.approval.id == *id,
                Which::Request(_) => true,
            };
            if wanted {
                return Ok((event, given.approval));
            }
        }
        query.cursor = Some(page.next.ok_or(CliError::NotFound {
            what: "approval",
            name: name.to_owned(),
        })?);
    }
}

/// A new folder with what an auditor needs; what is there already is not touched.
fn write(folder: &Path, signed: &Signed, proof: &str, verify: &str) -> Result<(), CliError> {
    let doing = || CliError::files(format!("write the approval to {}", folder.display()));
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

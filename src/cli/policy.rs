//! `policy`: what decides, what is proposed, and what a proposal would change.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueHint};

use super::app::{App, settled};
use super::args::{ChangeArgs, Format};
use super::error::CliError;
use super::output::{self, List, Row, Sheet, Style, write_json};
use super::sign::{self, Shown};
use crate::client::{Client, Once};
use crate::display::diff::{self, Line};
use crate::display::table::Align::{self, Left, Right};
use crate::policy::{Bundle, Policy, cases};
use crate::secret::digest_of;
use crate::wire::{
    Approve, Deny, Digest, NewProposal, PolicyDetail, PolicyRow, ProposalDetail, ProposalId,
    ProposalRow, ProposalState, Reason, Simulate, Simulation, StepUp, policy::Difference,
    policy_digest, signing::Decision,
};

/// Lines around a change.
const CONTEXT: usize = 2;

/// Verbs of `policy`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Versions that were in force, newest first, and what is proposed
    List {
        /// Only proposals
        #[arg(long)]
        proposals: bool,
    },
    /// A version or a proposal: its text, what it changed, and who approved it
    Show(Show),
    /// Have a policy decide its own cases; no broker is needed
    ///
    /// Prints each case that is not decided as it says, with what was expected and what came, and how many lines
    /// of the rules the cases went through. Exit code 1 if a case fails or the policy does not load.
    Test {
        /// The folder of the policy: NAME.rego, NAME.json, cases/NAME.json. The one that ships if left out
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        folder: Option<PathBuf>,
    },
    /// What a policy would have decided about past requests, on the facts as they were recorded
    Simulate {
        #[command(flatten)]
        what: Source,
        /// Over how many days back, up to 365
        #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=365))]
        days: u32,
    },
    /// Propose the policy in a folder in place of the one in force
    ///
    /// It must load and decide its own cases. Others approve it, as the policy in force says; never who proposes.
    Propose {
        /// The folder of the policy
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        folder: PathBuf,
        /// The version that it was written against; the one in force if left out
        #[arg(long, value_name = "VERSION")]
        base: Option<u32>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Approve a proposal: what it changes is shown first, and signed
    Approve(Decide),
    /// Deny a proposal: one person's no ends it
    Deny(Denial),
    /// Take a proposal back
    Withdraw {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

/// Arguments of `policy show`.
#[derive(Debug, Args)]
pub struct Show {
    /// A version, or a proposal's identifier; the version in force if left out
    #[arg(value_name = "VERSION|PROPOSAL")]
    which: Option<String>,
    /// Print the text of this file only
    #[arg(long, value_name = "NAME", conflicts_with = "out")]
    file: Option<String>,
    /// Write the files into this folder, which must not exist: to edit, test and propose
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    out: Option<PathBuf>,
}

/// A policy that is not in force.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Source {
    /// The folder of the policy
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    folder: Option<PathBuf>,
    /// A proposal's identifier
    #[arg(long, value_name = "PROPOSAL")]
    proposal: Option<ProposalId>,
}

/// A proposal.
#[derive(Debug, Args)]
pub struct Which {
    /// The proposal's identifier
    #[arg(value_name = "PROPOSAL")]
    proposal: ProposalId,
}

/// A decision on a proposal.
#[derive(Debug, Args)]
pub struct Decide {
    #[command(flatten)]
    which: Which,
    /// The digest of the text that was seen, as `policy show` prints it; then nothing is shown and asked again
    #[arg(long, value_name = "DIGEST")]
    digest: Option<Digest>,
    #[command(flatten)]
    change: ChangeArgs,
}

/// A denial of a proposal.
#[derive(Debug, Args)]
pub struct Denial {
    #[command(flatten)]
    decide: Decide,
    /// Do not ask for a signature: it ends all the same, and the record says that it was not signed
    #[arg(long)]
    unsigned: bool,
}

/// Runs a verb.
///
/// # Errors
/// Why it was not done.
pub async fn run(app: &mut App<'_>, verb: &Verb) -> Result<(), CliError> {
    match verb {
        Verb::List { proposals } => list(app, *proposals).await,
        Verb::Show(args) => show(app, args).await,
        Verb::Test { folder } => test(app, folder.as_deref()),
        Verb::Simulate { what, days } => simulate(app, what, *days).await,
        Verb::Propose {
            folder,
            base,
            change,
        } => propose(app, folder, *base, change).await,
        Verb::Approve(decide) => approve(app, decide).await,
        Verb::Deny(denial) => deny(app, denial).await,
        Verb::Withdraw { which, change } => withdraw(app, which.proposal, change).await,
    }
}

fn read(folder: &Path) -> Result<Bundle, CliError> {
    Bundle::read(folder).map_err(CliError::Policy)
}

async fn list(app: &mut App<'_>, proposals: bool) -> Result<(), CliError> {
    let client = app.connect().await?;
    let all = client.policies().await;
    let all = all.map_err(CliError::call("list policies"))?.value;
    let style = app.style();
    if proposals {
        let mut list = List::begin::<ProposalRow>(&mut *app.io.out, style)?;
        for row in &all.proposals {
            list.row(row)?;
        }
        list.end()?;
        return Ok(());
    }
    let mut list = List::begin::<PolicyRow>(&mut *app.io.out, style)?;
    for row in &all.versions {
        list.row(row)?;
    }
    list.end()?;
    if !all.fault.is_empty() {
        app.say(&format!("Every request is refused: {}", all.fault))?;
    }
    let waiting = all
        .proposals
        .iter()
        .filter(|row| row.state == ProposalState::AwaitingApproval)
        .count();
    if waiting > 0 && app.global.output == Format::Table {
        app.say(&format!(
            "{waiting} proposed; policy list --proposals shows them"
        ))?;
    }
    Ok(())
}

impl Row for PolicyRow {
    const COLUMNS: &'static [(&'static str, Align)] = &[
        ("VERSION", Right),
        ("SINCE", Right),
        ("PROPOSED BY", Left),
        ("APPROVED BY", Left),
        ("DIGEST", Left),
        ("REASON", Left),
    ];

    fn cells(&self, style: &Style) -> Vec<String> {
        let mark = if self.in_force && style.format == Format::Table {
            "* "
        } else {
            ""
        };
        vec![
            format!("{mark}{}", self.version),
            style.moment_or(self.since, "shipped"),
            self.proposed_by.clone(),
            self.approved_by.join(" "),
            match style.format {
                Format::Table => self.digest.short(),
                _ => self.digest.to_string(),
            },
            self.reason.clone(),
        ]
    }
}

impl Row for ProposalRow {
    const COLUMNS: &'static [(&'static str, Align)] = &[
        ("ID", Left),
        ("STATE", Left),
        ("BASE", Right),
        ("APPROVALS", Right),
        ("PROPOSED", Right),
        ("BY", Left),
        ("REASON", Left),
    ];

    fn cells(&self, style: &Style) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.state.to_string(),
            self.base.to_string(),
            format!("{}/{}", self.approvals, self.needed),
            style.moment(self.proposed_at),
            self.proposed_by.clone(),
            self.reason.clone(),
        ]
    }
}

impl Row for Difference {
    const COLUMNS: &'static [(&'static str, Align)] = &[
        ("REQUEST", Left),
        ("CREDENTIAL", Left),
        ("ASKED", Right),
        ("BEFORE", Left),
        ("AFTER", Left),
        ("BECAUSE", Left),
    ];

    fn cells(&self, style: &Style) -> Vec<String> {
        vec![
            self.request.to_string(),
            self.credential.clone(),
            style.moment(self.submitted_at),
            self.before.line(),
            self.after.line(),
            self.after.reasons.first().cloned().unwrap_or_default(),
        ]
    }
}

/// A version or a proposal, with its files.
enum Text {
    Version(Box<PolicyDetail>),
    Proposal(Box<ProposalDetail>),
}

impl Text {
    fn files(&self) -> &BTreeMap<String, String> {
        match self {
            Self::Version(detail) => &detail.files,
            Self::Proposal(detail) => &detail.files,
        }
    }
}

async fn find(client: &Client, which: Option<&str>) -> Result<Text, CliError> {
    if let Some(id) = which.and_then(|which| which.parse().ok()) {
        return Ok(Text::Proposal(Box::new(proposal(client, id).await?)));
    }
    let version = match which {
        Some(word) => word.parse().map_err(|_| {
            CliError::Usage(format!(
                "{word:?} is neither a version nor a proposal's identifier"
            ))
        })?,
        None => {
            let all = client.policies().await;
            all.map_err(CliError::call("list policies"))?.value.in_force
        }
    };
    let detail = client.policy(version).await;
    let detail = detail.map_err(CliError::call(format!("show version {version}")))?;
    Ok(Text::Version(Box::new(detail.value)))
}

async fn proposal(client: &Client, id: ProposalId) -> Result<ProposalDetail, CliError> {
    let detail = client.proposal(id).await;
    Ok(detail
        .map_err(CliError::call(format!("show proposal {id}")))?
        .value)
}

async fn show(app: &mut App<'_>, args: &Show) -> Result<(), CliError> {
    let client = app.connect().await?;
    let text = find(&client, args.which.as_deref()).await?;
    if let Some(name) = &args.file {
        let file = text.files().get(name).ok_or_else(|| CliError::NotFound {
            what: "file",
            name: name.clone(),
        })?;
        let mut sheet = Sheet::default();
        for line in file.lines() {
            sheet.line(line);
        }
        app.io.out.write_all(sheet.finish().as_bytes())?;
        return Ok(());
    }
    if let Some(folder) = &args.out {
        write_files(folder, text.files())?;
        return app.say(&format!(
            "{} files are in {}",
            text.files().len(),
            folder.display()
        ));
    }
    let style = app.style();
    match &text {
        Text::Version(detail) => output::one(
            &mut *app.io.out,
            style,
            detail,
            &detail.row,
            |style: &Style| version_sheet(detail, style),
        )?,
        Text::Proposal(detail) => output::one(
            &mut *app.io.out,
            style,
            detail,
            &detail.row,
            |style: &Style| proposal_sheet(detail, style),
        )?,
    }
    Ok(())
}

/// Writes files whose names the broker gave: only such as a policy may have, so that none leaves the folder.
fn write_files(folder: &Path, files: &BTreeMap<String, String>) -> Result<(), CliError> {
    let bundle = Bundle::new(files.clone()).map_err(CliError::Policy)?;
    let doing = format!("write the policy to {}", folder.display());
    let create = |path: &Path| std::fs::create_dir(path).map_err(CliError::files(doing.clone()));
    create(folder)?;
    create(&folder.join("cases"))?;
    for (name, text) in bundle.files() {
        std::fs::write(folder.join(name), text).map_err(CliError::files(doing.clone()))?;
    }
    Ok(())
}

fn version_sheet(detail: &PolicyDetail, style: &Style) -> String {
    let mut sheet = Sheet::default();
    let row = &detail.row;
    let state = if row.in_force { "in force" } else { "past" };
    sheet.line(&format!("Policy version {}, {state}", row.version));
    if let Some(since) = row.since {
        sheet.fact("since", style.full(since));
        sheet.fact("proposed by", &row.proposed_by);
        sheet.fact("approved by", row.approved_by.join(" "));
    }
    sheet.fact("digest", row.digest.to_string());
    if row.proposal.is_some() {
        sheet.section("The proposer's words, unchecked");
        sheet.quote(&row.reason);
        sheet.section("What it changed");
        changes(&mut sheet, &detail.before, &detail.files);
    }
    sheet.section("Files (policy show --file NAME prints one, --out DIR writes all)");
    files(&mut sheet, &detail.files);
    sheet.finish()
}

fn proposal_sheet(detail: &ProposalDetail, style: &Style) -> String {
    let mut sheet = Sheet::default();
    let row = &detail.row;
    sheet.line(&format!(
        "{} proposes a policy in place of version {}",
        row.proposed_by, row.base
    ));
    sheet.fact("proposal", row.id.to_string());
    sheet.fact("state", row.state.as_str());
    sheet.fact("proposed", style.full(row.proposed_at));
    sheet.fact("deadline", style.full(row.deadline));
    sheet.fact("sequence", row.sequence.to_string());
    // Of the text that is shown here, not what the broker says that it is.
    let digest = policy_digest(&detail.files);
    sheet.fact("digest", digest.to_string());
    sheet.fact("short", digest.short());
    sheet.section("The proposer's words, unchecked");
    sheet.quote(&row.reason);
    sheet.section("What it changes");
    changes(&mut sheet, &detail.before, &detail.files);
    sheet.section("Decision");
    sheet.fact(
        "approvals",
        format!(
            "{} of {} from {}",
            row.approvals,
            row.needed,
            row.groups.join(" or ")
        ),
    );
    for given in &detail.approvals {
        let words = match (&given.void, &given.key) {
            (Some(why), _) => format!("; it no longer counts: {why}"),
            (None, Some(key)) => format!(", signed by {key}"),
            (None, None) => String::new(),
        };
        let at = style.full(given.at);
        sheet.fact("by", format!("{}, {at}{words}", given.by));
    }
    if let Some(by) = &detail.ended_by {
        let reason = detail.end_reason.as_deref().unwrap_or_default();
        sheet.fact("ended by", format!("{by}: {reason}"));
    }
    if let Some(proof) = &detail.end_proof {
        sheet.fact("proof", proof.words());
    }
    sheet.fact(
        "you",
        if detail.may_decide.allowed {
            "may decide".to_owned()
        } else {
            format!("may not decide: {}", detail.may_decide.detail)
        },
    );
    sheet.fact("others", detail.deciders.join(" "));
    sheet.finish()
}

fn files(sheet: &mut Sheet, files: &BTreeMap<String, String>) {
    for (name, text) in files {
        sheet.line(&format!("  {:>5}  {name}", text.lines().count()));
    }
}

fn changes(sheet: &mut Sheet, before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) {
    let names: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for name in names {
        let (old, new) = (before.get(name), after.get(name));
        if old == new {
            continue;
        }
        sheet.line(&format!(
            "  {name}{}",
            match (old, new) {
                (None, _) => " (new)",
                (_, None) => " (gone)",
                _ => "",
            }
        ));
        let (old, new) = (old.map_or("", |text| text), new.map_or("", |text| text));
        for line in diff::hunks(old, new, CONTEXT) {
            sheet.line(&match line {
                None => "      …".to_owned(),
                Some(Line::Same(text)) => format!("      {text}"),
                Some(Line::Removed(text)) => format!("    - {text}"),
                Some(Line::Added(text)) => format!("    + {text}"),
            });
        }
    }
}

fn test(app: &mut App<'_>, folder: Option<&Path>) -> Result<(), CliError> {
    let bundle = match folder {
        Some(folder) => read(folder)?,
        None => Bundle::shipped(),
    };
    let policy = Policy::load(0, &bundle).map_err(CliError::Policy)?;
    let report = cases::run_with_coverage(&policy, &bundle).map_err(CliError::Policy)?;
    if app.global.output == Format::Table {
        let mut sheet = Sheet::default();
        for failure in &report.failed {
            sheet.line(&format!("FAIL {}: {}", failure.file, failure.name));
            sheet.line(&format!("  expected  {}", failure.expected));
            sheet.line(&format!("  got       {}", failure.got));
        }
        sheet.line(&format!(
            "{} cases, {} failed",
            report.total,
            report.failed.len()
        ));
        sheet.section("Lines that the cases went through");
        for file in &report.coverage {
            let missing: Vec<_> = file.missing.iter().map(ToString::to_string).collect();
            let missing = if missing.is_empty() {
                String::new()
            } else {
                format!("  not line {}", missing.join(", "))
            };
            sheet.line(&format!(
                "  {:>4} of {:<4} {}{missing}",
                file.covered, file.lines, file.file
            ));
        }
        app.io.out.write_all(sheet.finish().as_bytes())?;
    } else {
        let pretty = app.global.output != Format::Ndjson;
        write_json(&mut *app.io.out, &report, pretty)?;
        app.io.out.write_all(b"\n")?;
    }
    if report.failed.is_empty() {
        Ok(())
    } else {
        Err(CliError::Cases(report.failed.len()))
    }
}

async fn simulate(app: &mut App<'_>, what: &Source, days: u32) -> Result<(), CliError> {
    let body = Simulate {
        files: match &what.folder {
            Some(folder) => read(folder)?.files().clone(),
            None => BTreeMap::new(),
        },
        proposal: what.proposal,
        days: Some(days),
    };
    let client = app.connect().await?;
    let simulation = client.simulate_policy(&body).await;
    let simulation = simulation
        .map_err(CliError::call("simulate the policy"))?
        .value;
    if matches!(app.global.output, Format::Json) {
        write_json(&mut *app.io.out, &simulation, true)?;
        app.io.out.write_all(b"\n")?;
        return Ok(());
    }
    let style = app.style();
    let mut list = List::begin::<Difference>(&mut *app.io.out, style)?;
    for row in &simulation.differences {
        list.row(row)?;
    }
    list.end()?;
    app.say(&summary(&simulation))
}

fn summary(simulation: &Simulation) -> String {
    let mut words = format!(
        "{} of {} decisions of the last {} days would differ",
        simulation.differ, simulation.decisions, simulation.days
    );
    if simulation.differences.len() as u64 != simulation.differ {
        words.push_str(&format!(
            "; the latest {} are shown",
            simulation.differences.len()
        ));
    }
    if simulation.without_facts > 0 {
        words.push_str(&format!(
            "; {} more have no recorded facts",
            simulation.without_facts
        ));
    }
    if simulation.cut {
        words.push_str("; older ones in that time were left out");
    }
    words
}

async fn propose(
    app: &mut App<'_>,
    folder: &Path,
    base: Option<u32>,
    change: &ChangeArgs,
) -> Result<(), CliError> {
    let bundle = read(folder)?;
    let policy = Policy::load(0, &bundle).map_err(CliError::Policy)?;
    let report = cases::run(&policy, &bundle).map_err(CliError::Policy)?;
    if !report.failed.is_empty() {
        for failure in &report.failed {
            app.say(&failure.to_string())?;
        }
        return Err(CliError::Cases(report.failed.len()));
    }
    let client = app.connect_to_change().await?;
    let base = match base {
        Some(base) => base,
        None => {
            let all = client.policies().await;
            all.map_err(CliError::call("list policies"))?.value.in_force
        }
    };
    let body = NewProposal {
        files: bundle.files().clone(),
        base,
        reason: app.reason(change)?,
    };
    let once = App::once(change);
    if change.dry_run {
        return app.would_send("/v1/policies/proposals", &body, &once);
    }
    let outcome = client.propose_policy(&body, &once).await;
    let receipt = settled(outcome, "propose the policy", &once)?.value;
    app.receipt(&format!("Proposed {}", receipt.subject), &receipt)
}

/// The digest that is decided on: what was seen before, or what is shown now.
fn seen(app: &mut App<'_>, decide: &Decide, detail: &ProposalDetail) -> Result<Digest, CliError> {
    let digest = policy_digest(&detail.files);
    if let Some(given) = decide.digest {
        if given == digest {
            return Ok(digest);
        }
        return Err(CliError::Changed {
            subject: detail.row.id.to_string(),
            detail: format!("you saw {}, it is {}", given.short(), digest.short()),
        });
    }
    if !decide.change.yes && !decide.change.dry_run && app.io.can_ask() {
        let shown = proposal_sheet(detail, &app.style());
        app.io.err.write_all(shown.as_bytes())?;
    }
    app.confirm(
        &decide.change,
        "Approving lets this text decide every request (to decide on what you saw before, pass --digest)",
        &digest.short(),
    )?;
    Ok(digest)
}

fn bound(change: &ChangeArgs, detail: &ProposalDetail) -> Once {
    let once = App::once(change);
    Once {
        seen: once.seen.or(Some(detail.row.sequence)),
        ..once
    }
}

async fn approve(app: &mut App<'_>, decide: &Decide) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let id = decide.which.proposal;
    let detail = proposal(&client, id).await?;
    let digest = seen(app, decide, &detail)?;
    let once = bound(&decide.change, &detail);
    let mut body = Approve {
        digest,
        reason: decide.change.reason.clone().unwrap_or_default(),
        signed: None,
    };
    if decide.change.dry_run {
        return app.would_send(
            &format!("/v1/policies/proposals/{id}/approvals"),
            &body,
            &once,
        );
    }
    // Nobody is asked to touch a key for what would be refused; the broker says why.
    if detail.step_up != StepUp::None && detail.may_decide.allowed {
        let shown = shown(app, &detail, Decision::Approve, &body.reason);
        body.signed = Some(sign::policy(app, &client, &shown).await?);
    }
    let outcome = client.approve_policy(id, &body, &once).await;
    let receipt = settled(outcome, format!("approve {id}"), &once)?.value;
    app.receipt(&format!("Approved {id}"), &receipt)
}

fn shown<'a>(
    app: &App<'_>,
    detail: &'a ProposalDetail,
    decision: Decision,
    reason: &'a str,
) -> Shown<'a, ProposalDetail> {
    Shown {
        detail,
        step_up: detail.step_up,
        decision,
        reason,
        view: digest_of(&proposal_sheet(detail, &app.style())),
    }
}

async fn deny(app: &mut App<'_>, denial: &Denial) -> Result<(), CliError> {
    let decide = &denial.decide;
    let client = app.connect_to_change().await?;
    let id = decide.which.proposal;
    let detail = proposal(&client, id).await?;
    // A denial changes nothing in force: what is there now is what is denied.
    let digest = decide
        .digest
        .unwrap_or_else(|| policy_digest(&detail.files));
    let once = bound(&decide.change, &detail);
    let reason = app.reason(&decide.change)?;
    let asked = detail.step_up != StepUp::None;
    let mut body = Deny {
        digest,
        reason,
        signed: None,
        unsigned: asked && denial.unsigned,
    };
    if decide.change.dry_run {
        return app.would_send(
            &format!("/v1/policies/proposals/{id}/denials"),
            &body,
            &once,
        );
    }
    if asked && !denial.unsigned && sign::may_deny(&detail.may_decide) {
        let shown = shown(app, &detail, Decision::Deny, &body.reason);
        let signed = sign::policy(app, &client, &shown).await;
        body.signed = sign::denial(app, signed)?;
        body.unsigned = body.signed.is_none();
    }
    let outcome = client.deny_policy(id, &body, &once).await;
    let receipt = settled(outcome, format!("deny {id}"), &once)?.value;
    app.receipt(&format!("Denied {id}"), &receipt)
}

async fn withdraw(app: &mut App<'_>, id: ProposalId, change: &ChangeArgs) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let once = App::once(change);
    let reason = Reason {
        reason: app.reason(change)?,
    };
    if change.dry_run {
        return app.would_send(
            &format!("/v1/policies/proposals/{id}/withdraw"),
            &reason,
            &once,
        );
    }
    let outcome = client.withdraw_policy(id, &reason, &once).await;
    let receipt = settled(outcome, format!("withdraw {id}"), &once)?.value;
    app.receipt(&format!("Withdrawn {id}"), &receipt)
}

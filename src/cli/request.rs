//! `request`: ask for a credential, review, decide, collect the secret.

use clap::{Args, Subcommand};

use super::app::{App, settled};
use super::args::{ChangeArgs, Format, ListArgs, span};
use super::burst;
use super::deliver::{DeliverArgs, Delivered, Destination};
use super::error::CliError;
use super::output;
use super::review;
use super::sign::{self, Shown};
use super::wait::{self, End};
use crate::client::{Client, ListQuery, Once};
use crate::secret::digest_of;
use crate::wire::request::Narrowed;
use crate::wire::signing::Decision;
use crate::wire::{
    Approve, BreakGlass, Deny, Digest, Environment, Kind, Narrow, NewNote, NewRequest, Reason,
    Receipt, RequestDetail, RequestId, RequestState, StepUp,
};

/// Verbs of `request`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// The queue, newest first unless sorted
    ///
    /// In a table, the requests of one person that are a burst are one row, as in the console.
    /// For example: countersign request list --filter state:awaiting --sort=-risk
    List(Listing),
    /// Everything about one request: who gets what, the risk, the rules, who may decide
    Show(Which),
    /// Ask for a credential
    ///
    /// Exit code 0 when it is issued or approved, 4 when people must approve it first, 3 when policy
    /// denies it. With --wait it waits for the decision and the issuing, then tells how it ended.
    New(Box<New>),
    /// Approve a request, exactly as you saw it
    ///
    /// The approval is bound to the digest of the plan. On a terminal the plan is shown and the
    /// credential's name is to be typed. In a script, pass --digest as `request show` printed it: if
    /// the plan is another one by now, nothing is approved and the exit code is 6.
    Approve(Decide),
    /// Deny a request; one denial ends it
    Deny(Denial),
    /// Deny what waits of a burst, all of it, each with a record of its own
    ///
    /// What would be denied is shown first. REQUEST is the burst as `request list` shows it, or one of its requests.
    DenyBurst(Change),
    /// Offer less than was asked for: fewer scopes, a shorter life
    ///
    /// Without --yes it first tells the risk and the quorum that would have. What was approved of the wider plan no
    /// longer counts.
    Narrow(Narrowing),
    /// Ask the requester something, or answer as the requester; kept in the record
    Ask(Change),
    /// Stop a request until somebody lets it go on
    Hold(Change),
    /// Let a held request go on
    Resume(Change),
    /// EMERGENCY: take what you asked for without a quorum, for minutes
    ///
    /// Policy must let you, it is signed with your SSH key, everybody is told, and others must sign for it afterwards: if
    /// they do not in time, it is withdrawn.
    BreakGlass(Change),
    /// Take your own request back
    Withdraw(Change),
    /// Try again to issue a request that failed
    Retry(Change),
    /// Collect the secret, once
    ///
    /// It goes to the file of --out (mode 0600), or to standard output where that is not a terminal,
    /// or with --show. The place is checked before the secret is asked for.
    Claim(Claim),
}

/// Arguments of `request list`.
#[derive(Debug, Args)]
pub struct Listing {
    #[command(flatten)]
    list: ListArgs,
    /// Every request by itself, those of a burst too
    #[arg(long)]
    each: bool,
}

/// A request.
#[derive(Debug, Args)]
pub struct Which {
    /// The request's identifier, or the name of a credential with one open request
    #[arg(value_name = "REQUEST")]
    request: String,
}

/// Arguments of `request new`.
#[derive(Debug, Args)]
pub struct New {
    /// The credential's stable name: a-z 0-9 . _ / -
    #[arg(value_name = "CREDENTIAL")]
    credential: String,
    /// Where it is used: development, staging or production
    #[arg(long, value_name = "ENVIRONMENT")]
    env: Environment,
    /// What is made: api_key, database_role, jwt or vault_lease
    #[arg(long, value_name = "KIND")]
    kind: Kind,
    /// For whom: a client, by name or identifier
    #[arg(long, value_name = "CLIENT")]
    client: String,
    /// Whom it may be shown to, such as https://payments.example
    #[arg(long, value_name = "AUDIENCE")]
    audience: String,
    /// What it allows; may be given several times
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// For how long, such as 90s, 12h or 30d
    #[arg(long, value_name = "TIME", value_parser = span)]
    ttl: std::time::Duration,
    /// The configured issuer; the only one of the kind if left out
    #[arg(long, value_name = "ISSUER")]
    issuer: Option<String>,
    /// For a vault_lease: the path that is read, such as database/creds/payments-ro; for a database_role: a role of its
    /// issuer's configuration
    #[arg(long, value_name = "PATH", default_value = "")]
    role: String,
    /// The team that will answer for it; the client's owner if left out
    #[arg(long, value_name = "TEAM")]
    owner: Option<String>,
    /// A regulatory tag; may be given several times
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Where the secret is put, such as vault:payments/checkout-db; the credential's own destination if left out
    #[arg(long, value_name = "DESTINATION:PATH")]
    deliver_to: Option<crate::wire::Destination>,
    #[command(flatten)]
    change: ChangeArgs,
}

/// A decision.
#[derive(Debug, Args)]
pub struct Decide {
    #[command(flatten)]
    which: Which,
    /// The digest of the plan that you decided on, as `request show` prints it, whole or short
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

/// A denial.
#[derive(Debug, Args)]
pub struct Denial {
    #[command(flatten)]
    decide: Decide,
    /// Do not ask for a signature: it stops all the same, and the record says that it was not signed
    #[arg(long)]
    unsigned: bool,
}

/// A change of one request.
#[derive(Debug, Args)]
pub struct Change {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    change: ChangeArgs,
}

/// Arguments of `request narrow`.
#[derive(Debug, Args)]
pub struct Narrowing {
    #[command(flatten)]
    which: Which,
    /// A scope to leave; may be given several times. All of them if left out
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// The life to leave, such as 30m; as it is if left out
    #[arg(long, value_name = "TIME", value_parser = span)]
    ttl: Option<std::time::Duration>,
    #[command(flatten)]
    change: ChangeArgs,
}

/// Arguments of `request claim`.
#[derive(Debug, Args)]
pub struct Claim {
    #[command(flatten)]
    which: Which,
    /// Name the claim: a repetition with the same key tells that it was delivered
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    deliver: DeliverArgs,
}

/// Runs a verb.
///
/// # Errors
/// Why it was not done.
pub async fn run(app: &mut App<'_>, verb: &Verb) -> Result<(), CliError> {
    match verb {
        Verb::List(args) => list(app, args).await,
        Verb::Show(which) => {
            let client = app.connect().await?;
            let detail = find(&client, &which.request).await?;
            let style = app.style();
            output::one(&mut *app.io.out, style, &detail, &detail.row, |style| {
                review::request(&detail, style)
            })?;
            Ok(())
        }
        Verb::New(new) => ask(app, new).await,
        Verb::Approve(decide) => approve(app, decide).await,
        Verb::Deny(denial) => deny(app, denial).await,
        Verb::DenyBurst(args) => burst::deny(app, &args.which.request, &args.change).await,
        Verb::Narrow(narrowing) => narrow(app, narrowing).await,
        Verb::Ask(change) => add_note(app, change).await,
        Verb::Hold(change) => hold(app, change, true).await,
        Verb::Resume(change) => hold(app, change, false).await,
        Verb::BreakGlass(change) => break_glass(app, change).await,
        Verb::Withdraw(change) => withdraw(app, change).await,
        Verb::Retry(change) => retry(app, change).await,
        Verb::Claim(claim) => collect(app, claim).await,
    }
}

async fn list(app: &mut App<'_>, args: &Listing) -> Result<(), CliError> {
    if !args.each && app.global.output == Format::Table {
        return burst::list(app, &args.list).await;
    }
    let client = app.connect().await?;
    app.list(&args.list, async |query| {
        let page = client.requests(&query).await;
        page.map_err(CliError::call("list requests"))
    })
    .await
}

async fn ask(app: &mut App<'_>, new: &New) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let holder = app.client(&client, &new.client).await?;
    let request = NewRequest {
        credential: new.credential.clone(),
        environment: new.env,
        kind: new.kind,
        issuer: new.issuer.clone(),
        role: new.role.clone(),
        client: holder.id,
        audience: new.audience.clone(),
        scopes: new.scopes.clone(),
        ttl_s: new.ttl.as_secs(),
        reason: new.change.reason.clone().unwrap_or_default(),
        owner: new.owner.clone(),
        tags: new.tags.clone(),
        destination: new.deliver_to.clone(),
        dry_run: new.change.dry_run,
    };
    let once = App::once(&new.change);
    let doing = format!("ask for {}", new.credential);
    let receipt = settled(client.ask(&request, &once).await, doing, &once)?.value;
    let done = if receipt.dry_run {
        "Would come to"
    } else {
        "Asked"
    };
    app.receipt(&format!("{done} ({})", receipt.subject), &receipt)?;
    if receipt.dry_run {
        return judge(&receipt.subject, &receipt.state, String::new());
    }
    let id: RequestId = parse_subject(&receipt)?;
    if new.change.wait {
        return settle(app, &client, id, &receipt, &new.change).await;
    }
    let reason = match receipt.state.as_str() {
        "denied" => find(&client, &receipt.subject).await?.end_reason,
        _ => None,
    };
    judge(&receipt.subject, &receipt.state, reason.unwrap_or_default())
}

async fn approve(app: &mut App<'_>, decide: &Decide) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let detail = find(&client, &decide.which.request).await?;
    let digest = seen(
        app,
        decide,
        &detail,
        "Approving lets this be issued (to decide on what you saw before, pass --digest)",
    )?;
    let once = bound(&decide.change, &detail);
    let id = detail.row.id;
    let mut body = Approve {
        digest,
        reason: decide.change.reason.clone().unwrap_or_default(),
        signed: None,
    };
    if decide.change.dry_run {
        return app.would_send(&format!("/v1/requests/{id}/approvals"), &body, &once);
    }
    // Nobody is asked to touch a key for what would be refused; the broker says why.
    if detail.step_up != StepUp::None && detail.may_decide.allowed {
        let shown = shown(app, &detail, Decision::Approve, &body.reason);
        body.signed = Some(sign::request(app, &client, &shown).await?);
    }
    let outcome = client.approve(id, &body, &once).await;
    let receipt = settled(outcome, format!("approve {id}"), &once)?.value;
    app.receipt(&format!("Approved {id}"), &receipt)?;
    if decide.change.wait {
        settle(app, &client, id, &receipt, &decide.change).await
    } else {
        Ok(())
    }
}

fn shown<'a>(
    app: &App<'_>,
    detail: &'a RequestDetail,
    decision: Decision,
    reason: &'a str,
) -> Shown<'a, RequestDetail> {
    Shown {
        detail,
        step_up: detail.step_up,
        decision,
        reason,
        view: digest_of(&review::request(detail, &app.style())),
    }
}

async fn narrow(app: &mut App<'_>, args: &Narrowing) -> Result<(), CliError> {
    if args.scopes.is_empty() && args.ttl.is_none() {
        return Err(CliError::Usage(
            "say what to leave: --scope, --ttl or both".to_owned(),
        ));
    }
    let client = app.connect_to_change().await?;
    let detail = find(&client, &args.which.request).await?;
    let id = detail.row.id;
    let mut body = Narrow {
        digest: detail.digest,
        scopes: (!args.scopes.is_empty()).then(|| args.scopes.clone()),
        ttl_s: args.ttl.map(|ttl| ttl.as_secs()),
        reason: app.reason(&args.change)?,
        dry_run: true,
    };
    let once = bound(&args.change, &detail);
    let doing = format!("narrow {id}");
    // Under the same key, so that who repeats it is told what it came to.
    let tried = client.would_narrow(id, &body, &once).await;
    let tried = settled(tried, doing.as_str(), &once)?.value;
    if args.change.dry_run {
        let style = app.style();
        output::one(&mut *app.io.out, style, &tried, &detail.row, |_| {
            narrowed(&tried)
        })?;
        return Ok(());
    }
    let effect = narrowed(&tried);
    app.confirm(&args.change, effect.trim_end(), &detail.row.credential)?;
    body.dry_run = false;
    let receipt = settled(client.narrow(id, &body, &once).await, doing, &once)?.value;
    app.receipt(&format!("Narrowed {id}"), &receipt)
}

fn narrowed(tried: &Narrowed) -> String {
    let mut sheet = output::Sheet::default();
    let quorum = match &tried.quorum {
        Some(quorum) => format!("{} from {}", quorum.count, quorum.groups.join(" or ")),
        None => "nobody: policy lets it through".to_owned(),
    };
    sheet.line(&format!(
        "Left: {} for {} s. Risk {} {}. To approve: {quorum}",
        tried.plan.scopes.join(" "),
        tried.plan.ttl_s,
        tried.risk.tier,
        tried.risk.score
    ));
    sheet.finish()
}

async fn add_note(app: &mut App<'_>, args: &Change) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let id = find(&client, &args.which.request).await?.row.id;
    let once = App::once(&args.change);
    let body = NewNote {
        text: app.reason(&args.change)?,
    };
    if args.change.dry_run {
        return app.would_send(&format!("/v1/requests/{id}/notes"), &body, &once);
    }
    let outcome = client.add_note(id, &body, &once).await;
    let receipt = settled(outcome, format!("write to {id}"), &once)?.value;
    app.receipt(&format!("Noted on {id}"), &receipt)
}

async fn hold(app: &mut App<'_>, args: &Change, stop: bool) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let id = find(&client, &args.which.request).await?.row.id;
    let once = App::once(&args.change);
    let body = Reason {
        reason: app.reason(&args.change)?,
    };
    let (verb, done) = if stop {
        ("hold", "Held")
    } else {
        ("resume", "Goes on:")
    };
    if args.change.dry_run {
        return app.would_send(&format!("/v1/requests/{id}/{verb}"), &body, &once);
    }
    let outcome = if stop {
        client.hold(id, &body, &once).await
    } else {
        client.resume(id, &body, &once).await
    };
    let receipt = settled(outcome, format!("{verb} {id}"), &once)?.value;
    app.receipt(&format!("{done} {id}"), &receipt)
}

async fn break_glass(app: &mut App<'_>, args: &Change) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let detail = find(&client, &args.which.request).await?;
    let id = detail.row.id;
    let once = bound(&args.change, &detail);
    let reason = app.reason(&args.change)?;
    if args.change.dry_run {
        let body = Reason { reason };
        return app.would_send(&format!("/v1/requests/{id}/break-glass"), &body, &once);
    }
    let effect =
        "EMERGENCY: nobody else has agreed to this, everybody is told, and others must sign for it";
    app.confirm(&args.change, effect, &detail.row.credential)?;
    let shown = shown(app, &detail, Decision::BreakGlass, &reason);
    let body = BreakGlass {
        signed: sign::request(app, &client, &shown).await?,
        reason,
    };
    let outcome = client.break_glass(id, &body, &once).await;
    let receipt = settled(outcome, format!("break the glass for {id}"), &once)?.value;
    app.receipt(&format!("Broke the glass for {id}"), &receipt)?;
    if args.change.wait {
        settle(app, &client, id, &receipt, &args.change).await
    } else {
        Ok(())
    }
}

async fn deny(app: &mut App<'_>, denial: &Denial) -> Result<(), CliError> {
    let decide = &denial.decide;
    let client = app.connect_to_change().await?;
    let detail = find(&client, &decide.which.request).await?;
    let digest = match &decide.digest {
        Some(text) => check_digest(text, &detail)?,
        // A denial makes nothing: what is there now is what is denied.
        None => detail.digest,
    };
    let id = detail.row.id;
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
        return app.would_send(&format!("/v1/requests/{id}/denials"), &body, &once);
    }
    if asked && !denial.unsigned && sign::may_deny(&detail.may_decide) {
        let shown = shown(app, &detail, Decision::Deny, &body.reason);
        let signed = sign::request(app, &client, &shown).await;
        body.signed = sign::denial(app, signed)?;
        body.unsigned = body.signed.is_none();
    }
    let outcome = client.deny(id, &body, &once).await;
    let receipt = settled(outcome, format!("deny {id}"), &once)?.value;
    app.receipt(&format!("Denied {id}"), &receipt)
}

async fn withdraw(app: &mut App<'_>, args: &Change) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let id = find(&client, &args.which.request).await?.row.id;
    let once = App::once(&args.change);
    let reason = Reason {
        reason: app.reason(&args.change)?,
    };
    if args.change.dry_run {
        return app.would_send(&format!("/v1/requests/{id}/withdraw"), &reason, &once);
    }
    let outcome = client.withdraw(id, &reason, &once).await;
    let receipt = settled(outcome, format!("withdraw {id}"), &once)?.value;
    app.receipt(&format!("Withdrawn {id}"), &receipt)
}

async fn retry(app: &mut App<'_>, args: &Change) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let id = find(&client, &args.which.request).await?.row.id;
    let once = App::once(&args.change);
    if args.change.dry_run {
        let body = serde_json::json!({});
        return app.would_send(&format!("/v1/requests/{id}/retry"), &body, &once);
    }
    let outcome = client.retry(id, &once).await;
    let receipt = settled(outcome, format!("retry {id}"), &once)?.value;
    app.receipt(&format!("Trying again {id}"), &receipt)?;
    if args.change.wait {
        settle(app, &client, id, &receipt, &args.change).await
    } else {
        Ok(())
    }
}

async fn collect(app: &mut App<'_>, claim: &Claim) -> Result<(), CliError> {
    let client = app.connect_to_change().await?;
    let id = find(&client, &claim.which.request).await?.row.id;
    let once = match &claim.idempotency_key {
        Some(key) => Once {
            key: key.clone(),
            seen: None,
        },
        None => Once::new(),
    };
    // A secret is handed out once: whether it can be put somewhere is known before it is asked for.
    let destination = Destination::open(&claim.deliver, app.io)?;
    let claimed = match settled(client.claim(id, &once).await, format!("claim {id}"), &once) {
        Ok(answer) => answer.value,
        Err(error) => {
            destination.discard();
            return Err(error);
        }
    };
    if claimed.secret_already_delivered {
        destination.discard();
        return Err(CliError::Ended {
            request: id.to_string(),
            state: "claimed".to_owned(),
            reason:
                "the secret was delivered to an earlier claim with this key; it is not shown again"
                    .to_owned(),
        });
    }
    let format = app.global.output;
    let delivered = Delivered {
        document: &claimed,
        fields: &claimed.secret,
    };
    let place = destination.put(&claim.deliver, format, app.io, &delivered)?;
    app.say(&format!(
        "Claimed {id}: version {} of {}, {}. {place}",
        claimed.version,
        claimed.credential,
        match claimed.expires_at {
            Some(at) => format!("ends {}", app.style().full(at)),
            None => "without an end".to_owned(),
        },
    ))
}

/// The request of this identifier, or the only open one for the credential of this name.
async fn find(client: &Client, name: &str) -> Result<RequestDetail, CliError> {
    let id = match name.parse() {
        Ok(id) => id,
        Err(_) => open_request(client, name).await?,
    };
    let detail = client.request(id).await;
    Ok(detail
        .map_err(CliError::call(format!("show request {id}")))?
        .value)
}

async fn open_request(client: &Client, name: &str) -> Result<RequestId, CliError> {
    let shaped = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
    if name.is_empty() || !name.bytes().all(shaped) {
        return Err(CliError::Usage(format!(
            "{name:?} is neither a request's identifier (req_…) nor a credential's name"
        )));
    }
    let query = ListQuery::filter(format!("name=\"{name}\""));
    let page = client.requests(&query).await;
    let rows = page
        .map_err(CliError::call(format!("look for requests for {name:?}")))?
        .value
        .items;
    let open: Vec<RequestId> = rows
        .iter()
        .filter(|row| row.credential == name && !row.state.ended())
        .map(|row| row.id)
        .collect();
    match open.as_slice() {
        [id] => Ok(*id),
        [] => Err(CliError::NotFound {
            what: "request",
            name: name.to_owned(),
        }),
        several => Err(CliError::Ambiguous {
            what: "request",
            name: name.to_owned(),
            ids: several.iter().map(ToString::to_string).collect(),
        }),
    }
}

/// Has the person look, unless they did before: the digest that the decision is bound to.
fn seen(
    app: &mut App<'_>,
    decide: &Decide,
    detail: &RequestDetail,
    effect: &str,
) -> Result<Digest, CliError> {
    if let Some(text) = &decide.digest {
        return check_digest(text, detail);
    }
    if !decide.change.yes && !decide.change.dry_run && app.io.can_ask() {
        let text = review::request(detail, &app.style());
        app.io.err.write_all(text.as_bytes())?;
    }
    app.confirm(&decide.change, effect, &detail.row.credential)?;
    Ok(detail.digest)
}

fn check_digest(text: &str, detail: &RequestDetail) -> Result<Digest, CliError> {
    let now = detail.digest;
    if text == now.to_string() || text == now.short() {
        return Ok(now);
    }
    let short = |text: &str| text.len() == 14 && text.bytes().filter(|b| *b == b'-').count() == 2;
    if text.parse::<Digest>().is_err() && !short(text) {
        return Err(CliError::Usage(format!(
            "--digest {text:?} is not a digest; expected sha256: and 64 hex digits, or the short form such as {}",
            now.short()
        )));
    }
    Err(CliError::Changed {
        subject: detail.row.id.to_string(),
        detail: format!("its plan has the digest {now}"),
    })
}

/// A decision holds for what was shown only.
fn bound(change: &ChangeArgs, detail: &RequestDetail) -> Once {
    let once = App::once(change);
    Once {
        seen: once.seen.or(Some(detail.row.sequence)),
        ..once
    }
}

fn parse_subject(receipt: &Receipt) -> Result<RequestId, CliError> {
    receipt.subject.parse().map_err(|_| CliError::Ended {
        request: receipt.subject.clone(),
        state: receipt.state.clone(),
        reason: "the broker's receipt does not name a request".to_owned(),
    })
}

async fn settle(
    app: &mut App<'_>,
    client: &Client,
    id: RequestId,
    receipt: &Receipt,
    change: &ChangeArgs,
) -> Result<(), CliError> {
    let end = wait::until(
        client,
        receipt.sequence,
        change.timeout,
        |item| {
            item.request.as_ref().is_some_and(|row| row.id == id)
                || item.event.subject == id.to_string()
        },
        async || {
            let detail = find(client, &id.to_string()).await?;
            Ok(if resting(&detail) {
                End::Reached(detail)
            } else {
                End::Not(detail)
            })
        },
    )
    .await?;
    match end {
        End::Reached(detail) => {
            let state = detail.row.state.to_string();
            app.say(&format!("{id} is {state}"))?;
            let reason = detail.end_reason.or(detail.failure).unwrap_or_default();
            judge(&id.to_string(), &state, reason)
        }
        End::Not(detail) if detail.row.state == RequestState::AwaitingApproval => {
            Err(CliError::AwaitsApproval(id.to_string()))
        }
        End::Not(detail) => Err(CliError::NotConverged {
            subject: id.to_string(),
            state: detail.row.state.to_string(),
        }),
    }
}

/// Whether nothing more happens to a request without its requester.
fn resting(detail: &RequestDetail) -> bool {
    let state = detail.row.state;
    match state {
        // What has a destination is delivered next, and claimed by nobody.
        RequestState::Issued => detail.plan.destination.is_none(),
        _ => state.ended() || matches!(state, RequestState::Failed | RequestState::Held),
    }
}

/// Whether the state is what somebody who asks hopes for, and the error if not.
fn judge(request: &str, state: &str, reason: String) -> Result<(), CliError> {
    let request = request.to_owned();
    let reason = match reason.as_str() {
        "" => "`countersign request show` says more".to_owned(),
        _ => reason,
    };
    match state {
        "awaiting_approval" => Err(CliError::AwaitsApproval(request)),
        "denied" => Err(CliError::Denied { request, reason }),
        "expired" | "withdrawn" | "lapsed" | "failed" | "held" => Err(CliError::Ended {
            request,
            state: state.to_owned(),
            reason,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::error::exit_code;

    #[test]
    fn each_state_has_its_exit_code() {
        for state in RequestState::ALL {
            let code = judge("req_x", state.as_str(), String::new())
                .map_or_else(|e| exit_code(&e), |()| 0);
            let expected = match state {
                RequestState::AwaitingApproval => 4,
                RequestState::Denied => 3,
                RequestState::Expired
                | RequestState::Withdrawn
                | RequestState::Lapsed
                | RequestState::Failed
                | RequestState::Held => 1,
                _ => 0,
            };
            assert_eq!(code, expected, "{state}");
        }
    }
}

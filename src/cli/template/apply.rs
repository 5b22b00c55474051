//! Applying a template: what is there already is compared, what is not is made. Applied twice it has one effect; where
//! something of the name is there and differs, nothing is changed and the differences are said.

use serde::Serialize;

use super::file::{FirstRequest, Newcomer, NewcomerClient, NewcomerOperator};
use super::{Onboard, OnboardOperator, find};
use crate::cli::app::{App, settled};
use crate::cli::args::Format;
use crate::cli::deliver::Destination;
use crate::cli::error::CliError;
use crate::cli::minted;
use crate::cli::output::{self, Sheet, span};
use crate::cli::rows;
use crate::client::{Client, ListQuery};
use crate::wire::{
    ClientId, ClientRow, CredentialState, NewClient, NewOperator, NewRequest, OperatorRow,
    RequestState,
};

/// One step of applying a template.
#[derive(Debug, Serialize)]
struct Step {
    what: &'static str,
    name: String,
    /// It is there already, as the template says.
    done: bool,
    /// What it comes to, in one line.
    words: String,
}

/// What `--dry-run` prints.
#[derive(Debug, Serialize)]
struct Plan<'a> {
    dry_run: bool,
    steps: &'a [Step],
}

/// What differs, as it is said.
#[derive(Debug, Default)]
struct Differences(Vec<String>);

impl Differences {
    fn compare(&mut self, of: &str, field: &str, is: impl AsRef<str>, wanted: impl AsRef<str>) {
        let (is, wanted) = (is.as_ref(), wanted.as_ref());
        if is != wanted {
            self.0.push(format!(
                "{of}: {field} is {is:?}, the template says {wanted:?}"
            ));
        }
    }

    fn none(self) -> Result<(), CliError> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(CliError::Declined(format!(
            "what is there differs from the template: {}",
            self.0.join("; ")
        )))
    }
}

/// `client onboard`.
///
/// # Errors
/// Why it was not done.
pub async fn client(app: &mut App<'_>, args: &Onboard) -> Result<(), CliError> {
    one_key(args)?;
    let template = find(&args.template)?;
    let Newcomer::Client(wanted) = template.fill(&args.values)? else {
        let words = "this template is for an operator: use `operator onboard`";
        return Err(CliError::Usage(words.to_owned()));
    };
    let client = app.connect_to_change().await?;
    let held = client_named(&client, &wanted.name).await?;
    // All is looked at before the first change: a difference further down leaves nothing half done.
    let mut differences = Differences::default();
    if let Some(row) = &held {
        compare_client(&mut differences, row, &wanted);
    }
    let mut steps = vec![Step {
        what: "client",
        name: wanted.name.clone(),
        done: held.is_some(),
        words: format!(
            "in {}, owner {}, tier {}",
            wanted.environment, wanted.owner, wanted.tier
        ),
    }];
    for request in &wanted.requests {
        let id = held.as_ref().map(|row| row.id);
        let done = is_there(&client, &wanted, id, request, &mut differences).await?;
        steps.push(Step {
            what: "request",
            name: request.credential.clone(),
            done,
            words: format!(
                "{} for {}, {}",
                request.kind,
                span(request.ttl_s),
                request.scopes.join(" ")
            ),
        });
    }
    differences.none()?;
    if args.change.dry_run {
        return show(app, &steps);
    }
    let mut done = steps.iter().map(|step| step.done);
    let id = match held {
        Some(row) => {
            done.next();
            app.say(&format!("{} is there, as the template says", row.name))?;
            row.id
        }
        None => {
            done.next();
            bring_in(app, &client, args, &wanted).await?
        }
    };
    for (request, done) in wanted.requests.iter().zip(done) {
        if done {
            let words = "was asked for already, as the template says";
            app.say(&format!("{} {words}", request.credential))?;
        } else {
            ask(app, &client, &wanted, id, request).await?;
        }
    }
    Ok(())
}

async fn bring_in(
    app: &mut App<'_>,
    client: &Client,
    args: &Onboard,
    wanted: &NewcomerClient,
) -> Result<ClientId, CliError> {
    let body = NewClient {
        name: wanted.name.clone(),
        owner: wanted.owner.clone(),
        contact: wanted.contact.clone(),
        environment: wanted.environment,
        tier: wanted.tier,
        dependents: wanted.dependents.clone(),
    };
    let once = App::once(&args.change);
    let outcome = client.add_client(&body, &once).await;
    let receipt = settled(outcome, format!("onboard client {}", wanted.name), &once)?.value;
    app.receipt(
        &format!("Onboarded {} ({})", wanted.name, receipt.subject),
        &receipt,
    )?;
    receipt.subject.parse().map_err(|_| CliError::NotFound {
        what: "client",
        name: receipt.subject.clone(),
    })
}

async fn ask(
    app: &mut App<'_>,
    client: &Client,
    wanted: &NewcomerClient,
    id: ClientId,
    request: &FirstRequest,
) -> Result<(), CliError> {
    let body = NewRequest {
        credential: request.credential.clone(),
        environment: wanted.environment,
        kind: request.kind,
        issuer: request.issuer.clone(),
        role: request.role.clone(),
        client: id,
        audience: request.audience.clone(),
        scopes: request.scopes.clone(),
        ttl_s: request.ttl_s,
        reason: request.reason.clone(),
        owner: Some(wanted.owner.clone()),
        tags: request.tags.clone(),
        destination: request.destination.clone(),
        dry_run: false,
    };
    let once = crate::client::Once::new();
    let doing = format!("ask for {}", request.credential);
    let receipt = settled(client.ask(&body, &once).await, doing, &once)?.value;
    app.receipt(
        &format!("Asked for {} ({})", request.credential, receipt.subject),
        &receipt,
    )
}

fn compare_client(differences: &mut Differences, row: &ClientRow, wanted: &NewcomerClient) {
    let of = format!("client {}", row.name);
    let mut compare = |field: &str, is: &str, wanted: &str| {
        differences.compare(&of, field, is, wanted);
    };
    compare("owner", &row.owner, &wanted.owner);
    compare("contact", &row.contact, &wanted.contact);
    compare(
        "environment",
        row.environment.as_str(),
        wanted.environment.as_str(),
    );
    compare("tier", row.tier.as_str(), wanted.tier.as_str());
    compare(
        "dependents",
        &row.dependents.join(" "),
        &wanted.dependents.join(" "),
    );
    let state = if row.offboarded_at.is_some() {
        "out of service"
    } else {
        "in service"
    };
    compare("state", state, "in service");
}

/// Whether a credential of this name is there, or asked for. What is there must be what is wanted.
async fn is_there(
    client: &Client,
    wanted: &NewcomerClient,
    id: Option<ClientId>,
    request: &FirstRequest,
    differences: &mut Differences,
) -> Result<bool, CliError> {
    let name = &request.credential;
    let query = ListQuery::filter(format!("name=\"{name}\" env:{}", wanted.environment)).limit(500);
    let doing = || CliError::call(format!("look for {name}"));
    let held = client.credentials(&query).await.map_err(doing())?.value;
    let held = held.items.iter().find(|row| row.name == *name);
    if let Some(row) = held.filter(|row| row.state != CredentialState::Expired) {
        let detail = client.credential(row.id).await.map_err(doing())?.value;
        let of = format!("credential {name}");
        let mut compare = |field: &str, is: &str, wanted: &str| {
            differences.compare(&of, field, is, wanted);
        };
        compare("client", &row.client, &wanted.name);
        compare("kind", row.kind.as_str(), request.kind.as_str());
        compare("role", &detail.role, &request.role);
        compare("audience", &detail.audience, &request.audience);
        compare(
            "scopes",
            &detail.scopes.join(" "),
            &request.scopes.join(" "),
        );
        if row.state == CredentialState::Revoked {
            compare("state", "revoked", "active");
        }
        return Ok(true);
    }
    let asked = client.requests(&query).await.map_err(doing())?.value;
    let open = asked.items.iter().find(|row| {
        row.credential == *name && (!row.state.ended() || row.state == RequestState::Failed)
    });
    let Some(row) = open else {
        return Ok(false);
    };
    let plan = client.request(row.id).await.map_err(doing())?.value.plan;
    let of = format!("request {}", row.id);
    let mut compare = |field: &str, is: &str, wanted: &str| {
        differences.compare(&of, field, is, wanted);
    };
    if id != Some(plan.client) {
        compare("client", &row.client, &wanted.name);
    }
    compare("kind", plan.kind.as_str(), request.kind.as_str());
    compare("role", &plan.role, &request.role);
    compare("audience", &plan.audience, &request.audience);
    compare("scopes", &plan.scopes.join(" "), &request.scopes.join(" "));
    compare("ttl", &span(plan.ttl_s), &span(request.ttl_s));
    Ok(true)
}

/// `operator onboard`.
///
/// # Errors
/// Why it was not done.
pub async fn operator(app: &mut App<'_>, args: &OnboardOperator) -> Result<(), CliError> {
    let onboard = &args.onboard;
    one_key(onboard)?;
    let template = find(&onboard.template)?;
    let Newcomer::Operator(wanted) = template.fill(&onboard.values)? else {
        let words = "this template is for a client: use `client onboard`";
        return Err(CliError::Usage(words.to_owned()));
    };
    let client = app.connect_to_change().await?;
    let acts_for = match &wanted.client {
        Some(name) => Some(app.client(&client, name).await?.id),
        None => None,
    };
    let held = operator_named(&client, &wanted.name).await?;
    let mut differences = Differences::default();
    if let Some(row) = &held {
        compare_operator(&mut differences, row, &wanted, acts_for);
    }
    differences.none()?;
    if onboard.change.dry_run {
        let step = Step {
            what: "operator",
            name: wanted.name.clone(),
            done: held.is_some(),
            words: format!(
                "{}, groups {}",
                rows::roles(&wanted.roles),
                wanted.groups.iter().cloned().collect::<Vec<_>>().join(" ")
            ),
        };
        return show(app, &[step]);
    }
    if let Some(row) = held {
        return app.say(&format!(
            "{} is there, as the template says; no token was minted",
            row.name
        ));
    }
    let body = NewOperator {
        name: wanted.name.clone(),
        display_name: wanted.display_name,
        robot: wanted.robot,
        groups: wanted.groups,
        roles: wanted.roles,
        client: acts_for,
        token_ttl_s: wanted.token_ttl_s,
    };
    let once = App::once(&onboard.change);
    let destination = Destination::open(&args.deliver, app.io)?;
    let outcome = client.add_operator(&body, &once).await;
    let doing = format!("onboard operator {}", wanted.name);
    minted::put(app, destination, &args.deliver, outcome, &doing, &once)
}

fn compare_operator(
    differences: &mut Differences,
    row: &OperatorRow,
    wanted: &NewcomerOperator,
    acts_for: Option<ClientId>,
) {
    let of = format!("operator {}", row.name);
    let mut compare = |field: &str, is: &str, wanted: &str| {
        differences.compare(&of, field, is, wanted);
    };
    let groups = |groups: &std::collections::BTreeSet<String>| {
        groups.iter().cloned().collect::<Vec<_>>().join(" ")
    };
    let what = |robot| if robot { "robot" } else { "person" };
    let client = |id: Option<ClientId>| id.map_or_else(|| "none".to_owned(), |id| id.to_string());
    compare("display name", &row.display_name, &wanted.display_name);
    compare("account", what(row.robot), what(wanted.robot));
    compare("groups", &groups(&row.groups), &groups(&wanted.groups));
    compare(
        "roles",
        &rows::roles(&row.roles),
        &rows::roles(&wanted.roles),
    );
    compare("client", &client(row.client), &client(acts_for));
    let state = if row.offboarded_at.is_some() {
        "closed"
    } else {
        "open"
    };
    compare("state", state, "open");
}

async fn client_named(client: &Client, name: &str) -> Result<Option<ClientRow>, CliError> {
    let query = ListQuery::filter(format!("name=\"{name}\"")).limit(500);
    let page = client.clients(&query).await;
    let page = page.map_err(CliError::call(format!("look for client {name}")))?;
    Ok(page.value.items.into_iter().find(|row| row.name == name))
}

async fn operator_named(client: &Client, name: &str) -> Result<Option<OperatorRow>, CliError> {
    let query = ListQuery::filter(format!("name=\"{name}\"")).limit(500);
    let page = client.operators(&query).await;
    let page = page.map_err(CliError::call(format!("look for operator {name}")))?;
    Ok(page.value.items.into_iter().find(|row| row.name == name))
}

/// What a template comes to is found by name: there is no one object whose sequence could have been seen.
fn one_key(args: &Onboard) -> Result<(), CliError> {
    if args.change.if_seen.is_some() {
        let words = "--if-seen makes no sense here: what is there is compared with the template";
        return Err(CliError::Usage(words.to_owned()));
    }
    Ok(())
}

/// What applying the template would do.
fn show(app: &mut App<'_>, steps: &[Step]) -> Result<(), CliError> {
    match app.global.output {
        Format::Table | Format::Csv => {
            let mut sheet = Sheet::default();
            for step in steps {
                let does = if step.done { "is there" } else { "would make" };
                sheet.line(&format!(
                    "{does}: {} {}, {}",
                    step.what, step.name, step.words
                ));
            }
            app.io.out.write_all(sheet.finish().as_bytes())?;
        }
        format => {
            let plan = Plan {
                dry_run: true,
                steps,
            };
            output::write_json(&mut *app.io.out, &plan, format == Format::Json)?;
            app.io.out.write_all(b"\n")?;
        }
    }
    Ok(())
}

//! `revocation`: what was withdrawn, and how far that has come.

use clap::Subcommand;

use super::app::App;
use super::args::ListArgs;
use super::error::CliError;
use super::{output, review};
use crate::wire::RevocationId;

/// Verbs of `revocation`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// The registry of revocations
    List(ListArgs),
    /// One revocation: from when it holds here, at the issuer, and at each gateway
    Show {
        /// The revocation's identifier
        #[arg(value_name = "REVOCATION")]
        revocation: RevocationId,
    },
}

/// Runs a verb.
///
/// # Errors
/// Why it was not done.
pub async fn run(app: &mut App<'_>, verb: &Verb) -> Result<(), CliError> {
    let client = app.connect().await?;
    match verb {
        Verb::List(args) => {
            app.list(args, async |query| {
                let page = client.revocations(&query).await;
                page.map_err(CliError::call("list revocations"))
            })
            .await
        }
        Verb::Show { revocation } => {
            let row = client.revocation(*revocation).await;
            let detail = row
                .map_err(CliError::call(format!("show revocation {revocation}")))?
                .value;
            let style = app.style();
            output::one(&mut *app.io.out, style, &detail, &detail.row, |style| {
                review::revocation(&detail, style)
            })?;
            Ok(())
        }
    }
}
